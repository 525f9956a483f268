/**
 * What an intruder gets from the HTTP side of a real node: a process of this machine without a token, a web page of another origin in
 * a real browser, a name that is rebound to loopback, a bind beyond loopback, a stopwatch.
 */
import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import { createServer } from 'node:http';
import { syncBuiltinESMExports } from 'node:module';
import type { AddressInfo } from 'node:net';
import { performance } from 'node:perf_hooks';
import test, { mock, type TestContext } from 'node:test';
import { getJson } from '../support/http.js';
import { startNode } from '../support/one-node.js';
import { writePeersFile } from '../support/peers-file.js';
import { freePorts } from '../support/ports.js';
import { Cleanup, type RunningNode, startExo } from '../support/processes.js';
import { promise } from '../support/promise.js';
import { Browser, findChromium } from '../web/browser.js';

/** Every request that would change something, run something, or show a secret. */
const ACTS: ReadonlyArray<readonly [string, string, object | undefined]> = [
  ['POST', '/quit', undefined],
  ['POST', '/v1/tunnels', { ssh: 'evil@203.0.113.9', name: 'evil' }],
  ['POST', '/v1/tunnels/reload', {}],
  ['DELETE', '/v1/tunnels/x', undefined],
  ['POST', '/download', { model: 'dummy' }],
  ['DELETE', '/models/dummy', undefined],
  ['GET', '/v1/keys', undefined],
  ['POST', '/v1/keys/show', {}],
  ['POST', '/v1/keys/new', {}],
  ['POST', '/v1/keys/join', { key: 'a key that the intruder knows' }],
  ['POST', '/v1/keys/rotate', {}],
  ['POST', '/v1/keys/invite', { address: '203.0.113.9:50051' }],
  ['DELETE', '/v1/keys/00000000', undefined],
  ['GET', '/v1/trust', undefined],
  ['POST', '/v1/trust', { id: 'evil', fingerprint: `SHA256:${'A'.repeat(43)}` }],
  ['POST', '/v1/trust/join', { invitation: 'x' }],
  ['DELETE', '/v1/trust/x', undefined],
  ['DELETE', '/auth/disconnect', undefined],
];

async function start(t: TestContext): Promise<{ node: RunningNode; cleanup: Cleanup }> {
  const cleanup = new Cleanup();
  t.after(() => cleanup.dispose());
  return { node: await startNode(cleanup), cleanup };
}

/** It runs, and has no tunnel and no warning. */
async function assertUntouched(node: RunningNode): Promise<void> {
  assert.equal(node.child.exit, undefined, node.child.output);
  const status = await getJson<{ tunnels: unknown[]; warnings: unknown[] }>(`${node.api}/v1/status`);
  assert.deepEqual([status.tunnels, status.warnings], [[], []]);
}

test('a process of this machine without a token, or with a wrong one, changes and learns nothing', async (t) => {
  const { node } = await start(t);
  let refused = 0;
  for (const token of [undefined, 'Bearer wrong', 'Bearer ', 'Basic eDp4', `Bearer ${'0'.repeat(64)}`]) {
    for (const [method, path, body] of ACTS) {
      const response = await fetch(`${node.api}${path}`, {
        method,
        headers: {
          'content-type': 'application/json',
          ...(token === undefined ? {} : { authorization: token }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      const text = await response.text();
      assert.equal(response.status, 401, `${method} ${path}: ${response.status} ${text}`);
      assert.match(response.headers.get('www-authenticate') ?? '', /^Bearer/);
      refused += 1;
    }
  }
  await assertUntouched(node);
  promise(t, 'A2', `${refused} requests without a right token from this machine: 401 each, nothing changed`);
});

test('the node refuses to open its API to other machines while nobody is named (A2)', async (t) => {
  const cleanup = new Cleanup();
  t.after(() => cleanup.dispose());
  const [nodePort = 0, apiPort = 0] = await freePorts(2);
  for (const host of ['0.0.0.0', '::']) {
    const args = ['--node-id', 'n', '--discovery-module', 'manual'];
    const ports = ['--node-port', String(nodePort), '--chatgpt-api-port', String(apiPort)];
    const file = writePeersFile(cleanup.folder(), 'peers.json', {});
    const child = startExo(
      cleanup,
      [...args, ...ports, '--discovery-config-path', file, '--chatgpt-api-host', host],
      { env: { EXO_AUTH_TOKEN: '' } },
    );
    assert.equal(await child.closed, 2, child.output);
    assert.match(child.stderr, /--chatgpt-api-host .* lets other machines reach the API.*exo key new/);
  }
  promise(t, 'A2', 'a bind to 0.0.0.0 and to :: without a key: exit code 2, with the ways out');
});

const chromium = findChromium();

test('a page of another origin, and one under a name rebound to loopback, reach nothing in a real browser', {
  skip: chromium === undefined ? 'no chromium here' : false,
}, async (t) => {
  const { node } = await start(t);
  const evil = createServer((_request, response) => {
    response.setHeader('content-type', 'text/html');
    response.end('<!doctype html><title>evil</title><form id=f method=post></form>');
  });
  await new Promise<void>((resolve) => evil.listen(0, '127.0.0.1', resolve));
  t.after(() => evil.close());
  const evilPort = (evil.address() as AddressInfo).port;
  const rules = '--host-resolver-rules=MAP *.example 127.0.0.1';
  const size = { width: 800, height: 600 };
  const browser = await Browser.open(chromium!, `http://evil.example:${evilPort}/`, size, [rules]);
  t.after(() => browser.close());
  await browser.until('document.title === "evil"');

  /** What the page sees of a request: a status with its text, or that it failed. */
  const ask = async (url: string, init: object): Promise<string> =>
    String(
      await browser.evaluate(
        `fetch(${JSON.stringify(url)}, ${JSON.stringify(init)}).then(async (r) => r.type + ' ' + r.status + ' ' + await r.text(), () => 'failed')`,
      ),
    );
  let tried = 0;
  for (const host of ['127.0.0.1', 'localhost', 'evil.example']) {
    const api = `http://${host}:${node.apiPort}`;
    for (const [method, path, body] of [
      ...ACTS,
      ['GET', '/v1/status', undefined],
      ['GET', '/v1/tunnels', undefined],
    ] as const) {
      const init = { method, ...(body === undefined ? {} : { body: JSON.stringify(body) }) };
      assert.equal(await ask(`${api}${path}`, init), 'failed', `${method} ${host}${path}`);
      // Without asking first, as a form does: it is sent, and the answer cannot be read.
      if (method !== 'DELETE') {
        const blind = await ask(`${api}${path}`, {
          ...init,
          mode: 'no-cors',
          headers: { 'content-type': 'text/plain' },
        });
        assert.ok(blind === 'failed' || /^opaque 0 ?$/.test(blind), `${host}${path}: ${blind}`);
      }
      tried += 2;
    }
    assert.equal(
      await browser.evaluate(
        `new Promise((resolve) => { const e = new EventSource(${JSON.stringify(`${api}/v1/events`)}); e.onmessage = () => resolve('read'); e.onerror = () => { e.close(); resolve('failed'); }; })`,
      ),
      'failed',
    );
  }
  await assertUntouched(node);

  // The page itself under the rebound name: the node says that this is no name of its.
  await browser
    .evaluate(`location.href = 'http://rebound.example:${node.apiPort}/v1/status'`)
    .catch(() => undefined);
  await browser.until("document.body?.innerText.includes('is not a name of this node') === true");
  const own = await browser.evaluate(
    `fetch('/v1/status').then(async (r) => r.status + ' ' + await r.text())`,
  );
  assert.match(String(own), /^403 .*http-forbidden/);
  // The owner’s own page works beside all that.
  const page = await Browser.open(chromium!, `${node.api}/`, size);
  t.after(() => page.close());
  await page.until(`document.body?.innerText.includes('n') === true && document.title !== ''`);
  assert.equal(await page.evaluate(`fetch('/v1/status').then((r) => r.status)`), 200);
  await assertUntouched(node);
  promise(
    t,
    'A2',
    `${tried} requests of a foreign page in chromium, and a rebound name: nothing read, nothing changed`,
  );
});

test('a token is compared by digest and in constant time, whatever of it is right', async (t) => {
  const { BearerTokens } = await import('../../src/api/tokens.js');
  const own = crypto.randomBytes(32).toString('hex');
  const mesh = Array.from({ length: 3 }, () => crypto.randomBytes(32).toString('base64url'));
  const tokens = new BearerTokens(own, { meshTokens: () => mesh });
  const wrong = (right: number) =>
    own.slice(0, right) + (own[right] === 'f' ? '0' : 'f') + own.slice(right + 1);
  const guesses: Record<string, string> = {
    'nothing right': wrong(0),
    'half right': wrong(32),
    'all but the last right': wrong(63),
    'one character short': own.slice(0, -1),
    'another length': 'x',
    right: own,
    "the mesh's": mesh[2]!,
  };

  // What is compared, and how often: SHA-256 digests, every known one, whatever the guess.
  const spy = mock.method(crypto, 'timingSafeEqual');
  syncBuiltinESMExports();
  try {
    for (const [name, guess] of Object.entries(guesses)) {
      spy.mock.resetCalls();
      const holder = tokens.holder(`Bearer ${guess}`);
      assert.equal(holder, guess === own ? 'owner' : guess === mesh[2] ? 'mesh' : undefined, name);
      const { calls } = spy.mock;
      assert.equal(calls.length, mesh.length + 1, name);
      const digest = crypto.createHash('sha256').update(guess).digest();
      for (const {
        arguments: [given, known],
      } of calls) {
        assert.deepEqual(given, digest, name);
        assert.equal((known as Buffer).length, digest.length, name);
      }
    }
  } finally {
    spy.mock.restore();
    syncBuiltinESMExports();
  }

  // What a stopwatch sees, for people; machines have their moods, so nothing is asserted of it.
  const times = new Map(Object.keys(guesses).map((name) => [name, [] as number[]]));
  for (let round = 0; round < 4_000; round++) {
    for (const [name, guess] of Object.entries(guesses)) {
      const header = `Bearer ${guess}`;
      const startMs = performance.now();
      tokens.holder(header);
      times.get(name)!.push(performance.now() - startMs);
    }
  }
  const means = [...times].map(([name, list]) => {
    const sorted = list.sort((a, b) => a - b).slice(0, Math.floor(list.length * 0.9));
    return `${name} ${((1000 * sorted.reduce((sum, ms) => sum + ms, 0)) / sorted.length).toFixed(2)} µs`;
  });
  t.diagnostic(`mean of the faster nine tenths of 4,000: ${means.join(', ')}`);
});
