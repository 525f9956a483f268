/** What strangers send, and what it costs: at most their own connection and one line in the log. */
import assert from 'node:assert/strict';
import net from 'node:net';
import { performance } from 'node:perf_hooks';
import test from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { eventually, inTime } from '../support/eventually.js';
import { edges, nodeIds, topology } from '../support/http.js';
import { assertHealthy, startNode, withNode } from '../support/one-node.js';
import { freePort, freePorts } from '../support/ports.js';
import { Cleanup, type RunningNode, residentBytes, startExo } from '../support/processes.js';
import { promise } from '../support/promise.js';
import { header, openLegacy, portCheck, sendRaw } from '../support/raw-client.js';
import { repeats } from '../support/repeats.js';

const MIB = 1024 * 1024;
/** pino's number for `warn`. */
const WARN = 40;

interface LogLine {
  readonly level: number;
  readonly msg: string;
  readonly [field: string]: unknown;
}

/** The JSON lines of a node's log from `from` characters on. */
function logLines(node: RunningNode, from = 0): LogLine[] {
  return node.child.stderr
    .slice(from)
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as LogLine);
}

const STRANGERS: Record<string, Buffer> = {
  'bad magic': Buffer.from('EXO\x02\x01\x00\x00\x00\x00', 'latin1'),
  'an HTTP request': Buffer.from('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n'),
  // A real one is spoken to: test/protocol/tls-hostile.test.ts has its strangers.
  'what begins as TLS and is none': Buffer.from(`1603050200020001fc0303${'00'.repeat(60)}`, 'hex'),
  'an SSH banner': Buffer.from('SSH-2.0-OpenSSH_9.2p1\r\n'),
  'an unknown type': header(0x6e, 0),
};

test('P9 whoever speaks another protocol is closed within 100 ms without an answer and with one line', (t) =>
  withNode(async (node) => {
    const times: number[] = [];
    // The first connection also pays for code that has never run.
    await sendRaw(node.nodePort, STRANGERS['bad magic']!);
    for (const [name, bytes] of Object.entries(STRANGERS)) {
      const { received, closedAfterMs } = await sendRaw(node.nodePort, bytes);
      assert.equal(received, '', `${name}: no reply bytes`);
      assert.ok(closedAfterMs <= inTime(100), `${name}: closed after ${closedAfterMs.toFixed(0)} ms`);
      times.push(closedAfterMs);
    }
    const from = node.child.stderr.length;
    await Promise.all(Array.from({ length: 100 }, () => sendRaw(node.nodePort, STRANGERS['an SSH banner']!)));
    await assertHealthy(node);
    const warnings = logLines(node, from).filter(({ level }) => level >= WARN);
    assert.ok(warnings.length <= 2, `100 strangers made ${warnings.length} lines`);
    const all = logLines(node).filter(({ level }) => level >= WARN);
    assert.ok(all.length >= 1, 'the first one is told');
    promise(
      t,
      'P9',
      `closed ≤ ${Math.max(...times).toFixed(0)} ms; 100 strangers made ${warnings.length} lines`,
    );
  }));

test('a port check (connect and close) leaves no warning', () =>
  withNode(async (node) => {
    for (let i = 0; i < 5; i++) await portCheck(node.nodePort);
    await assertHealthy(node);
    const warnings = logLines(node).filter(({ level }) => level >= WARN);
    assert.deepEqual(warnings, []);
  }));

test('P4 ten thousand headers that announce 4 GiB are closed at the header and cost no memory', async (t) => {
  await withNode(
    async (node) => {
      const attack = async (count: number, inParallel: number) => {
        let left = count;
        const worker = async () => {
          while (left-- > 0) {
            const { received } = await sendRaw(node.nodePort, header(0x12, 0xffff_ffff), 10_000);
            assert.equal(received, '');
          }
        };
        await Promise.all(Array.from({ length: inParallel }, worker));
      };
      // Warm: pools, code and the heap's first growth.
      await attack(10_000, 16);
      const count = repeats(10_000, 50_000);
      // The heap may take its next step in one round; what a connection costs shows in each.
      for (let left = 3; ; left--) {
        const before = residentBytes(node.child.pid);
        const started = performance.now();
        await attack(count, 16);
        const grown = residentBytes(node.child.pid) - before;
        t.diagnostic(
          `${count} connections in ${((performance.now() - started) / 1000).toFixed(1)} s, resident memory ${(grown / MIB).toFixed(1)} MiB more`,
        );
        if (grown <= 8 * MIB) {
          promise(t, 'P4', `${count} headers: ${(grown / MIB).toFixed(1)} MiB more`);
          break;
        }
        assert.ok(left > 0, `${(grown / MIB).toFixed(1)} MiB`);
      }
      await assertHealthy(node);
      // A small young generation, or its growth hides what a connection costs.
    },
    { env: { NODE_OPTIONS: '--max-semi-space-size=4' } },
  );
});

test('hostile JSON closes its own connection and nothing else', () =>
  withNode(async (node) => {
    const bodies = [
      '{"visited": [',
      '['.repeat(5_000),
      '{"visited": "a", "max_depth": {}}',
      '{"__proto__": {"polluted": true}, "visited": [], "max_depth": 1e999}',
      '\u0000\u0001\u0002',
      '{"shard": {"model_id": "dummy", "start_layer": -1, "end_layer": 1e9, "n_layers": 0}}',
    ];
    const witness = await openLegacy(node.nodePort);
    let witnessClosed = false;
    witness.on('close', () => {
      witnessClosed = true;
    });
    for (const body of bodies) {
      for (const type of [0x10, 0x12, 0x20, 0x30, 0x40]) {
        const json = Buffer.from(body);
        const socket = net.connect(node.nodePort, '127.0.0.1', () =>
          socket.end(Buffer.concat([header(type, json.length), json])),
        );
        socket.on('error', () => undefined);
        socket.on('data', () => undefined);
        await new Promise((resolve) => socket.on('close', resolve));
      }
    }
    await assertHealthy(node);
    assert.equal(witnessClosed, false, 'another connection of the same host stays');
    witness.destroy();
  }));

test('D5 two machines with one id are reported on both within 10 s and never merged', async (t) => {
  const cleanup = new Cleanup();
  try {
    const [p1, p2, a1, a2] = (await freePorts(4)) as [number, number, number, number];
    const started = performance.now();
    const twins = await Promise.all(
      [
        { nodePort: p1, apiPort: a1, other: p2 },
        { nodePort: p2, apiPort: a2, other: p1 },
      ].map(({ nodePort, apiPort, other }) => {
        return startNode(cleanup, { id: 'twin', nodePort, apiPort, peers: { neighbour: other } });
      }),
    );
    await Promise.all(
      twins.map((twin) =>
        eventually(
          { timeoutMs: 10_000, what: 'the duplicate id is reported', onLate: () => twin.child.output },
          () =>
            logLines(twin).some(
              (line) => line.level >= WARN && JSON.stringify(line).includes('duplicate-id'),
            ),
        ),
      ),
    );
    const reportedMs = performance.now() - started;
    const until = performance.now() + 3_000;
    while (performance.now() < until) {
      for (const twin of twins) {
        const view = await topology(twin.api);
        assert.deepEqual(nodeIds(view), ['twin']);
        assert.deepEqual(edges(view), []);
      }
      await delay(100);
    }
    for (const twin of twins) {
      const told = logLines(twin).filter((line) => JSON.stringify(line).includes('duplicate-id'));
      assert.ok(told.length <= 5, `reported ${told.length} times`);
      await assertHealthy(twin);
    }
    promise(t, 'D5', `said on both ${(reportedMs / 1000).toFixed(1)} s after the start, never merged`);
  } finally {
    await cleanup.dispose();
  }
});

test('an address that leads back to the node is refused in words', async () => {
  const cleanup = new Cleanup();
  try {
    const nodePort = await freePort();
    const node = await startNode(cleanup, { nodePort, peers: { me: nodePort } });
    let said = '';
    await eventually(
      {
        timeoutMs: 10_000,
        everyMs: 300,
        what: 'exo peers --all tells why',
        onLate: () => `${said}\n${node.child.output}`,
      },
      async () => {
        const peers = startExo(cleanup, ['peers', '--all', '--api', `127.0.0.1:${node.apiPort}`]);
        await peers.closed;
        said = peers.stdout + peers.stderr;
        return /this node|itself/.test(said) && said.includes(String(nodePort));
      },
    );
    assert.deepEqual(nodeIds(await topology(node.api)), ['n']);
  } finally {
    await cleanup.dispose();
  }
});
