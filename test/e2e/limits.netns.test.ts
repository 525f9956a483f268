/** A flood of made-up announcements on a real LAN: what it costs the node that hears it, and that a real one is found. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { LIMITS } from '../../src/shared/index.js';
import { type Host, Lab, labUnavailable } from '../lab/lab.js';
import { inTime } from '../support/eventually.js';
import { percentile } from '../support/half-open.js';
import { exoOnThePath, typeExo } from '../support/netns-nodes.js';
import { untilLogged } from '../support/node-log.js';
import { promise } from '../support/promise.js';
import { repeats } from '../support/repeats.js';

const skip = labUnavailable(['nft']) ?? false;
const FLOOD = fileURLToPath(new URL('../lab/announce-flood.pl', import.meta.url));
const PER_SECOND = 10_000;
const SOURCES = 100;
/** What the promise says, where the machine does nothing else; a few seconds beside a starting node are no measure. */
const ANSWER_MS = repeats(500, 50);

/** Bytes and packets through eth0 of a host, since it is there. */
function traffic(host: Host): { inBytes: number; inPackets: number; outBytes: number; outPackets: number } {
  const line = host
    .exec('cat', ['/proc/net/dev'])
    .split('\n')
    .find((text) => text.includes('eth0:'))!;
  const [inBytes, inPackets, , , , , , , outBytes, outPackets] = line
    .split(':')[1]!
    .trim()
    .split(/\s+/)
    .map(Number);
  return { inBytes: inBytes!, inPackets: inPackets!, outBytes: outBytes!, outPackets: outPackets! };
}

/** Asks the node's API all the time, and prints how long each answer took. */
const ASK = `
for (;;) {
  const since = performance.now();
  try { await (await fetch(process.argv[1], { signal: AbortSignal.timeout(5000) })).text(); } catch {}
  console.log((performance.now() - since).toFixed(1));
  await new Promise((resolve) => setTimeout(resolve, 20));
}`;

test('D6 10,000 made-up announcements a second cost little, are answered with less, and hide no real node', {
  skip,
}, async (t) => {
  const lab = new Lab();
  try {
    const lan = lab.lan(3);
    const [victim, attacker, honest] = lan.hosts as [Host, Host, Host];
    const sources = Array.from({ length: SOURCES }, (_, index) => `10.77.0.${100 + index}`);
    for (const source of sources) attacker.ip('addr', 'add', `${source}/24`, 'dev', 'eth0');
    const folder = exoOnThePath(lab);
    const lineOf = (id: string) =>
      `exo --node-id ${id} --discovery-module udp --inference-engine dummy --disable-tui`;
    const node = typeExo(lab, victim, folder, lineOf('victim'));
    await node.child.sees(/node-started/, 30_000);
    const api = `http://127.0.0.1:${node.apiPort}`;
    const asker = victim.start(process.execPath, [
      '--input-type=module',
      '-e',
      ASK,
      '--',
      `${api}/healthcheck`,
    ]);
    const answerTimes = (from: number) => asker.stdout.slice(from).split('\n').slice(1, -1).map(Number);
    await delay(4_000);
    const calm = answerTimes(0);
    const floodFrom = asker.stdout.length;
    const before = traffic(victim);
    const flood = attacker.start('/usr/bin/perl', [
      FLOOD,
      victim.address,
      '5678',
      String(PER_SECOND),
      ...sources,
    ]);
    await flood.sees(/ready/, 5_000);
    const floodMs = repeats(4_000, 30_000);
    await delay(floodMs / 2);
    const startedMs = Date.now();
    const real = typeExo(lab, honest, folder, lineOf('real'));
    await real.child.sees(/node-started/, 30_000);
    const runsAtMs = Date.now();
    const [foundAtMs] = (await untilLogged(node.child, 'peer-up', ['real'], {
      fromMs: startedMs,
      timeoutMs: 15_000,
    })) as [number];
    await delay(floodMs / 2);
    const after = traffic(victim);
    const times = answerTimes(floodFrom);
    const peers = await victim.fetchJson<{ peers: unknown[] }>(`${api}/v1/peers`);
    flood.kill('SIGKILL');
    const foundMs = Math.max(0, foundAtMs - runsAtMs);
    const [inBytes, outBytes] = [after.inBytes - before.inBytes, after.outBytes - before.outBytes];
    const [inPackets, outPackets] = [
      after.inPackets - before.inPackets,
      after.outPackets - before.outPackets,
    ];
    const [p99, calmP99] = [percentile(times, 99), percentile(calm, 99)];
    t.diagnostic(
      `${inPackets} packets in, ${outPackets} out; ${(inBytes / 1e6).toFixed(1)} MB in, ${(outBytes / 1e6).toFixed(2)} MB out; API p50 ${percentile(times, 50)} ms, p99 ${p99} ms of ${times.length}, before p99 ${calmP99} ms; found after ${foundMs} ms; ${peers.peers.length} in the table`,
    );
    assert.ok(inPackets > (PER_SECOND * floodMs) / 2_000, `a flood: ${inPackets} packets`);
    assert.ok(peers.peers.length <= LIMITS.candidatesMax, `${peers.peers.length} in the table`);
    assert.ok(outBytes <= inBytes && outPackets <= inPackets, 'no more goes out than came in');
    assert.ok(foundMs <= inTime(10_000), `found after ${foundMs} ms`);
    assert.ok(
      p99 <= Math.max(ANSWER_MS, 2 * calmP99),
      `an answer of the API took ${p99} ms p99, before ${calmP99} ms`,
    );
    promise(
      t,
      'D6',
      `table ${peers.peers.length}, ${(outBytes / 1e6).toFixed(2)} MB out for ${(inBytes / 1e6).toFixed(1)} MB in, API answers p99 ${p99} ms (calm ${calmP99} ms), real peer after ${(foundMs / 1000).toFixed(1)} s, ${(floodMs / 1000).toFixed(0)} s of flood`,
    );
  } finally {
    await lab.close();
  }
});
