/** The original's capabilities as they stand in datagrams and announces: JSON shape, schema, reading. Pure. */
import { type DeviceCapabilities, UNKNOWN_CAPABILITIES } from '../protocol/index.js';
import { LIMITS, printable } from '../shared/index.js';

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
  pattern: '^[^\\u0000-\\u001f\\u007f]+$',
} as const;

/** Longest model or chip name kept; the original's longest is under 60. */
export const NAME_CHARS_MAX = 120;

/** Received capabilities as ours; what is missing is unknown, names are made printable. */
export function readCapabilities(json: CapabilitiesJson | undefined): DeviceCapabilities {
  return {
    model: printable(json?.model ?? UNKNOWN_CAPABILITIES.model, NAME_CHARS_MAX),
    chip: printable(json?.chip ?? UNKNOWN_CAPABILITIES.chip, NAME_CHARS_MAX),
    memory: json?.memory ?? UNKNOWN_CAPABILITIES.memory,
    flops: {
      fp32: json?.flops?.fp32 ?? 0,
      fp16: json?.flops?.fp16 ?? 0,
      int8: json?.flops?.int8 ?? 0,
    },
  };
}
