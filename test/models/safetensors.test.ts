/** The head of a safetensors file is checked before it is believed. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { parseSafetensorsHeader, readSafetensors, safetensorsHeaderBytes } from '../../src/models/index.js';
import { ExoError, LIMITS } from '../../src/shared/index.js';
import '../support/leaks.js';
import { safetensorsBytes, temporaryFolder, tensorsFile } from './checkpoint-files.js';

const never = new AbortController().signal;
const A = { dtype: 'F32', shape: [2, 2], data_offsets: [0, 16] };

function invalid(says: RegExp) {
  return (error: unknown) => {
    assert.ok(error instanceof ExoError, String(error));
    assert.equal(error.code, 'checkpoint-invalid');
    assert.match(error.message, says);
    assert.match(error.message, /exo model pull/);
    return true;
  };
}

describe('a safetensors header', () => {
  it('gives name, type, shape and place of every tensor, whatever the order of the names', async (t) => {
    const file = path.join(temporaryFolder(t), 'a.safetensors');
    const header = {
      __metadata__: { format: 'pt' },
      b: { dtype: 'BF16', shape: [3], data_offsets: [16, 22] },
      'a.weight': A,
      empty: { dtype: 'F16', shape: [0, 5], data_offsets: [16, 16] },
      scalar: { dtype: 'I64', shape: [], data_offsets: [22, 30] },
    };
    writeFileSync(file, safetensorsBytes(header, 30));
    const start = 8 + JSON.stringify(header).length;
    assert.deepEqual(
      [...(await readSafetensors(file, never)).values()],
      [
        { name: 'a.weight', type: 'F32', shape: [2, 2], offset: start, bytes: 16 },
        { name: 'empty', type: 'F16', shape: [0, 5], offset: start + 16, bytes: 0 },
        { name: 'b', type: 'BF16', shape: [3], offset: start + 16, bytes: 6 },
        { name: 'scalar', type: 'I64', shape: [], offset: start + 22, bytes: 8 },
      ],
    );
  });

  it('may be padded with spaces, and its file may hold no tensor', async (t) => {
    const file = path.join(temporaryFolder(t), 'a.safetensors');
    writeFileSync(file, safetensorsBytes(`${JSON.stringify({ a: A })}     `, 16));
    assert.equal((await readSafetensors(file, never)).size, 1);
    writeFileSync(file, safetensorsBytes('{}'));
    assert.equal((await readSafetensors(file, never)).size, 0);
  });

  const bad: ReadonlyArray<readonly [why: string, header: string | object, dataBytes: number, says: RegExp]> =
    [
      ['no JSON', '{"a":', 0, /a\.safetensors has a header that is not JSON/],
      ['a list', '[]', 0, /not a JSON object/],
      ['a name twice', `{"a":${JSON.stringify(A)}, "\\u0061" :${JSON.stringify(A)}}`, 16, /names "a" twice/],
      [
        'a field twice',
        '{"a":{"dtype":"F32","dtype":"F16","shape":[],"data_offsets":[0,2]}}',
        2,
        /"dtype" twice/,
      ],
      ['no description', { a: 1 }, 0, /tensor "a" is not described/],
      ['no type', { a: { ...A, dtype: null } }, 16, /tensor "a" has no type/],
      ['an unknown type', { a: { ...A, dtype: 'Q4' } }, 16, /unknown type "Q4"/],
      ['a type of Object', { a: { ...A, dtype: 'toString' } }, 16, /unknown type "toString"/],
      ['a shape of fractions', { a: { ...A, shape: [0.5] } }, 16, /tensor "a" has a shape/],
      ['a shape below 0', { a: { ...A, shape: [-2, -2] } }, 16, /tensor "a" has a shape/],
      ['a shape beyond whole numbers', { a: { ...A, shape: [2 ** 53] } }, 16, /tensor "a" has a shape/],
      ['a shape that overflows', { a: { ...A, shape: [2 ** 40, 2 ** 40] } }, 16, /not the size of F32/],
      ['too many dimensions', { a: { ...A, shape: [1, 1, 1, 1, 1, 1, 1, 2, 2] } }, 16, /at most 8/],
      ['one offset', { a: { ...A, data_offsets: [0] } }, 16, /not two whole numbers/],
      ['offsets the wrong way', { a: { ...A, shape: [], data_offsets: [16, 12] } }, 16, /16 to 12/],
      [
        'fewer bytes than the shape',
        { a: { ...A, data_offsets: [0, 12] } },
        12,
        /not the size of F32 \[2, 2\]/,
      ],
      ['a gap', { a: A, b: { ...A, data_offsets: [20, 36] } }, 36, /tensor "b" leaves a gap/],
      ['a gap at the start', { a: { ...A, data_offsets: [4, 20] } }, 20, /tensor "a" leaves a gap/],
      ['an overlap', { a: A, b: { ...A, data_offsets: [8, 24] } }, 24, /tensor "b" begins within/],
      [
        'an end behind the file',
        { a: A },
        15,
        /tensor "a" ends at byte \d+, and the file at \d+: it is cut off/,
      ],
      ['more bytes than tensors', { a: A }, 20, /4 bytes behind its last tensor/],
      ['a name with control characters', { '\u001b[2J': 1 }, 0, /tensor "\\u001b\[2J"/],
    ];
  for (const [why, header, dataBytes, says] of bad) {
    it(`is refused with ${why}`, async (t) => {
      const file = path.join(temporaryFolder(t), 'a.safetensors');
      writeFileSync(file, safetensorsBytes(header, dataBytes));
      await assert.rejects(readSafetensors(file, never), invalid(says));
    });
  }

  it('is refused where the file is shorter than it says, wherever it is cut', async (t) => {
    const file = path.join(temporaryFolder(t), 'a.safetensors');
    const whole = tensorsFile([{ name: 'a', type: 'F32', shape: [4] }]);
    for (let length = 0; length < whole.length; length += 1) {
      writeFileSync(file, whole.subarray(0, length));
      await assert.rejects(readSafetensors(file, never), invalid(/cut off|not even the length/));
    }
  });

  it('of 10 GB is refused before memory is taken for it, in a file that has as many', async (t) => {
    const file = path.join(temporaryFolder(t), 'a.safetensors');
    const start = Buffer.alloc(8);
    start.writeBigUInt64LE(10_000_000_000n);
    writeFileSync(file, start);
    // Sparse: it takes no room.
    truncateSync(file, 11_000_000_000);
    const before = process.memoryUsage.rss();
    await assert.rejects(
      readSafetensors(file, never),
      invalid(/header of 10000000000 bytes; at most 100000000/),
    );
    assert.ok(process.memoryUsage.rss() - before < 50_000_000);
    start.writeBigUInt64LE(2n ** 64n - 1n);
    assert.throws(
      () => safetensorsHeaderBytes(start, { file, fileBytes: 2 ** 40 }),
      invalid(/18446744073709551615/),
    );
  });

  it('is bounded in its length, and one at the bound is read', () => {
    const start = Buffer.alloc(8);
    start.writeBigUInt64LE(BigInt(LIMITS.safetensorsHeaderBytesMax));
    const fileBytes = 8 + LIMITS.safetensorsHeaderBytesMax;
    assert.equal(safetensorsHeaderBytes(start, { file: 'f', fileBytes }), LIMITS.safetensorsHeaderBytesMax);
    assert.throws(
      () => safetensorsHeaderBytes(start, { file: 'f', fileBytes: fileBytes - 1 }),
      invalid(/cut off/),
    );
  });

  it('that is not UTF-8 is refused', () => {
    const header = Buffer.concat([Buffer.from('{"'), Buffer.from([0xff]), Buffer.from('":1}')]);
    assert.throws(() => parseSafetensorsHeader(header, { file: 'f', fileBytes: 100 }), invalid(/not JSON/));
  });
});

describe('a safetensors file', () => {
  it('that is not there, is a folder or is a pipe is refused without waiting', async (t) => {
    const folder = temporaryFolder(t);
    await assert.rejects(readSafetensors(path.join(folder, 'x'), never), invalid(/is not there/));
    await assert.rejects(readSafetensors(folder, never), invalid(/is a folder/));
    if (process.platform === 'win32') return;
    const pipe = path.join(folder, 'pipe');
    execFileSync('mkfifo', [pipe]);
    await assert.rejects(readSafetensors(pipe, never), invalid(/not a regular file/));
  });

  it('is not read any more when the caller gave up', async (t) => {
    const file = path.join(temporaryFolder(t), 'a.safetensors');
    writeFileSync(file, safetensorsBytes({ a: A }, 16));
    await assert.rejects(readSafetensors(file, AbortSignal.abort(new Error('enough'))), /enough/);
  });
});
