/** What a person gets who types something that cannot work: the option, the way out, an exit code, at once. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { performance } from 'node:perf_hooks';
import test from 'node:test';
import { inTime } from '../support/eventually.js';
import { freePorts } from '../support/ports.js';
import { Cleanup, runExo, startExo } from '../support/processes.js';

const WITHIN_MS = 1_000;

interface Outcome {
  readonly exit: number | NodeJS.Signals;
  readonly text: string;
  readonly tookMs: number;
}

/** Runs a command line that must fail. Another load on the machine can only slow it: the best of five counts. */
async function fails(args: readonly string[]): Promise<Outcome> {
  let best: Outcome | undefined;
  for (let attempt = 0; attempt < 5 && (best === undefined || best.tookMs > WITHIN_MS); attempt++) {
    const cleanup = new Cleanup();
    const started = performance.now();
    const child = startExo(cleanup, args);
    const late = setTimeout(() => child.kill('SIGKILL'), 10_000);
    const exit = await child.closed;
    clearTimeout(late);
    const outcome = { exit, text: `${child.stdout}${child.stderr}`, tookMs: performance.now() - started };
    await cleanup.dispose();
    if (best === undefined || outcome.tookMs < best.tookMs) best = outcome;
  }
  return best!;
}

const CASES: ReadonlyArray<{ readonly line: string; readonly says: readonly RegExp[] }> = [
  { line: '--discovery-module manual', says: [/--discovery-config-path/] },
  {
    line: '--discovery-module manual --discovery-config-path /does/not/exist.json',
    says: [/\/does\/not\/exist\.json/],
  },
  { line: '--discovery-module direct', says: [/--peer-host/, /--peer-port/] },
  { line: '--discovery-module direct --peer-host 127.0.0.1', says: [/--peer-port/] },
  {
    line: '--discovery-module direct --peer-host 127.0.0.1 --peer-port 70000',
    says: [/--peer-port/, /70000/],
  },
  { line: '--discovery-module carrier-pigeon', says: [/--discovery-module/, /manual/, /udp/] },
  { line: '--discovery-module tailscale', says: [/tailscale/, /not supported yet/] },
  { line: '--node-port 99999', says: [/--node-port/, /99999/] },
  { line: '--node-port many', says: [/--node-port/, /many/] },
  { line: '--chatgpt-api-port -3', says: [/--chatgpt-api-port/] },
  { line: '--discovery-timeout soon', says: [/--discovery-timeout/, /soon/] },
  { line: '--wait-for-peers -1', says: [/--wait-for-peers/] },
  { line: '--node-port 52415', says: [/--node-port/, /--chatgpt-api-port/, /52415/] },
  { line: '--inference-engine abacus', says: [/--inference-engine/, /dummy/] },
  { line: '--no-such-option', says: [/--no-such-option/] },
  { line: 'train dummy', says: [/train/, /not supported yet/] },
];

for (const { line, says } of CASES) {
  test(`exo ${line}: names the option and the way out within a second`, async () => {
    const { exit, text, tookMs } = await fails(line.split(' '));
    assert.ok(typeof exit === 'number' && exit !== 0, `exit ${exit}\n${text}`);
    for (const pattern of says) assert.match(text, pattern);
    assert.doesNotMatch(text, /\n\s+at .*:\d+:\d+/, 'a stack trace is not an answer');
    assert.ok(tookMs <= inTime(WITHIN_MS), `${tookMs.toFixed(0)} ms`);
  });
}

for (const option of ['--node-port', '--chatgpt-api-port']) {
  test(`a busy ${option} is named with its option within a second`, async () => {
    const server = net.createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    try {
      const busy = (server.address() as net.AddressInfo).port;
      const [free] = await freePorts(1);
      const other = option === '--node-port' ? '--chatgpt-api-port' : '--node-port';
      const cleanup = new Cleanup();
      const config = path.join(cleanup.folder(), 'peers.json');
      writeFileSync(config, '{"peers": {}}');
      const manual = ['--discovery-module', 'manual', '--discovery-config-path', config];
      const { exit, text, tookMs } = await fails([
        option,
        String(busy),
        other,
        String(free),
        '--disable-tui',
        ...manual,
      ]);
      await cleanup.dispose();
      assert.ok(typeof exit === 'number' && exit !== 0, `exit ${exit}\n${text}`);
      assert.match(text, new RegExp(String(busy)));
      assert.match(text, new RegExp(option));
      assert.ok(tookMs <= inTime(WITHIN_MS), `${tookMs.toFixed(0)} ms`);
    } finally {
      await new Promise((resolve) => server.close(resolve));
    }
  });
}

test('a broken peers.json at the start is named with line and reason', async () => {
  const cleanup = new Cleanup();
  try {
    const config = path.join(cleanup.folder(), 'peers.json');
    writeFileSync(config, '{\n  "peers": {\n    "x": { "address": 7 }\n  }\n}\n');
    const [nodePort, apiPort] = await freePorts(2);
    const child = startExo(cleanup, [
      ...['--discovery-module', 'manual', '--discovery-config-path', config, '--disable-tui'],
      ...['--node-port', String(nodePort), '--chatgpt-api-port', String(apiPort)],
    ]);
    // Whether it ends or waits for a better file: the place of the fault is said.
    await child.sees(/peers\.json.*\b3\b/, 10_000);
  } finally {
    await cleanup.dispose();
  }
});

test('SIGTERM ends a node with exit code 0 and frees its ports', async () => {
  const cleanup = new Cleanup();
  try {
    const config = path.join(cleanup.folder(), 'peers.json');
    writeFileSync(config, '{"peers": {}}');
    const [nodePort, apiPort] = (await freePorts(2)) as [number, number];
    const args = ['--discovery-module', 'manual', '--discovery-config-path', config];
    const node = await runExo(cleanup, { id: 'n', nodePort, apiPort, args });
    node.child.kill('SIGTERM');
    assert.equal(await node.child.closed, 0, node.child.output);
    const again = await runExo(cleanup, { id: 'n', nodePort, apiPort, args });
    assert.equal(await again.child.stop(), 0, again.child.output);
  } finally {
    await cleanup.dispose();
  }
});
