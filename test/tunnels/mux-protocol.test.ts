/** The bytes of ssh's control socket: vectors as OpenSSH 9.2 takes and gives them, any chunking, and nonsense. */
import assert from 'node:assert/strict';
import test from 'node:test';
import {
  LengthPrefixed,
  muxAliveCheck,
  muxHello,
  muxOpenForward,
  readMuxAnswer,
} from '../../src/tunnels/openssh/mux-protocol.js';
import fc from '../support/properties.js';
import '../support/leaks.js';
import { LIMITS } from '../../src/shared/index.js';

const hex = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex');

test('mux requests are as PROTOCOL.mux says', () => {
  assert.deepEqual(muxHello(), hex('00000008 00000001 00000004'));
  assert.deepEqual(muxAliveCheck(7), hex('00000008 10000004 00000007'));
  assert.deepEqual(
    muxOpenForward(2, 'L', { kind: 'tcp', host: '::1', port: 80 }, { kind: 'unix', path: '/s' }),
    hex('00000021 10000006 00000002 00000001 00000003 3a3a31 00000050 00000002 2f73 fffffffe'),
  );
  assert.equal(
    muxOpenForward(
      3,
      'R',
      { kind: 'tcp', host: 'a', port: 0 },
      { kind: 'tcp', host: 'b', port: 1 },
    ).readUInt32BE(12),
    2,
  );
});

test('mux answers are read', () => {
  assert.deepEqual(readMuxAnswer(hex('00000001 00000004')), { kind: 'hello', version: 4 });
  assert.deepEqual(readMuxAnswer(hex('80000001 00000002')), { kind: 'ok', id: 2 });
  assert.deepEqual(readMuxAnswer(hex('80000007 00000004 00008f81')), { kind: 'port', id: 4, port: 36737 });
  assert.deepEqual(readMuxAnswer(hex('80000005 00000001 00005bf8')), { kind: 'alive', id: 1, pid: 23544 });
  assert.deepEqual(readMuxAnswer(hex('80000003 00000003 00000002 6e6f')), {
    kind: 'refused',
    id: 3,
    text: 'no',
  });
  assert.deepEqual(readMuxAnswer(hex('80000099')), { kind: 'other', type: 0x80000099 });
  assert.throws(() => readMuxAnswer(hex('80000001 0000')), RangeError);
});

test('mux messages come out the same in any pieces', () => {
  const bodies = [
    hex('00000001 00000004'),
    hex('80000001 00000002'),
    Buffer.alloc(0),
    Buffer.alloc(3_000, 7),
  ];
  const bytes = Buffer.concat(bodies.flatMap((body) => [lengthOf(body.length), body]));
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 700 }), { maxLength: 40 }), (sizes) => {
      const reader = new LengthPrefixed(LIMITS.muxMessageBytesMax);
      const out: Buffer[] = [];
      let offset = 0;
      for (const size of [...sizes, bytes.length]) {
        out.push(...[...reader.push(bytes.subarray(offset, offset + size))].map((body) => Buffer.from(body)));
        offset = Math.min(offset + size, bytes.length);
      }
      assert.deepEqual(out, bodies);
    }),
  );
});

test('a mux message longer than allowed is refused at its length', () => {
  const reader = new LengthPrefixed(LIMITS.muxMessageBytesMax);
  assert.throws(() => [...reader.push(lengthOf(LIMITS.muxMessageBytesMax + 1))], RangeError);
});

function lengthOf(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
