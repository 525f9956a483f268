/** What the commands print for people. */
import assert from 'node:assert/strict';
import test from 'node:test';
import type { PeerJson, StatusJson, TopologyJson } from '../../src/cli/api-shapes.js';
import { columns } from '../../src/cli/format/columns.js';
import { formatPeers, peerLines } from '../../src/cli/format/peers.js';
import { formatSummary, formatTry, summarize } from '../../src/cli/format/ping.js';
import { formatPlan } from '../../src/cli/format/plan.js';
import { formatStatus } from '../../src/cli/format/status.js';
import { formatTopology } from '../../src/cli/format/topology.js';
import * as units from '../../src/cli/format/units.js';
import { colours, wantsColour } from '../../src/cli/host.js';

const plain = colours({ write: () => undefined }, { NO_COLOR: '1' });
const CAPS = { model: 'Box', chip: 'M1', memory: 16_384, flops: { fp32: 2.29, fp16: 4.58, int8: 9.16 } };

function peer(change: Partial<PeerJson> = {}): PeerJson {
  return {
    id: 'mac2',
    aliases: [],
    state: 'alive',
    reason: 'heard',
    protocol: 'exo',
    address: '127.0.0.1:50052',
    direction: 'out',
    description: 'MAN',
    encrypted: false,
    trust: null,
    rtt_ms: 0.42,
    bytes_per_s: 117_600_000,
    silent_ms: 300,
    bytes_in: 100,
    bytes_out: 2048,
    capabilities: CAPS,
    next_dial_ms: null,
    ...change,
  };
}

const TOPOLOGY: TopologyJson = {
  nodes: { mac1: CAPS, mac2: { ...CAPS, memory: 0, flops: { fp32: 0, fp16: 0, int8: 0 } } },
  peer_graph: {
    mac2: [{ from_id: 'mac2', to_id: 'mac1', description: 'MAN' }],
    mac1: [{ from_id: 'mac1', to_id: 'mac2', description: 'Ethernet (eth0)' }],
  },
  active_node_id: 'mac2',
  self_id: 'mac1',
  legacy_ids: ['mac2'],
  digest: '0123456789abcdef',
  partitions: [
    { node_id: 'mac1', start: 0, end: 0.6 },
    { node_id: 'mac2', start: 0.6, end: 1 },
  ],
};

test('rates of links are told in kilo- and megabytes, and those that were not measured not at all', () => {
  assert.deepEqual([null, 350_400, 1_240_000, 12_500_000].map(units.rate), [
    '-',
    '350 kB/s',
    '1.2 MB/s',
    '13 MB/s',
  ]);
});

test('a plan says of each path and of fetching whether it was measured', () => {
  const lines = formatPlan(
    {
      schema_version: 1,
      model: 'm',
      reason: 'over a, b: no node has the memory for all layers',
      ring: [
        { node_id: 'a', start_layer: 0, end_layer: 3 },
        { node_id: 'b', start_layer: 4, end_layer: 7 },
      ],
      predicted: {
        tokens_per_s: 41.23,
        first_token_ms: 3_250,
        fetch_ms: 3_000,
        paths_assumed: true,
        fetch_assumed: true,
        load_ms: 1_500,
        load_assumed: true,
      },
      paths: [
        { from: 'a', to: 'b', rtt_ms: 0.31, bytes_per_s: 117_600_000, measured: true },
        { from: 'b', to: 'a', rtt_ms: 100, bytes_per_s: 2_000_000, measured: false },
      ],
      outsiders: [],
    },
    plain,
  );
  assert.match(lines.join('\n'), /3\.00 s of it to fetch files \(how fast they come was not measured\)/);
  assert.match(lines.join('\n'), /1\.50 s of it to load weights \(how fast they come was not measured\)/);
  assert.match(lines.at(-2)!, /^ {2}a -> b +0\.31 ms +118 MB\/s, measured$/);
  assert.match(lines.at(-1)!, /^ {2}b -> a +100 ms +2\.0 MB\/s, assumed$/);
});

test('durations have at most two units', () => {
  assert.deepEqual([0, 850, 1_000, 12_400, 60_000, 185_000, 7_440_000, 262_800_000].map(units.duration), [
    '0 ms',
    '850 ms',
    '1 s',
    '12 s',
    '1 min',
    '3 min 5 s',
    '2 h 4 min',
    '3 d 1 h',
  ]);
});

test('round trips, sizes, memory and shares are short', () => {
  assert.deepEqual([null, 0.424, 12.34, 150.6].map(units.roundTrip), ['-', '0.42 ms', '12.3 ms', '151 ms']);
  assert.deepEqual([0, 1536, 20 * 2 ** 20].map(units.bytes), ['0 B', '1.5 KiB', '20 MiB']);
  assert.deepEqual([0, 512, 1536, 24_000].map(units.memory), ['-', '512 MB', '1.5 GB', '23 GB']);
  assert.equal(units.share(0.333, 1), '33-100 %');
  assert.deepEqual([null, 10, 5_000].map(units.ago), ['never', 'now', '5 s ago']);
});

test('peers are one line each: name, state, address, direction, round trip, rate, last heard, description', () => {
  const lines = formatPeers(
    { schema_version: 1, peers: [peer()], refusals: [], spare_addresses: [], warnings: [] },
    false,
    0,
    plain,
  );
  assert.equal(lines.length, 2);
  assert.match(
    lines[1]!,
    /^ {2}mac2 +alive +127\.0\.0\.1:50052 +out +0\.42 ms +118 MB\/s +now +100 B\/2\.0 KiB +MAN$/,
  );
});

test('a peer that is not alive says why and when it is tried again; one that is gone needs --all', () => {
  const peers = [
    peer({ id: 'a', state: 'connecting', reason: 'refused the connection', next_dial_ms: 1500 }),
    peer({ id: 'b', state: 'left', reason: 'said goodbye' }),
  ];
  const view = { schema_version: 1, peers, refusals: [], spare_addresses: [], warnings: [] };
  const few = formatPeers(view, false, 0, plain).join('\n');
  assert.match(few, /a: refused the connection; next try in 1 s/);
  assert.match(few, /1 peer gone: exo peers --all/);
  assert.doesNotMatch(few, /goodbye/);
  assert.match(formatPeers(view, true, 0, plain).join('\n'), /b: said goodbye/);
});

test('--all tells what was refused and why; warnings stand in a block of their own', () => {
  const view = {
    schema_version: 1,
    peers: [],
    refusals: [
      { module: 'udp', subject: '10.0.0.9', code: 'self-address', reason: 'this node itself', at_ms: 1_000 },
    ],
    spare_addresses: [
      {
        module: 'manual',
        subject: 'b at 10.0.0.7:50051',
        code: 'address-spare',
        reason: 'not used',
        at_ms: 1_000,
      },
    ],
    warnings: [{ code: 'duplicate-id', message: 'give one of them another --node-id', at_ms: 0 }],
  };
  const lines = formatPeers(view, true, 6_000, plain);
  assert.deepEqual(lines, [
    'no peers',
    '',
    'refused (1)',
    '  10.0.0.9 (udp, 5 s ago): this node itself',
    '',
    'other addresses (1)',
    '  b at 10.0.0.7:50051 (manual, 5 s ago): not used',
    '',
    '# warnings',
    '  - duplicate-id: give one of them another --node-id',
  ]);
});

test('topology shows the ring in its order and every edge', () => {
  const lines = formatTopology(TOPOLOGY, plain);
  assert.equal(lines[0], '2 nodes, 2 edges, view 0123456789abcdef');
  assert.match(lines[2]!, /^ {2}mac1 \(asked\) +Box +M1 +16 GB +4\.58 TFLOPS +0-60 %$/);
  assert.match(lines[3]!, /^ {2}mac2 \(working, old\) +Box +M1 +- +- +60-100 %$/);
  assert.match(lines[5]!, /mac1 +→ +mac2 +Ethernet \(eth0\)/);
  assert.match(lines[6]!, /mac2 +→ +mac1 +MAN/);
});

test('status shows the node, its ring, its peers and the warnings', () => {
  const status: StatusJson = {
    schema_version: 1,
    peers: [peer(), peer({ id: 'mac3', state: 'suspect', reason: 'silent' })],
    refusals: [],
    spare_addresses: [],
    warnings: [{ code: 'x', message: 'mend it', at_ms: 0 }],
    tunnels: [],
    version: '0.1.0',
    uptime_ms: 65_000,
    self: {
      id: 'mac1',
      instance: '0'.repeat(16),
      node_host: '127.0.0.1',
      node_port: 50060,
      started_at_ms: 0,
      capabilities: CAPS,
      discovery: [{ module: 'manual', state: '1 peer' }],
    },
    topology: TOPOLOGY,
    models: [{ id: 'dummy', name: 'Dummy', ready: true, n_layers: 8 }],
  };
  const text = formatStatus(status, { api: '127.0.0.1:52416', pid: 7 }, plain).join('\n');
  for (const pattern of [
    /^mac1 {2}up 1 min 5 s, exo 0\.1\.0, 1 of 2 peers alive$/m,
    /api +http:\/\/127\.0\.0\.1:52416 \(pid 7\)/,
    /discovery manual +1 peer/,
    /ring +mac1 0-60 % → mac2 60-100 %/,
    /mac3: silent/,
    /^# warnings\n {2}- x: mend it$/m,
  ]) {
    assert.match(text, pattern);
  }
  assert.doesNotMatch(text, /turned away/);
  const sheds = [
    { reason: 'handshake-full', count: 12 },
    { reason: 'http-too-slow', count: 3 },
  ];
  const busy = formatStatus({ ...status, sheds }, { api: '127.0.0.1:52416' }, plain).join('\n');
  assert.match(busy, /^ {2}turned away +12 handshake-full, 3 http-too-slow$/m);
});

test('what a peer said cannot steer the terminal', () => {
  const evil = '\u001b]0;owned\u0007\u202e';
  const bad = peer({
    id: evil,
    description: evil,
    address: evil,
    state: 'suspect',
    reason: evil,
    aliases: [evil],
  });
  const view = {
    schema_version: 1,
    peers: [bad],
    refusals: [{ module: evil, subject: evil, code: 'x', reason: evil, at_ms: 0 }],
    spare_addresses: [{ module: evil, subject: evil, code: 'x', reason: evil, at_ms: 0 }],
    warnings: [{ code: evil, message: evil, at_ms: 0 }],
  };
  const topology = { ...TOPOLOGY, nodes: { [evil]: { ...CAPS, model: evil, chip: evil } }, partitions: [] };
  const text = [
    ...formatPeers(view, true, 0, plain),
    ...formatTopology({ ...topology, digest: evil }, plain),
    formatTry({ seq: 1, rttMs: 1, id: evil, address: evil, direction: 'in' }),
    formatTry({ seq: 1, error: { code: 'x', message: evil } }),
  ].join('\n');
  assert.doesNotMatch(text, /[\u001b\u0007\u202e]/);
});

test('ping lines and their summary', () => {
  const tries = [
    { seq: 1, rttMs: 1, id: 'b', address: '10.0.0.2:50051', direction: 'out' },
    { seq: 2, error: { code: 'request-timeout', message: 'no answer within 5 s' } },
    { seq: 3, rttMs: 3, id: 'b', address: '10.0.0.2:4711', direction: 'in' },
  ];
  assert.deepEqual(tries.map(formatTry), [
    'b at 10.0.0.2:50051: seq 1, 1.00 ms',
    'seq 2: no answer within 5 s',
    'b over the connection it opened from 10.0.0.2:4711: seq 3, 3.00 ms',
  ]);
  assert.equal(
    formatSummary('b', summarize(tries)),
    'b: 3 sent, 2 answered, min 1.00 ms, avg 2.00 ms, max 3.00 ms',
  );
  assert.equal(formatSummary('b', summarize([tries[1]!])), 'b: 1 sent, 0 answered');
});

test('columns line up for wide characters and have no trailing spaces', () => {
  const lines = columns([
    ['節', 'x'],
    ['ab', 'y'],
  ]);
  assert.deepEqual(lines, ['  節  x', '  ab  y']);
  assert.deepEqual(columns([]), []);
});

test('colours: NO_COLOR over FORCE_COLOR over the terminal', () => {
  const tty = { write: () => undefined, isTTY: true };
  const pipe = { write: () => undefined };
  assert.equal(wantsColour(tty, {}), true);
  assert.equal(wantsColour(pipe, {}), false);
  assert.equal(wantsColour(tty, { NO_COLOR: '1', FORCE_COLOR: '1' }), false);
  assert.equal(wantsColour(tty, { NO_COLOR: '' }), true);
  assert.equal(wantsColour(pipe, { FORCE_COLOR: '1' }), true);
  assert.equal(wantsColour(tty, { FORCE_COLOR: '0' }), false);
  assert.equal(wantsColour(tty, { TERM: 'dumb' }), false);
});

test('how peers are trusted is a column as soon as one of them is, or is encrypted', () => {
  const lines = (...peers: PeerJson[]) => peerLines(peers, plain, (text) => text);
  assert.doesNotMatch(lines(peer(), peer({ id: 'mac3' }))[0]!, /TRUST/);
  const mixed = lines(
    peer({ trust: 'mesh key 0123abcd', encrypted: true }),
    peer({ id: 'mac3' }),
    peer({ encrypted: true }),
  );
  assert.match(mixed[0]!, /^ *NAME +STATE +TRUST +ADDRESS/);
  assert.match(mixed[1]!, /alive +mesh key 0123abcd +127/);
  assert.match(mixed[2]!, /alive +plain +127/);
  assert.match(mixed[3]!, /alive +encrypted +127/);
});
