/**
 * What datagrams and announces have in common: the original's capabilities as JSON, the schema of ids, and reading a
 * received text against a schema. Pure.
 */
import type { ValidateFunction } from 'ajv';
import { type DeviceCapabilities, UNKNOWN_CAPABILITIES } from '../protocol/index.js';
import { ExoError, LIMITS, PRINTABLE_PATTERN, printable } from '../shared/index.js';

/** As received: anything may be missing. */
export interface CapabilitiesJson {
  readonly model?: string;
  readonly chip?: string;
  readonly memory?: number;
  readonly flops?: { readonly fp32?: number; readonly fp16?: number; readonly int8?: number };
}

const TFLOPS = { type: 'number', minimum: 0 };

/** ajv schema of a received `device_capabilities`. */
export const CAPABILITIES_JSON_SCHEMA = {
  type: 'object',
  properties: {
    model: { type: 'string' },
    chip: { type: 'string' },
    memory: { type: 'number', minimum: 0 },
    flops: { type: 'object', properties: { fp32: TFLOPS, fp16: TFLOPS, int8: TFLOPS } },
  },
} as const;

/** ajv schema of a received node id. */
export const NODE_ID_SCHEMA = {
  type: 'string',
  minLength: 1,
  maxLength: LIMITS.nodeIdCharsMax,
  pattern: PRINTABLE_PATTERN,
} as const;

/** Own capabilities in the original's shape; nothing else of the object travels. */
export function capabilitiesJson({ model, chip, memory, flops }: DeviceCapabilities): CapabilitiesJson {
  return { model, chip, memory, flops: { fp32: flops.fp32, fp16: flops.fp16, int8: flops.int8 } };
}

/** Received capabilities as ours; what is missing is unknown, names are made printable, an absurd memory cut. */
export function readCapabilities(json: CapabilitiesJson | undefined): DeviceCapabilities {
  return {
    model: printable(json?.model ?? UNKNOWN_CAPABILITIES.model, LIMITS.announcedNameCharsMax),
    chip: printable(json?.chip ?? UNKNOWN_CAPABILITIES.chip, LIMITS.announcedNameCharsMax),
    memory: Math.min(json?.memory ?? UNKNOWN_CAPABILITIES.memory, LIMITS.memoryMbMax),
    flops: {
      fp32: json?.flops?.fp32 ?? 0,
      fp16: json?.flops?.fp16 ?? 0,
      int8: json?.flops?.int8 ?? 0,
    },
  };
}

/** A received text that has the schema's shape. Throws `candidate-invalid`; `text` is to be `kind`, in its words. */
export function readShaped<T>(
  bytes: Buffer,
  validate: ValidateFunction<T>,
  words: { readonly text: string; readonly kind: string },
): T {
  let json: unknown;
  try {
    json = JSON.parse(bytes.toString('utf8'));
  } catch (cause) {
    throw new ExoError('candidate-invalid', `${words.text} is not complete, valid JSON`, { cause });
  }
  if (validate(json)) return json;
  const error = validate.errors?.[0];
  const field = (error?.instancePath ?? '').slice(1).replaceAll('/', '.');
  throw new ExoError(
    'candidate-invalid',
    `${words.text} is not ${words.kind}: ${printable(`${field} ${error?.message ?? ''}`.trim())}`,
  );
}
