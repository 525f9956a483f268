/** Probes and knocks over real sockets: every verdict, each within its time. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { performance } from 'node:perf_hooks';
import { describe, it, type TestContext } from 'node:test';
import { ExoError, systemClock } from '../../src/shared/index.js';
import type { SessionFacts, TunnelSession, TunnelSpec } from '../../src/tunnels/index.js';
import { localSockets } from '../../src/tunnels/local-sockets.js';
import { listeningEnd, measureStalls, probeForwards } from '../../src/tunnels/prober.js';
import '../support/leaks.js';
import { inTime } from '../support/eventually.js';
import { memoryProbe } from '../support/memory-tunnel-world.js';
import { spec } from '../support/memory-tunnels.js';

const TOOLS = { probe: memoryProbe(systemClock), clock: systemClock, sockets: localSockets(systemClock) };
const NEVER = new AbortController().signal;
const TIMEOUT_MS = inTime(300);

/** Something that listens; ends with the test. Its port, or the path of its socket. */
async function listens(t: TestContext, accept: (socket: Socket) => void, at?: string): Promise<number> {
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    accept(socket);
  });
  await new Promise<void>((resolve) => {
    if (at === undefined) server.listen(0, '127.0.0.1', resolve);
    else server.listen(at, resolve);
  });
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return at === undefined ? (server.address() as AddressInfo).port : 0;
}

const exo = (socket: Socket) => void socket.on('data', () => socket.write('exo'));
const other = (socket: Socket) => void socket.on('data', () => socket.write('HTTP/1.1 400 Bad Request'));
const hangs = (socket: Socket) => void socket.resume();
const closes = (socket: Socket) => void socket.end();

/** A session whose -L listen on these ports; the far end of its -R is what `far` gives. */
function probed(one: TunnelSpec, forwardPorts: Array<number | undefined>, far?: TunnelSession['connectFar']) {
  const session = { connectFar: far } as unknown as TunnelSession;
  const facts: SessionFacts = { forwardPorts, reversePorts: [50_060], pty: 'not-asked' };
  return { spec: one, session, facts };
}

const L = (count: number) =>
  spec('mac2', {
    forward: Array.from(
      { length: count },
      (_, index) => `127.0.0.1:${50_052 + index}:localhost:${50_051 + index}`,
    ),
  });

describe('a probe of -L', () => {
  it('tells a node, a closed door, silence and another program apart, and all at once', async (t) => {
    const ports = await Promise.all([
      listens(t, exo),
      listens(t, closes),
      listens(t, hangs),
      listens(t, other),
    ]);
    const started = performance.now();
    const results = await probeForwards(probed(L(4), ports), TOOLS, TIMEOUT_MS, NEVER);
    const tookMs = performance.now() - started;
    assert.deepEqual(
      results.map(({ verdict }) => verdict),
      ['ok', 'closed', 'silent', 'not-exo'],
    );
    assert.ok(results[0]!.rttMs! >= 0);
    assert.match(results[2]!.detail, new RegExp(`no answer through -L .* within ${TIMEOUT_MS / 1000} s`));
    assert.ok(tookMs >= TIMEOUT_MS - 2 && tookMs < 3 * TIMEOUT_MS, `${tookMs} ms`);
  });

  it('suspects the path when ssh does not listen any more', async (t) => {
    const port = await listens(t, exo);
    const gone = port === 1 ? 2 : 1;
    const [result] = await probeForwards(probed(L(1), [gone]), TOOLS, TIMEOUT_MS, NEVER);
    assert.equal(result!.verdict, 'silent');
    assert.match(result!.detail, /does not listen/);
  });

  it('goes through a unix socket too', async (t) => {
    const folder = mkdtempSync(path.join(tmpdir(), 'exo-probe-'));
    t.after(() => rmSync(folder, { recursive: true, force: true }));
    const file = path.join(folder, 's');
    await listens(t, exo, file);
    const one = spec('mac2', { forward: [`${file}:localhost:50051`] });
    const [result] = await probeForwards(probed(one, [undefined]), TOOLS, TIMEOUT_MS, NEVER);
    assert.equal(result!.verdict, 'ok');
  });

  it('ends at once when it is given up, and leaves no connection', async (t) => {
    let open = 0;
    const closed: Array<Promise<void>> = [];
    const port = await listens(t, (socket) => {
      open += 1;
      closed.push(new Promise((resolve) => socket.once('close', () => resolve())));
      socket.on('data', () => abort.abort(new ExoError('request-cancelled', 'given up')));
    });
    const abort = new AbortController();
    await assert.rejects(probeForwards(probed(L(1), [port]), TOOLS, 60_000, abort.signal), {
      code: 'request-cancelled',
    });
    await Promise.all(closed);
    assert.equal(open, 1);
  });

  it('knows where a listener on all addresses is reached', () => {
    const at = (host: string) => listeningEnd({ kind: 'tcp', host, port: 0 }, 7);
    for (const host of ['*', '0.0.0.0'])
      assert.deepEqual(at(host), { kind: 'tcp', host: '127.0.0.1', port: 7 });
    assert.deepEqual(at('::'), { kind: 'tcp', host: '::1', port: 7 });
    assert.deepEqual(at('localhost'), { kind: 'tcp', host: 'localhost', port: 7 });
  });
});

describe('a probe of -R', () => {
  const one = spec('mac2', { forward: [], reverse: ['50060:localhost:50060'] });
  const verdictOf = async (far: TunnelSession['connectFar']) => {
    const [result] = await probeForwards(probed(one, [], far), TOOLS, TIMEOUT_MS, NEVER);
    return result!.verdict;
  };

  it('comes from the far machine, to the listening end', async (t) => {
    const port = await listens(t, exo);
    let asked: unknown;
    const verdict = await verdictOf(async (end) => {
      asked = end;
      return connect({ port, host: '127.0.0.1' });
    });
    assert.equal(verdict, 'ok');
    assert.deepEqual(asked, { kind: 'tcp', host: 'localhost', port: 50_060 });
  });

  it('tells a listener that is gone, a server that forbids it and a far machine that is silent apart', async () => {
    const fails = (code: 'connect-failed' | 'request-unsupported' | 'tunnel-failed') => () =>
      Promise.reject(new ExoError(code, 'why'));
    assert.equal(await verdictOf(fails('connect-failed')), 'closed');
    assert.equal(await verdictOf(fails('request-unsupported')), 'untested');
    assert.equal(await verdictOf(fails('tunnel-failed')), 'untested');
    const silent: TunnelSession['connectFar'] = (_end, signal) =>
      new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    assert.equal(await verdictOf(silent), 'silent');
  });
});

describe('a burst', () => {
  it('over one connection finds the stalls of Nagle, and none where there are none', async (t) => {
    for (const stallMs of [0, 40]) {
      let messages = 0;
      let connections = 0;
      const port = await listens(t, (socket) => {
        connections += 1;
        socket.on('data', () => {
          messages += 1;
          if (stallMs > 0 && messages % 10 === 0) systemClock.after(stallMs, () => socket.write('exo'));
          else socket.write('exo');
        });
      });
      const stalls = await measureStalls(probed(L(1), [port]), 0, TOOLS, NEVER);
      assert.equal(stalls, stallMs > 0);
      assert.deepEqual([connections, messages], [1, 60]);
    }
  });

  it('cannot tell where nothing answers', async (t) => {
    const port = await listens(t, closes);
    assert.equal(await measureStalls(probed(L(1), [port]), 0, TOOLS, NEVER), undefined);
  });
});

describe('a knock', () => {
  const { knock } = localSockets(systemClock);

  it('is answered where something listens, and is refused in words where nothing does', async (t) => {
    const port = await listens(t, hangs);
    assert.equal(await knock({ host: '127.0.0.1', port }, TIMEOUT_MS, NEVER), 'open');
    const refused = await knock({ host: '127.0.0.1', port: 1 }, TIMEOUT_MS, NEVER);
    assert.deepEqual(refused, { code: 'connect-refused', message: 'nothing listens on 127.0.0.1 port 1' });
  });

  it('ends when it is given up', async () => {
    const abort = new AbortController();
    abort.abort(new ExoError('request-cancelled', 'given up'));
    const late = await knock({ host: '127.0.0.1', port: 1 }, 60_000, abort.signal);
    assert.equal(late === 'open' ? late : late.code, 'connect-timeout');
  });

  it('says that a name leads nowhere', async () => {
    const answer = await knock({ host: 'nowhere.invalid', port: 22 }, 30_000, NEVER);
    assert.equal(answer === 'open' ? answer : answer.code, 'resolve-failed');
  });
});
