import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AnnounceReader, decodeAnnounce, encodeAnnounce } from '../../src/discovery/announce.js';
import { ExoError, LIMITS } from '../../src/shared/index.js';
import fc from '../support/properties.js';
import { CAPABILITIES } from './fixtures.js';

const ANNOUNCE = { nodeId: 'mac1', nodePort: 50060, capabilities: CAPABILITIES };

/** As Python's json.dumps writes it. */
const ORIGINAL =
  '{"type": "announce", "node_id": "mac1", "grpc_port": 50060, "device_capabilities": {"model": "Test Box", "chip": "Test Chip", "memory": 1024, "flops": {"fp32": 1.0, "fp16": 2.0, "int8": 4.0}}}';

test('announce of the original is read, and ours has its fields in its order', () => {
  assert.deepEqual(decodeAnnounce(Buffer.from(ORIGINAL)), ANNOUNCE);
  assert.equal(encodeAnnounce(ANNOUNCE).toString(), JSON.stringify(JSON.parse(ORIGINAL)));
});

test('announce reader gives the same object whatever the pieces, and ignores what follows', () => {
  const text = JSON.stringify({ a: '}{"\\', b: { c: [{}] }, 'ü}': '\u20ac{' });
  const bytes = Buffer.from(`\n ${text}`);
  const whole = Buffer.concat([bytes, Buffer.from('{"more": 1}')]);
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: whole.length })), (cuts) => {
      const reader = new AnnounceReader();
      const ends = [...new Set([...cuts, whole.length])].sort((x, y) => x - y);
      let start = 0;
      for (const end of ends) {
        const object = reader.push(whole.subarray(start, end));
        start = end;
        if (object === undefined) continue;
        assert.equal(object.toString(), bytes.toString());
        assert.ok(end >= bytes.length, 'not before its last brace is there');
        return;
      }
      assert.fail('never whole');
    }),
  );
});

test('announce reader refuses at once what cannot become an announce', async (t) => {
  const cases: ReadonlyArray<readonly [string, string, RegExp]> = [
    ['another protocol', 'GET / HTTP/1.1', /not an announce/],
    ['a list', '[', /not an announce/],
    ['deep nesting', '{"a":'.repeat(LIMITS.jsonDepthMax + 1), /nested too deep/],
    ['a text without end', `{"${'x'.repeat(LIMITS.announceBytesMax)}`, /longer than 65536 bytes/],
  ];
  for (const [what, text, expected] of cases) {
    await t.test(what, () => {
      assert.throws(
        () => new AnnounceReader().push(Buffer.from(text)),
        (error) => error instanceof ExoError && expected.test(error.message),
      );
    });
  }
});

test('announce that is none is refused with the reason', async (t) => {
  const cases: ReadonlyArray<readonly [string, string, RegExp]> = [
    ['broken JSON', '{"type": }', /not complete, valid JSON/],
    ['another type', '{"type":"discovery","node_id":"x","grpc_port":1}', /type must be equal/],
    ['no port', '{"type":"announce","node_id":"x"}', /grpc_port/],
    [
      'an id with a C1 character',
      '{"type":"announce","node_id":"x\u009b","grpc_port":1}',
      /node_id must match/,
    ],
    [
      'an id with a bidi override',
      '{"type":"announce","node_id":"x\u202e","grpc_port":1}',
      /node_id must match/,
    ],
    ['an id that is a number', '{"type":"announce","node_id":1,"grpc_port":1}', /node_id must be string/],
  ];
  for (const [what, text, expected] of cases) {
    await t.test(what, () => {
      assert.throws(
        () => decodeAnnounce(Buffer.from(text)),
        (error) => error instanceof ExoError && expected.test(error.message),
      );
    });
  }
});
