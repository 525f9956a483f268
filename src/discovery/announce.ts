/**
 * The original's TCP announce: one JSON object each way with type, node_id, grpc_port and device_capabilities, without
 * length or newline, so its end is where its braces close. Pure; tcp.ts and tcp-announcer.ts are the callers.
 */
import { Ajv, type ValidateFunction } from 'ajv';
import type { DeviceCapabilities } from '../protocol/index.js';
import { ExoError, LIMITS } from '../shared/index.js';
import {
  CAPABILITIES_JSON_SCHEMA,
  type CapabilitiesJson,
  capabilitiesJson,
  NODE_ID_SCHEMA,
  readCapabilities,
  readShaped,
} from './announced-json.js';

/** What one node says of itself. Its host is the other end of the connection. */
export interface Announce {
  readonly nodeId: string;
  readonly nodePort: number;
  readonly capabilities: DeviceCapabilities;
}

interface AnnounceJson {
  readonly type: string;
  readonly node_id: string;
  readonly grpc_port: number;
  readonly device_capabilities?: CapabilitiesJson;
}

let validate: ValidateFunction<AnnounceJson> | undefined;

/** Compiled when the first is read: every start of a node would pay for it. */
function validator(): ValidateFunction<AnnounceJson> {
  validate ??= new Ajv().compile<AnnounceJson>({
    type: 'object',
    required: ['type', 'node_id', 'grpc_port'],
    properties: {
      type: { const: 'announce' },
      node_id: NODE_ID_SCHEMA,
      grpc_port: { type: 'integer', minimum: 1, maximum: 65535 },
      device_capabilities: CAPABILITIES_JSON_SCHEMA,
    },
  });
  return validate;
}

/** The bytes of an announce. */
export function encodeAnnounce(announce: Announce): Buffer {
  return Buffer.from(
    JSON.stringify({
      type: 'announce',
      node_id: announce.nodeId,
      grpc_port: announce.nodePort,
      device_capabilities: capabilitiesJson(announce.capabilities),
    }),
  );
}

/** Throws `candidate-invalid` with the reason. */
export function decodeAnnounce(bytes: Buffer): Announce {
  const json = readShaped(bytes, validator(), { text: 'what was said', kind: 'an announce' });
  return {
    nodeId: json.node_id,
    nodePort: json.grpc_port,
    capabilities: readCapabilities(json.device_capabilities),
  };
}

const [QUOTE, BACKSLASH, OPEN, CLOSE] = [0x22, 0x5c, 0x7b, 0x7d];
const BLANKS: ReadonlySet<number> = new Set([0x20, 0x09, 0x0a, 0x0d]);

/** Collects one JSON object that arrives in any pieces. Each byte is looked at once. */
export class AnnounceReader {
  readonly #chunks: Buffer[] = [];
  #length = 0;
  #depth = 0;
  #inText = false;
  #escaped = false;
  #begun = false;

  /**
   * The whole object once its last brace is there, else undefined. What follows it is ignored. Throws
   * `candidate-invalid` as soon as it cannot become one: another first byte, too long, too deep.
   */
  push(chunk: Buffer): Buffer | undefined {
    for (let index = 0; index < chunk.length; index += 1) {
      if (!this.#step(chunk[index]!)) continue;
      return Buffer.concat([...this.#chunks, chunk.subarray(0, index + 1)]);
    }
    this.#length += chunk.length;
    if (this.#length > LIMITS.announceBytesMax) {
      throw new ExoError('candidate-invalid', `the announce is longer than ${LIMITS.announceBytesMax} bytes`);
    }
    // A copy: the socket's memory may be used again.
    this.#chunks.push(Buffer.from(chunk));
    return undefined;
  }

  /** True at the brace that closes the object. Braces inside texts do not count. */
  #step(byte: number): boolean {
    if (this.#inText) {
      if (this.#escaped) this.#escaped = false;
      else if (byte === BACKSLASH) this.#escaped = true;
      else if (byte === QUOTE) this.#inText = false;
      return false;
    }
    if (byte === OPEN) {
      this.#begun = true;
      this.#depth += 1;
      if (this.#depth > LIMITS.jsonDepthMax) {
        throw new ExoError('candidate-invalid', 'the announce is nested too deep');
      }
      return false;
    }
    if (!this.#begun && !BLANKS.has(byte)) {
      throw new ExoError('candidate-invalid', 'what was said is not an announce (no JSON object)');
    }
    if (byte === QUOTE) this.#inText = true;
    if (byte === CLOSE) this.#depth -= 1;
    return this.#begun && this.#depth === 0;
  }
}
