/** Changes of inputs: bytes, texts, lengths that lie, damaged UTF-8, nesting, repetition. Pure; the seed decides everything. */
import { type Random, randomInt } from '../../src/shared/index.js';

/** Bytes with a meaning somewhere: ends of ranges, and what structures text. */
const BYTES = Buffer.from('\x00\x01\x7f\x80\xff\n\r\t "\'\\/{}[]:,;#@%$*?!|<>=+-.0aZ', 'latin1');
/** Not UTF-8: cut short, too long, a surrogate, above U+10FFFF, a lone continuation. */
const DAMAGED_UTF8 = ['c3', 'c0af', 'e08080', 'eda080', 'f4908080', '80', 'fffe', 'e282'].map((hex) =>
  Buffer.from(hex, 'hex'),
);
/** Texts that parsers have stumbled over. */
export const HOSTILE_WORDS: readonly string[] = [
  ...['__proto__', 'constructor', 'toString', 'hasOwnProperty', '\\u005f_proto__'],
  ...['1e999', '-1e999', 'NaN', 'Infinity', '-Infinity', '9007199254740993', '-0', '0x10', '1e-400'],
  ...['4294967296', '2147483648', '-1', '65536', '00000000000000000000000001'],
  ...['null', 'true', '[]', '{}', '""', '"\\ud800"', '\ufeff', '\u2028', '\u202e', '\u0000', '\u001b[31m'],
  ...['//', '/*', '*/', '\\"', '\\', '$' + '{x}', '$(x)', '`', '%h', '../', '~', '-oProxyCommand=x'],
];
const NUMBERS = [
  0, 1, 2, 4, 0x7f, 0x80, 0xff, 0x100, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff,
];

const pick = <T>(random: Random, list: ArrayLike<T>): T => list[randomInt(random, 0, list.length - 1)]!;

/** One input made from another: one to six changes. */
export function mutate(
  input: Buffer,
  other: Buffer,
  words: readonly string[],
  random: Random,
  bytesMax: number,
): Buffer {
  let bytes = input;
  // Mostly few: what is far from valid dies in the first check.
  const times = random.next() < 0.6 ? 1 : randomInt(random, 2, 6);
  for (let count = 0; count < times; count += 1) bytes = change(bytes, other, words, random, bytesMax);
  return bytes.length > bytesMax ? bytes.subarray(0, bytesMax) : bytes;
}

function change(
  bytes: Buffer,
  other: Buffer,
  words: readonly string[],
  random: Random,
  bytesMax: number,
): Buffer {
  const at = randomInt(random, 0, bytes.length);
  const end = Math.min(bytes.length, at + 1 + Math.floor(random.next() ** 3 * 40));
  switch (randomInt(random, 0, 13)) {
    case 0:
      return overwrite(bytes, at, (old) => old ^ (1 << randomInt(random, 0, 7)));
    case 1:
      return overwrite(bytes, at, () => randomInt(random, 0, 255));
    case 2:
      return overwrite(bytes, at, () => pick(random, BYTES));
    case 3:
      return insert(bytes, at, at, Buffer.from([pick(random, BYTES)]));
    case 4:
      return insert(bytes, at, end, Buffer.alloc(0));
    case 5: {
      const slice = bytes.subarray(at, end);
      const to = randomInt(random, 0, bytes.length);
      return insert(bytes, to, to, slice);
    }
    case 6:
      return random.next() < 0.5
        ? insert(bytes, at, at, Buffer.from(pick(random, words)))
        : insert(bytes, at, end, Buffer.from(pick(random, words)));
    case 7:
      return insert(bytes, at, at, pick(random, DAMAGED_UTF8));
    case 8:
      return Buffer.concat([bytes.subarray(0, at), other.subarray(randomInt(random, 0, other.length))]);
    case 9:
      return bytes.subarray(0, at);
    case 10:
      return lieAboutLength(bytes, random);
    case 11:
      return hostileNumber(bytes, random);
    case 12:
      return nest(bytes, at, end, random);
    default:
      return repeat(bytes, at, end, random, bytesMax);
  }
}

function overwrite(bytes: Buffer, at: number, to: (old: number) => number): Buffer {
  if (at >= bytes.length) return bytes;
  const copy = Buffer.from(bytes);
  copy[at] = to(copy[at]!) & 0xff;
  return copy;
}

function insert(bytes: Buffer, from: number, to: number, piece: Uint8Array): Buffer {
  return Buffer.concat([bytes.subarray(0, from), piece, bytes.subarray(to)]);
}

/** A u8, u16 or u32 (big endian) somewhere becomes a length that is not true, or only nearly. */
function lieAboutLength(bytes: Buffer, random: Random): Buffer {
  const width = pick(random, [1, 2, 4, 4, 4]);
  if (bytes.length < width) return bytes;
  const copy = Buffer.from(bytes);
  // Lengths stand in front more often than not.
  const at = Math.floor(random.next() ** 2 * (copy.length - width + 1));
  const rest = copy.length - at - width;
  const value = random.next() < 0.4 ? rest + randomInt(random, -2, 2) : pick(random, NUMBERS);
  copy.writeUIntBE(Math.max(0, value) % 2 ** (8 * width), at, width);
  return copy;
}

/** A number written in digits becomes another one. */
function hostileNumber(bytes: Buffer, random: Random): Buffer {
  const text = bytes.toString('latin1');
  const found = [...text.slice(0, 4_096).matchAll(/\d+/g)];
  if (found.length === 0) return bytes;
  const { 0: digits, index } = pick(random, found);
  const value =
    random.next() < 0.5 ? pick(random, HOSTILE_WORDS) : String(Number(digits) + randomInt(random, -2, 2));
  return insert(bytes, index, index + digits.length, Buffer.from(value));
}

function nest(bytes: Buffer, from: number, to: number, random: Random): Buffer {
  const depth = pick(random, [1, 5, 31, 32, 33, 200]);
  const [open, close] = pick(random, [
    ['[', ']'],
    ['{"a":', '}'],
    ['/*', '*/'],
    ['"', '"'],
    ['(', ')'],
  ]);
  const inner = bytes.subarray(from, to);
  return insert(
    bytes,
    from,
    to,
    Buffer.concat([Buffer.from(open!.repeat(depth)), inner, Buffer.from(close!.repeat(depth))]),
  );
}

/** A short piece many times over: what takes longer than its length allows shows here. */
function repeat(bytes: Buffer, from: number, to: number, random: Random, bytesMax: number): Buffer {
  const piece = bytes.subarray(from, Math.min(to, from + randomInt(random, 1, 8)));
  if (piece.length === 0) return bytes;
  const room = Math.max(0, bytesMax - bytes.length);
  const most = Math.floor(room / piece.length);
  const times = random.next() < 0.9 ? randomInt(random, 2, 40) : most;
  return insert(bytes, from, from, Buffer.alloc(Math.min(times, most) * piece.length, piece));
}
