/** Changes of JSON that leave it JSON: other values, names, sizes and types at a random place of the tree. Pure. */
import { type Random, randomInt } from '../../src/shared/index.js';

const pick = <T>(random: Random, list: readonly T[]): T => list[randomInt(random, 0, list.length - 1)]!;

/** Written as they are, so that also what `JSON.stringify` cannot write gets in. */
const RAW_VALUES: readonly string[] = [
  ...[
    'null',
    'true',
    'false',
    '0',
    '-0',
    '-1',
    '1',
    '0.5',
    '1e999',
    '-1e999',
    'NaN',
    'Infinity',
    '-Infinity',
  ],
  ...['9007199254740991', '9007199254740993', '4294967296', '65535', '65536', '1e21', '1e-7', '5e-324'],
  ...['""', '"x"', '"__proto__"', '"\\ud800"', '"\\u0000"', '"\\u001b[31m"', '"\u202e"', '"\ufffd"', '"🙂"'],
  ...['[]', '{}', '[[]]', '[null]', '{"__proto__":{}}', '{"a":1,"a":2}', '{"":0}'],
];
const NAMES = ['__proto__', 'constructor', 'toString', 'length', '', '0', 'a\\u001b', '\u202e'];
const RAW = '\u0001raw';

/** A variation of a JSON text; undefined where it is none. `words` are values that mean something. */
export function varyJson(text: string, random: Random, words: readonly string[] = []): string | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  const raws: string[] = [];
  const raw = (json: string) => `${RAW}${raws.push(json) - 1}`;
  const times = random.next() < 0.7 ? 1 : randomInt(random, 2, 4);
  for (let count = 0; count < times; count += 1) value = changeSomewhere(value, random, words, raw);
  const written = JSON.stringify(value) ?? 'null';
  return written.replace(/"\\u0001raw(\d+)"/g, (_, index: string) => raws[Number(index)] ?? 'null');
}

/** Walks down at random and changes one place. */
function changeSomewhere(
  value: unknown,
  random: Random,
  words: readonly string[],
  raw: (json: string) => string,
): unknown {
  const isTree = typeof value === 'object' && value !== null;
  const entries = isTree ? Object.entries(value as object) : [];
  if (entries.length > 0 && random.next() < 0.75) {
    const [key, inner] = pick(random, entries);
    const changed = changeSomewhere(inner, random, words, raw);
    if (Array.isArray(value)) return value.map((one, index) => (String(index) === key ? changed : one));
    return Object.fromEntries(entries.map(([name, one]) => [name, name === key ? changed : one]));
  }
  if (Array.isArray(value) && random.next() < 0.6) return changeList(value, random);
  if (isTree && random.next() < 0.7) return changeObject(entries, random, words, raw);
  return newValue(value, random, words, raw);
}

function changeList(list: readonly unknown[], random: Random): unknown[] {
  const index = randomInt(random, 0, Math.max(0, list.length - 1));
  switch (randomInt(random, 0, 3)) {
    case 0:
      return list.filter((_, at) => at !== index);
    case 1:
      return [...list, list[index] ?? 1];
    case 2:
      return Array.from({ length: pick(random, [8, 9, 64, 65, 300]) }, () => list[index] ?? 1);
    default:
      return [list];
  }
}

function changeObject(
  entries: ReadonlyArray<readonly [string, unknown]>,
  random: Random,
  words: readonly string[],
  raw: (json: string) => string,
): unknown {
  const index = randomInt(random, 0, Math.max(0, entries.length - 1));
  const name = random.next() < 0.5 ? pick(random, NAMES) : pick(random, [...words, 'x']);
  switch (randomInt(random, 0, 3)) {
    case 0:
      return Object.fromEntries(entries.filter((_, at) => at !== index));
    case 1:
      return Object.fromEntries([...entries, [name, entries[index]?.[1] ?? 1]]);
    case 2:
      return Object.fromEntries(entries.map(([key, one], at) => [at === index ? name : key, one]));
    default: {
      // A name twice, which no object can hold.
      const key = JSON.stringify(entries[index]?.[0] ?? 'x');
      const rest = entries.map(([k, one]) => `${JSON.stringify(k)}:${JSON.stringify(one)}`);
      return raw(`{${[...rest, `${key}:${pick(random, RAW_VALUES)}`].join(',')}}`);
    }
  }
}

function newValue(
  old: unknown,
  random: Random,
  words: readonly string[],
  raw: (json: string) => string,
): unknown {
  if (typeof old === 'number' && random.next() < 0.4) return old + pick(random, [-1, 1, 0.5, 1e6, -1e6]);
  if (typeof old === 'string' && random.next() < 0.5) {
    const at = randomInt(random, 0, old.length);
    const piece = random.next() < 0.5 ? pick(random, [...words, 'é', '\u0000', ' ', ':', '-']) : old;
    return old.slice(0, at) + piece + old.slice(at + randomInt(random, 0, 2));
  }
  switch (randomInt(random, 0, 5)) {
    case 0:
      return 'x'.repeat(pick(random, [64, 128, 129, 256, 257, 1_025, 5_000]));
    case 1:
      return words.length === 0 ? 'w' : pick(random, words);
    case 2: {
      const depth = pick(random, [3, 30, 33, 100]);
      return raw('['.repeat(depth) + ']'.repeat(depth));
    }
    default:
      return raw(pick(random, RAW_VALUES));
  }
}
