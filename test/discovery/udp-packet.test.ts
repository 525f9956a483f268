import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DATAGRAM_BYTES_SENT_MAX, decodeDatagram, encodeDatagram } from '../../src/discovery/udp-packet.js';
import { ExoError, LIMITS } from '../../src/shared/index.js';
import { CAPABILITIES } from './fixtures.js';

const ANNOUNCEMENT = {
  nodeId: 'mac1',
  nodePort: 50060,
  capabilities: CAPABILITIES,
  priority: 4,
  interfaceName: 'eth0',
  interfaceType: 'Ethernet',
};

/** As Python's json.dumps writes it. */
const ORIGINAL =
  '{"type": "discovery", "node_id": "mac1", "grpc_port": 50060, "device_capabilities": {"model": "Test Box", "chip": "Test Chip", "memory": 1024, "flops": {"fp32": 1.0, "fp16": 2.0, "int8": 4.0}}, "priority": 4, "interface_name": "eth0", "interface_type": "Ethernet"}';

test('datagram of the original is read', () => {
  assert.deepEqual(decodeDatagram(Buffer.from(ORIGINAL)), ANNOUNCEMENT);
});

test('datagram sent has the original’s fields in the original’s order, and no others', () => {
  const sent = encodeDatagram(ANNOUNCEMENT).toString();
  assert.equal(sent, JSON.stringify(JSON.parse(ORIGINAL)));
});

test('datagram sent is at most 1200 bytes, whatever the machine is called', () => {
  const long = 'ü'.repeat(5_000);
  const bytes = encodeDatagram({
    ...ANNOUNCEMENT,
    nodeId: '\u20ac'.repeat(LIMITS.nodeIdCharsMax),
    capabilities: { ...CAPABILITIES, model: long, chip: long },
    interfaceName: long,
  });
  assert.ok(bytes.length <= DATAGRAM_BYTES_SENT_MAX, `${bytes.length} bytes`);
  assert.equal(decodeDatagram(bytes).nodePort, 50060);
  assert.throws(
    () => encodeDatagram({ ...ANNOUNCEMENT, nodeId: 'x'.repeat(1_300) }),
    (error) =>
      error instanceof ExoError && error.code === 'candidate-invalid' && /--node-id/.test(error.message),
  );
});

test('datagram without optional fields is read with the original’s defaults', () => {
  const heard = decodeDatagram(Buffer.from('{"type":"discovery","node_id":"x","grpc_port":1}'));
  assert.equal(heard.capabilities.model, 'Unknown Model');
  assert.deepEqual([heard.priority, heard.interfaceType], [0, 'Other']);
});

test('datagram claims are cut to what an interface can have, and made printable', () => {
  const heard = decodeDatagram(
    Buffer.from(
      JSON.stringify({
        ...(JSON.parse(ORIGINAL) as object),
        priority: 1e9,
        interface_name: `\u001b[2J${'x'.repeat(500)}`,
      }),
    ),
  );
  assert.equal(heard.priority, 7);
  assert.match(heard.interfaceName, /^\\u001b\[2Jx+…$/);
  assert.ok(heard.interfaceName.length < 80);
});

test('datagram that is none is refused with the reason', async (t) => {
  const with_ = (change: object) => JSON.stringify({ ...(JSON.parse(ORIGINAL) as object), ...change });
  const cases: ReadonlyArray<readonly [string, string, RegExp]> = [
    ['nothing', '', /no JSON object/],
    ['another protocol', 'M-SEARCH * HTTP/1.1', /no JSON object/],
    ['a cut object', ORIGINAL.slice(0, -1), /not complete, valid JSON/],
    ['another type', with_({ type: 'other' }), /type must be equal to constant/],
    ['no id', with_({ node_id: '' }), /node_id/],
    ['an id too long', with_({ node_id: 'x'.repeat(129) }), /node_id/],
    ['an id with control characters', with_({ node_id: 'a\nb' }), /node_id/],
    ['a port of text', with_({ grpc_port: '1' }), /grpc_port must be integer/],
    ['a port out of range', with_({ grpc_port: 65536 }), /grpc_port/],
    ['a negative memory', with_({ device_capabilities: { memory: -1 } }), /device_capabilities\.memory/],
    [
      'more than the limit',
      with_({ node_id: 'x', more: 'y'.repeat(LIMITS.datagramBytesMax) }),
      /no JSON object/,
    ],
  ];
  for (const [what, text, expected] of cases) {
    await t.test(what, () => {
      assert.throws(
        () => decodeDatagram(Buffer.from(text)),
        (error) =>
          error instanceof ExoError && error.code === 'candidate-invalid' && expected.test(error.message),
      );
    });
  }
});
