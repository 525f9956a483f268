/** The health client of the fault tests itself: what counts as an answer, and the times it tells. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import test from 'node:test';
import { GOLDEN_FRAMES } from '../support/golden-frames.js';
import { askHealth } from '../support/health-client.js';
import { watchHealth } from '../support/health-watch.js';
import { writePeersFile } from '../support/peers-file.js';
import { steadyPort } from '../support/ports.js';
import { Cleanup, runLegacy } from '../support/processes.js';
import { Lab, labUnavailable } from './lab.js';
import '../support/leaks.js';

const TIMEOUT_MS = 10_000;

test('only a whole answer that says healthy counts', async () => {
  for (const [answer, wanted] of [
    [Buffer.from(GOLDEN_FRAMES.healthResponse, 'hex'), /^$/],
    [Buffer.from(GOLDEN_FRAMES.healthResponse, 'hex').subarray(0, -1), /closed after 28 bytes/],
    [Buffer.from(GOLDEN_FRAMES.healthRequest, 'hex'), /not a health answer/],
    [Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'), /not a health answer: HTTP/],
    [Buffer.alloc(0), /closed after 0 bytes/],
  ] as const) {
    const server = net.createServer((socket) => socket.once('data', () => socket.end(answer)));
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const { port } = server.address() as net.AddressInfo;
    const outcome = await askHealth(port, TIMEOUT_MS).then(
      () => '',
      (error: Error) => error.message,
    );
    await new Promise((resolve) => server.close(resolve));
    assert.match(outcome, wanted);
  }
});

test('a watch sees a port go, and how long it took to come back', async () => {
  const cleanup = new Cleanup();
  try {
    const [port, dead] = [await steadyPort(), await steadyPort()];
    const peersFile = writePeersFile(cleanup.folder(), 'peers.json', {});
    const start = () => runLegacy(cleanup, { id: 'old', peersFile, nodePort: port });
    const first = await start();
    const watch = watchHealth(cleanup, [port, dead]);
    await watch.recoveredMs(port, Date.now(), TIMEOUT_MS);
    const faultAtMs = Date.now();
    await first.child.stop();
    await watch.fails(port, faultAtMs, TIMEOUT_MS);
    await start();
    const backMs = await watch.recoveredMs(port, faultAtMs, TIMEOUT_MS);
    assert.ok(backMs > 0 && backMs <= Date.now() - faultAtMs, `${backMs} ms`);
    const [outage, ...more] = watch.outages(port).filter(({ fromMs }) => fromMs >= faultAtMs - 1_000);
    assert.deepEqual(more, []);
    assert.equal(outage?.toMs, faultAtMs + backMs);
    assert.match(outage.error, /ECONNREFUSED|closed|ECONNRESET/);
    assert.equal(watch.outages(dead).at(-1)?.toMs, undefined);
    await assert.rejects(watch.recoveredMs(dead, faultAtMs, 200), /ECONNREFUSED/);
  } finally {
    await cleanup.dispose();
  }
});

test('a watch asks from inside a namespace', { skip: labUnavailable([]) ?? false }, async () => {
  const lab = new Lab();
  try {
    const host = lab.host('a');
    const script = `require('net').createServer(s=>s.on('error',()=>{}).once('data',()=>s.end(Buffer.from('${GOLDEN_FRAMES.healthResponse}','hex')))).listen(9000,'127.0.0.1',()=>console.log('up'))`;
    await host.start(process.execPath, ['-e', script]).sees(/up/, TIMEOUT_MS);
    const watch = watchHealth(lab.cleanup, [9000], { prefix: host.prefix });
    await watch.allAnswer(TIMEOUT_MS);
  } finally {
    await lab.close();
  }
});
