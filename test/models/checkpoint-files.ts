/** Small checkpoints in temporary folders: sound ones, and files with a header as a test wants it. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { TestContext } from 'node:test';
import { wantedTensors } from '../../src/models/architecture/weight-shapes.js';
import { type Architecture, readArchitecture } from '../../src/models/index.js';

/** What a header says of one tensor. */
export interface HeaderEntry {
  readonly dtype: unknown;
  readonly shape: unknown;
  readonly data_offsets: unknown;
}

/** A tensor to be written, with zeros. */
export interface TensorSpec {
  readonly name: string;
  readonly type: 'F32' | 'F16' | 'BF16' | 'U32' | 'F64';
  readonly shape: readonly number[];
}

const TYPE_BYTES = { F64: 8, F32: 4, U32: 4, F16: 2, BF16: 2 };

/** A folder that is gone after the test. */
export function temporaryFolder(t: TestContext): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'exo-models-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A safetensors file with a header as given and so many bytes of data. */
export function safetensorsBytes(header: string | object, dataBytes = 0): Buffer {
  const json = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  return Buffer.concat([length, json, Buffer.alloc(dataBytes)]);
}

/** A sound file of these tensors, one after the other. */
export function tensorsFile(tensors: readonly TensorSpec[]): Buffer {
  const header: Record<string, HeaderEntry> = {};
  let end = 0;
  for (const { name, type, shape } of tensors) {
    const from = end;
    end += shape.reduce((product, size) => product * size, TYPE_BYTES[type]);
    header[name] = { dtype: type, shape, data_offsets: [from, end] };
  }
  return safetensorsBytes({ __metadata__: { format: 'pt' }, ...header }, end);
}

/** A config of two small layers. */
export const SMALL_CONFIG = {
  architectures: ['LlamaForCausalLM'],
  model_type: 'llama',
  hidden_size: 64,
  intermediate_size: 128,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  vocab_size: 32,
};

/** All tensors of a config, in F32. */
export function allTensors(config: object): TensorSpec[] {
  const architecture: Architecture = readArchitecture(config);
  return wantedTensors(architecture, 0, architecture.layers.length - 1).map((wanted) => ({
    ...wanted,
    type: 'F32',
  }));
}

/** Writes config.json, and files by name. */
export function writeModel(
  folder: string,
  config: unknown,
  files: Readonly<Record<string, Uint8Array>>,
): void {
  writeFileSync(path.join(folder, 'config.json'), JSON.stringify(config));
  for (const [name, bytes] of Object.entries(files)) writeFileSync(path.join(folder, name), bytes);
}
