/**
 * The original's discovery datagram: a JSON object with type, node_id, grpc_port, device_capabilities, priority,
 * interface_name and interface_type. Pure; udp.ts is the caller. The peer's host is the datagram's source.
 */
import { Ajv, type ValidateFunction } from 'ajv';
import type { DeviceCapabilities } from '../protocol/index.js';
import { ExoError, LIMITS, printable } from '../shared/index.js';
import {
  CAPABILITIES_JSON_SCHEMA,
  type CapabilitiesJson,
  capabilitiesJson,
  NODE_ID_SCHEMA,
  readCapabilities,
  readShaped,
} from './announced-json.js';

/** What one node announces over one interface. */
export interface Announcement {
  readonly nodeId: string;
  readonly nodePort: number;
  readonly capabilities: DeviceCapabilities;
  /** 0 to 7; a received one is cut to that range, so that nobody outbids every real interface. */
  readonly priority: number;
  readonly interfaceName: string;
  readonly interfaceType: string;
}

interface DatagramJson {
  readonly type: string;
  readonly node_id: string;
  readonly grpc_port: number;
  readonly device_capabilities?: CapabilitiesJson;
  readonly priority?: number;
  readonly interface_name?: string;
  readonly interface_type?: string;
}

/** Passes every MTU, IPv6's and a tunnel's too, in one piece. */
export const DATAGRAM_BYTES_SENT_MAX = 1_200;

const PRIORITY_MAX = 7;
const OPEN_BRACE = 0x7b;

let validate: ValidateFunction<DatagramJson> | undefined;

/** Compiled when the first is read: every start of a node would pay for it. */
function validator(): ValidateFunction<DatagramJson> {
  validate ??= new Ajv().compile<DatagramJson>({
    type: 'object',
    required: ['type', 'node_id', 'grpc_port'],
    properties: {
      type: { const: 'discovery' },
      node_id: NODE_ID_SCHEMA,
      grpc_port: { type: 'integer', minimum: 1, maximum: 65535 },
      device_capabilities: CAPABILITIES_JSON_SCHEMA,
      priority: { type: 'number' },
      interface_name: { type: 'string' },
      interface_type: { type: 'string' },
    },
  });
  return validate;
}

/** At most `DATAGRAM_BYTES_SENT_MAX` bytes: long names of model and chip are cut until it fits. */
export function encodeDatagram(announcement: Announcement): Buffer {
  for (const charsMax of [200, 60, 20, 0]) {
    const { model, chip, ...figures } = announcement.capabilities;
    const bytes = Buffer.from(
      JSON.stringify({
        type: 'discovery',
        node_id: announcement.nodeId,
        grpc_port: announcement.nodePort,
        device_capabilities: capabilitiesJson({
          model: model.slice(0, charsMax),
          chip: chip.slice(0, charsMax),
          ...figures,
        }),
        priority: announcement.priority,
        interface_name: announcement.interfaceName.slice(0, LIMITS.announcedInterfaceCharsMax),
        interface_type: announcement.interfaceType,
      }),
    );
    if (bytes.length <= DATAGRAM_BYTES_SENT_MAX) return bytes;
  }
  throw new ExoError(
    'candidate-invalid',
    `an announcement of this node does not fit ${DATAGRAM_BYTES_SENT_MAX} bytes; choose a shorter --node-id`,
  );
}

/** The checks that cost nothing, for a flood: length and first byte. */
export function looksLikeDatagram(bytes: Uint8Array): boolean {
  return bytes.length >= 2 && bytes.length <= LIMITS.datagramBytesMax && bytes[0] === OPEN_BRACE;
}

/** Throws `candidate-invalid` with the reason. */
export function decodeDatagram(bytes: Buffer): Announcement {
  if (!looksLikeDatagram(bytes)) {
    throw new ExoError('candidate-invalid', 'the datagram is not a discovery announcement (no JSON object)');
  }
  const json = readShaped(bytes, validator(), { text: 'the datagram', kind: 'a discovery announcement' });
  return {
    nodeId: json.node_id,
    nodePort: json.grpc_port,
    capabilities: readCapabilities(json.device_capabilities),
    priority: Math.min(PRIORITY_MAX, Math.max(0, Math.trunc(json.priority ?? 0))),
    interfaceName: printable(json.interface_name ?? 'unknown', LIMITS.announcedInterfaceCharsMax),
    interfaceType: printable(json.interface_type ?? 'Other', LIMITS.announcedInterfaceCharsMax),
  };
}
