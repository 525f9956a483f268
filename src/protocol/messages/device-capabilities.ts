/** What a machine can do, as its node tells it in a hello and in the topology. */

/** Tera floating point operations per second by type. */
export interface Flops {
  readonly fp32: number;
  readonly fp16: number;
  readonly int8: number;
}

/** What a machine can do, in the original's wire shape. `memory` is in MB. */
export interface DeviceCapabilities {
  readonly model: string;
  readonly chip: string;
  readonly memory: number;
  readonly flops: Flops;
}

/** What is known of a machine that has told nothing. */
export const UNKNOWN_CAPABILITIES: DeviceCapabilities = {
  model: 'Unknown Model',
  chip: 'Unknown Chip',
  memory: 0,
  flops: { fp32: 0, fp16: 0, int8: 0 },
};
