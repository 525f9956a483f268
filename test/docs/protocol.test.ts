/** docs/PROTOCOL.md says what the program does: its frames, tables and bounds are held against the code. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';
import { TYPE } from '../../src/protocol/frame.js';
import { ITEM_BYTES, isBaseType, typeLimitBytes } from '../../src/protocol/index.js';
import { isErrorCode, LIMITS } from '../../src/shared/index.js';
import { TopologyView } from '../../src/topology/index.js';
import { documentedFrames } from '../support/documented-frames.js';
import { GOLDEN_FRAMES } from '../support/golden-frames.js';
import { blocks, codeSpans, read, section, tableRows } from './documents.js';

const TEXT = read('docs/PROTOCOL.md');

/** Frames of an appendix: a name in backticks, then a block of hex in which `(hh)xN` stands for N bytes. */
function framesOf(part: string): Map<string, string> {
  const found = [...part.matchAll(/^`(\w+)`\n\n```hex\n([\s\S]*?)^```/gm)];
  return new Map(
    found.map(([, name, hex]) => [
      name!,
      hex!
        .replace(/\s/g, '')
        .replace(/\(([0-9a-f]{2})\)x(\d+)/g, (_, byte: string, count: string) => byte.repeat(Number(count))),
    ]),
  );
}

/** First column to row, for the table whose first header cell is `head`. */
function rowsUnder(part: string, ...head: string[]): string[][] {
  const rows = tableRows(part);
  const start = rows.findIndex((row) => head.every((cell, index) => row[index] === cell));
  assert.ok(start >= 0, `there is no table "${head.join(' | ')}"`);
  const width = rows[start]!.length;
  const behind = rows.slice(start + 1);
  const end = behind.findIndex((row) => row.length !== width);
  return end < 0 ? behind : behind.slice(0, end);
}

describe('the golden frames in the document', () => {
  it('are those of the original, all of them', () => {
    assert.deepEqual(Object.fromEntries(framesOf(section(TEXT, 'A.'))), GOLDEN_FRAMES);
  });

  it('of the correlated form are what the shipped connection writes', async () => {
    const written = new Map<string, string>();
    for (const [name, frame] of await documentedFrames()) written.set(name, frame.toString('hex'));
    assert.deepEqual(framesOf(section(TEXT, 'B.')), written);
  });
});

describe('the tables in the document', () => {
  it('name every type code, and whether it is of the base protocol', () => {
    const rows = rowsUnder(section(TEXT, '2.'), 'type', 'name', 'base').filter(([code]) => code !== '');
    const told = Object.fromEntries(rows.map(([code, name]) => [name!, Number(code)]));
    assert.deepEqual(told, { ...TYPE });
    for (const [code, name, base] of rows) {
      assert.equal(base !== 'no', isBaseType(Number(code)), `${name}: base form`);
    }
  });

  it('give every element type its size', () => {
    const told: Record<string, number> = {};
    for (const row of rowsUnder(section(TEXT, '5.'), 'dtype', 'bytes')) {
      for (let at = 0; at + 1 < row.length; at += 2) {
        if (row[at] !== '') told[row[at]!.replaceAll('`', '')] = Number(row[at + 1]);
      }
    }
    assert.deepEqual(told, { ...ITEM_BYTES });
  });

  it('give every type its limit', () => {
    const rows = rowsUnder(section(TEXT, '10.'), 'type', 'longest body');
    const named = new Map<number, number>();
    let others = 0;
    for (const [types, limit] of rows) {
      const name = /`(\w+)`/.exec(limit!)![1] as keyof typeof LIMITS;
      if (types === 'everything else, unknown types included') others = LIMITS[name];
      else for (const [code] of types!.matchAll(/0x[0-9a-f]{2}/g)) named.set(Number(code), LIMITS[name]);
    }
    for (let type = 0; type < 0x80; type += 1) {
      assert.equal(named.get(type) ?? others, typeLimitBytes(type), `0x${type.toString(16)}`);
    }
  });
});

describe('what the document quotes', () => {
  it('as a bound is the bound', () => {
    const values = new Map(tableRows(read('docs/LIMITS.md')).map(([name, value]) => [name!, value!]));
    const quoted = [...TEXT.matchAll(/\((`[a-z]\w*[A-Z]\w*`)\)/g)];
    assert.ok(quoted.length > 30, `only ${quoted.length} bounds were found`);
    for (const { 1: name, index } of quoted) {
      const limit = values.get(name!);
      assert.ok(limit !== undefined, `there is no bound ${name}`);
      // The last number before the name, with its unit, and a few words between them.
      const before = TEXT.slice(Math.max(0, index - 60), index).replace(/\s+/g, ' ');
      const told = /.*?([\d,.]*\d(?: (?:bytes|KiB\/s|KiB|MiB|GiB|ms|s|min)\b)?)\D*$/.exec(before)?.[1];
      assert.equal(told, limit.replace(/ (characters|per second)$/, ''), `…${before}(${name})`);
    }
  });

  it('as a bound is quoted with its value', () => {
    const named = codeSpans(TEXT).filter((span) => Object.hasOwn(LIMITS, span));
    const quoted = new Set([...TEXT.matchAll(/\(`(\w+)`\)/g)].map((match) => match[1]!));
    const bare = named.filter((name) => !quoted.has(name));
    assert.deepEqual(bare, []);
  });

  it('as an error code is one', () => {
    const codes = codeSpans(TEXT).filter((span) => /^[a-z]+(?:-[a-z]+)+$/.test(span));
    assert.ok(codes.length > 15);
    assert.deepEqual(
      codes.filter((code) => !isErrorCode(code)),
      [],
    );
  });

  it('as a digest comes out of the texts beside it, and out of the program', () => {
    const part = section(TEXT, 'C.');
    const told = /the digest: `([0-9a-f]{16})`/.exec(part)![1];
    const texts = blocks(part, 'json')[0]!.trimEnd().split('\n').join('');
    assert.equal(createHash('sha256').update(texts).digest('hex').slice(0, 16), told);
    const capabilities = { model: 'M', chip: 'C', memory: 1024, flops: { fp32: 0, fp16: 0, int8: 0 } };
    const view = new TopologyView({ id: 'a', epoch: 1, capabilities, wallMs: () => 1 });
    view.introduce('b', 2, capabilities);
    view.addEdge('b', 'MAN');
    assert.equal(view.digest(), told);
  });
});
