/**
 * The head of a safetensors file: eight bytes of length (little endian), a JSON object, the data.
 *
 *     0        8                  8 + n
 *     | u64 n  | {"name": {"dtype", "shape", "data_offsets": [from, to]}, …}  | data …
 *
 * Offsets count from the end of the header. Everything is checked before it is believed, as the format's own library
 * does: tensors lie one after the other without a gap, and the file ends with the last. Reads no weights.
 */
import { ExoError, LIMITS, printable } from '../../shared/index.js';
import { type FileFault, openRegular, readAt } from '../disk/bounded-file.js';
import { repeatedName } from './repeated-name.js';

/** Bits of one element, by the format's name of its type. */
const TYPE_BITS = {
  ...{ F64: 64, F32: 32, F16: 16, BF16: 16, C64: 64 },
  ...{ F8_E4M3: 8, F8_E5M2: 8, F8_E8M0: 8, F8_E4M3FNUZ: 8, F8_E5M2FNUZ: 8, F6_E2M3: 6, F6_E3M2: 6, F4: 4 },
  ...{ I64: 64, I32: 32, I16: 16, I8: 8, U64: 64, U32: 32, U16: 16, U8: 8, BOOL: 8 },
} as const;

/** An element type of the format. */
export type SafetensorsType = keyof typeof TYPE_BITS;

/** One tensor of one file. */
export interface SafetensorsEntry {
  readonly name: string;
  readonly type: SafetensorsType;
  readonly shape: readonly number[];
  /** Of the first byte, from the start of the file. */
  readonly offset: number;
  readonly bytes: number;
}

/** Bytes of the length that a file begins with. */
export const SAFETENSORS_LENGTH_BYTES = 8;

/** The header of a file. Throws `checkpoint-invalid`, which names file and tensor, or the signal's reason. */
export async function readSafetensors(
  file: string,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, SafetensorsEntry>> {
  const fault = faultOf(file);
  signal.throwIfAborted();
  const handle = await openRegular(file, fault);
  try {
    const { size } = await handle.stat();
    const start = await readAt(handle, 0, Math.min(size, SAFETENSORS_LENGTH_BYTES), fault);
    const length = safetensorsHeaderBytes(start, { file, fileBytes: size });
    signal.throwIfAborted();
    const header = await readAt(handle, SAFETENSORS_LENGTH_BYTES, length, fault);
    signal.throwIfAborted();
    return parseSafetensorsHeader(header, { file, fileBytes: size });
  } finally {
    await handle.close();
  }
}

/** What is known of the file besides the bytes that are being read. */
export interface SafetensorsFile {
  /** For messages. */
  readonly file: string;
  readonly fileBytes: number;
}

/**
 * Length in bytes of the JSON header, from the first eight bytes of a file: so that it can be fetched alone.
 * Throws `checkpoint-invalid`.
 */
export function safetensorsHeaderBytes(start: Uint8Array, { file, fileBytes }: SafetensorsFile): number {
  const fault = faultOf(file);
  if (start.length < SAFETENSORS_LENGTH_BYTES || fileBytes < SAFETENSORS_LENGTH_BYTES) {
    throw fault(`has ${fileBytes} bytes: not even the length of a header`);
  }
  const length = new DataView(start.buffer, start.byteOffset, SAFETENSORS_LENGTH_BYTES).getBigUint64(0, true);
  if (length > BigInt(LIMITS.safetensorsHeaderBytesMax)) {
    throw fault(
      `announces a header of ${length} bytes; at most ${LIMITS.safetensorsHeaderBytesMax} are allowed, so this is no safetensors file`,
    );
  }
  if (Number(length) > fileBytes - SAFETENSORS_LENGTH_BYTES) {
    throw fault(`announces a header of ${length} bytes and has only ${fileBytes}: it is cut off`);
  }
  return Number(length);
}

/** The tensors that a header names, by name. `header` is all of it. Throws `checkpoint-invalid`. */
export function parseSafetensorsHeader(
  header: Uint8Array,
  { file, fileBytes }: SafetensorsFile,
): ReadonlyMap<string, SafetensorsEntry> {
  const fault = faultOf(file);
  const dataStart = SAFETENSORS_LENGTH_BYTES + header.length;
  const tensors = Object.entries(jsonOf(header, fault))
    .filter(([name]) => name !== '__metadata__')
    .map(([name, value]) => entryOf(name, value, dataStart, fault));
  // Empty ones lie before what begins at the same place.
  tensors.sort((a, b) => a.offset - b.offset || a.bytes - b.bytes);
  let end = dataStart;
  for (const { name, offset, bytes } of tensors) {
    if (offset !== end) {
      const what = offset < end ? 'begins within the tensor before it' : 'leaves a gap before it';
      throw fault(`tensor "${printable(name)}" ${what}, at byte ${offset} instead of ${end}`);
    }
    end = offset + bytes;
    if (end > fileBytes) {
      throw fault(
        `tensor "${printable(name)}" ends at byte ${end}, and the file at ${fileBytes}: it is cut off`,
      );
    }
  }
  if (end !== fileBytes) throw fault(`has ${fileBytes - end} bytes behind its last tensor`);
  return new Map(tensors.map((tensor) => [tensor.name, tensor]));
}

function faultOf(file: string): FileFault {
  return (why, cause) =>
    new ExoError(
      'checkpoint-invalid',
      `${printable(file)} ${why}; fetch the file again (exo model pull)`,
      cause === undefined ? {} : { cause },
    );
}

function jsonOf(header: Uint8Array, fault: FileFault): object {
  let text: string;
  let value: unknown;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(header);
    value = JSON.parse(text);
  } catch (error) {
    throw fault('has a header that is not JSON', error);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw fault('has a header that is not a JSON object');
  }
  const repeated = repeatedName(text);
  if (repeated !== undefined) throw fault(`names "${printable(repeated)}" twice in its header`);
  return value;
}

function entryOf(name: string, value: unknown, dataStart: number, fault: FileFault): SafetensorsEntry {
  const bad = (why: string) => fault(`tensor "${printable(name)}" ${why}`);
  if (typeof value !== 'object' || value === null) throw bad('is not described by an object');
  const { dtype, shape, data_offsets: offsets } = value as Record<string, unknown>;
  if (typeof dtype !== 'string' || !Object.hasOwn(TYPE_BITS, dtype)) {
    throw bad(
      `has ${typeof dtype === 'string' ? `the unknown type "${printable(dtype, 40)}"` : 'no type (dtype)'}`,
    );
  }
  if (!isSizes(shape) || shape.length > LIMITS.safetensorsDimensionsMax) {
    throw bad(`has a shape that is no list of at most ${LIMITS.safetensorsDimensionsMax} whole numbers`);
  }
  if (!isSizes(offsets) || offsets.length !== 2) {
    throw bad('has data_offsets that are not two whole numbers');
  }
  const [from, to] = offsets as [number, number];
  const type = dtype as SafetensorsType;
  const bits = shape.reduce((product, size) => product * BigInt(size), BigInt(TYPE_BITS[type]));
  if (from > to || !Number.isSafeInteger(dataStart + to) || bits !== BigInt(to - from) * 8n) {
    throw bad(`has data_offsets ${from} to ${to}, which is not the size of ${type} [${shape.join(', ')}]`);
  }
  return { name, type, shape, offset: dataStart + from, bytes: to - from };
}

function isSizes(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((size) => Number.isSafeInteger(size) && size >= 0);
}
