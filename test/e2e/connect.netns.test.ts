/**
 * `exo connect` and `exo disconnect` between two namespaces, against a real sshd and an account that nobody has logged in
 * to before: from nothing to an answer through both, a second time, and every way in which it can fail.
 */
import assert from 'node:assert/strict';
import { chmodSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'node:test';
import type { Host } from '../lab/lab.js';
import { connectWorldUnavailable, files, inWorld, uidOf, untilGone } from '../support/connect-world.js';
import { eventually } from '../support/eventually.js';
import { edges } from '../support/http.js';
import { exoOnThePath } from '../support/netns-nodes.js';
import { allProcesses } from '../support/process-tree.js';
import { EXO_MAIN } from '../support/processes.js';

const skip = connectWorldUnavailable() ?? false;

function readJson(file: string): Record<string, unknown> {
  return JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>;
}

test(
  'exo connect on an account without anything: one command from nothing to an answer through both; twice changes nothing; disconnect undoes it',
  { skip },
  (t) =>
    inWorld(async (world) => {
      const { near, far } = world;
      const started = performance.now();
      const first = await world.connected('--send-build', '--chat', 'Who are you?');
      t.diagnostic(`from nothing to the answer: ${((performance.now() - started) / 1000).toFixed(1)} s`);
      assert.match(first.answer!, /demo model of exo-mesh/);
      assert.ok(first.near.started && first.far.started && !first.already_connected);
      for (const host of [near, far]) {
        const view = await world.topology(host);
        assert.deepEqual(
          edges(view),
          [`${first.near.id}->${first.far.id}`, `${first.far.id}->${first.near.id}`].sort(),
        );
      }
      const { peers, known } = await world.trust();
      assert.deepEqual(known, [first.far.id]);
      assert.equal(peers.length, 1);
      assert.match(peers[0]!, /trusted.* true$/);
      // The far node is for this machine and the tunnel only.
      assert.ok(!/(?:0\.0\.0\.0|10\.66\.0\.2|\*):(?:50051|52415)/.test(far.exec('ss', ['-Hltn'])));

      const nearFile = readFileSync(first.near.peers_file);
      const farFile = readFileSync(first.far.peers_file!);
      const stamps = () =>
        [first.near.peers_file, first.far.peers_file!].map((file) => statSync(file).mtimeMs);
      const before = stamps();
      const second = await world.connected('--chat', 'again');
      assert.ok(second.already_connected);
      assert.deepEqual([second.near_port, second.far_port], [first.near_port, first.far_port]);
      assert.deepEqual(readFileSync(first.near.peers_file), nearFile);
      assert.deepEqual(readFileSync(first.far.peers_file!), farFile);
      assert.deepEqual(stamps(), before);

      // Also where all of it has to be found again: the near node was ended in between.
      assert.equal(await world.exo('stop').closed, 0);
      const third = await world.connected();
      assert.deepEqual([third.near_port, third.far_port], [first.near_port, first.far_port]);
      assert.deepEqual(readFileSync(first.near.peers_file), nearFile);
      assert.deepEqual(readFileSync(first.far.peers_file!), farFile);

      const gone = world.exo('disconnect', first.far.id);
      assert.equal(await gone.closed, 0, gone.output);
      const empty = '{\n  "peers": {}\n}\n';
      assert.equal(readFileSync(first.near.peers_file, 'utf8'), empty);
      assert.equal(readFileSync(first.far.peers_file!, 'utf8'), empty);
      await eventually(
        { timeoutMs: 10_000, what: 'the far node is gone' },
        () => far.exec('ss', ['-Hltn']).trim().split('\n').length === 1,
      );
      assert.ok(!near.exec('ss', ['-Hltn']).includes(`:${first.near_port} `));
      assert.deepEqual((await world.trust()).known, []);
      const again = world.exo('disconnect', first.far.id);
      await world.refused(again, /no connection to/);
      assert.equal(await world.exo('stop').closed, 0);
    }),
);

test('exo connect joins two nodes that run already, in the files that people wrote', { skip }, () =>
  inWorld(async (world) => {
    const { lab, near, far, account } = world;
    world.installThere();
    const nearText =
      '{\n\t// mine\n\t"peers": {\n\t\t"other": { "address": "127.0.0.1:1" }, // not there\n\t},\n}\n';
    const farText = '{"peers": {}, "comment": "theirs"}';
    const folder = exoOnThePath(lab, { 'near.json': nearText, 'far.json': farText });
    const farHome = path.join(account.home, '.local/share/exo');
    // Both ports of the example are taken on their machines.
    const taken = (host: Host, port: number) =>
      host
        .start(process.execPath, [
          '-e',
          `require('net').createServer().listen(${port}, '127.0.0.1', () => console.log('up'))`,
        ])
        .sees(/up/, 10_000);
    await Promise.all([taken(near, 50052), taken(far, 50060)]);
    const start = (host: Host, id: string, file: string, env: NodeJS.ProcessEnv, as: readonly string[]) =>
      host
        .start(
          as[0] ?? process.execPath,
          [
            ...as.slice(1),
            ...(as.length === 0 ? [] : [process.execPath]),
            EXO_MAIN,
            '--node-id',
            id,
            '--discovery-module',
            'manual',
            '--discovery-config-path',
            path.join(folder, file),
          ],
          { env: { EXO_API: '', NO_COLOR: '1', ...env } },
        )
        .sees(/"msg":"ready"/, 20_000);
    chmodSync(folder, 0o755);
    chmodSync(path.join(folder, 'far.json'), 0o640);
    lab.cleanup.child('chown', ['-R', `${account.uid}:${account.gid}`, folder]);
    const as = ['setpriv', `--reuid=${account.uid}`, `--regid=${account.gid}`, '--clear-groups'];
    await start(near, 'mac1', 'near.json', { EXO_HOME: world.home }, []);
    await start(far, 'mac2', 'far.json', { EXO_HOME: farHome, HOME: account.home }, as);

    const joined = await world.connected('--chat', 'hi');
    assert.deepEqual([joined.near.id, joined.far.id], ['mac1', 'mac2']);
    assert.deepEqual([joined.near.started, joined.far.started], [false, false]);
    assert.deepEqual([joined.near_port, joined.far_port], [50053, 50061]);
    const nearNow = readFileSync(path.join(folder, 'near.json'), 'utf8');
    assert.ok(nearNow.includes('// mine') && nearNow.includes('// not there'));
    assert.equal(statSync(path.join(folder, 'far.json')).mode & 0o777, 0o640);

    assert.equal(await world.exo('disconnect', 'mac2').closed, 0);
    assert.equal(readFileSync(path.join(folder, 'near.json'), 'utf8'), nearText);
    assert.equal(readFileSync(path.join(folder, 'far.json'), 'utf8'), farText);
    assert.deepEqual((await world.trust()).known, []);
    assert.deepEqual(readJson(path.join(farHome, 'nodes/mac2/trust.json'))['nodes'], []);
    // Nobody started them for this, so nobody ends them.
    await eventually({ timeoutMs: 15_000, what: 'mac2 is alone' }, async () => {
      return Object.keys((await world.topology(far)).nodes).join() === 'mac2';
    });
  }),
);

test('exo connect without exo there, without a yes: says what to do and leaves nothing', { skip }, () =>
  inWorld(async (world) => {
    const before = world.traces();
    await world.refused(world.connect(), /exo there: there is no exo there[\s\S]*--send-build/);
    await world.refused(
      world.connect('--remote-command', '/no/such/exo'),
      /--remote-command does not lead to a usable exo: \/no\/such\/exo/,
    );
    const quoted = world.connect('--remote-command', "exo'; touch /tmp/x; '");
    assert.equal(await quoted.closed, 2);
    assert.match(quoted.stderr, /--remote-command/);
    await untilGone(world, before);
  }),
);

test(
  'exo connect to a host whose key is unknown: refused with the way out, taken when told to',
  { skip },
  () =>
    inWorld(async (world) => {
      writeFileSync(world.sshd.knownHosts, '');
      const before = world.traces();
      await world.refused(
        world.connect(),
        /ssh: the host key of .* is in no known_hosts file[\s\S]*--accept-new-host-key/,
      );
      assert.equal(world.sshd.keysOffered(), 0);
      const child = world.connect('--accept-new-host-key');
      await world.refused(child, /there is no exo there/);
      assert.match(child.stdout, /new host key ssh-ed25519 SHA256:\S+, added/);
      assert.ok(readFileSync(world.sshd.knownHosts, 'utf8').includes(world.sshd.hostKey.split(' ')[1]!));
      await untilGone(world, before);
      // Another key than the known one is never taken.
      world.sshd.newHostKey();
      await world.sshd.restart();
      await world.refused(world.connect('--accept-new-host-key'), /key/);
    }),
);

test(
  'exo connect with a key that is not let in, or to nobody: fails at ssh and leaves nothing',
  { skip },
  () =>
    inWorld(async (world) => {
      const before = world.traces();
      writeFileSync(world.sshd.authorizedKeys, '');
      await world.refused(world.connect(), /ssh: [\s\S]*ssh-copy-id/);
      const nobody = world.exo('connect', '-F', world.sshd.clientConfig, '10.66.0.2:2299');
      await world.refused(nobody, /ssh: /);
      const hostile = world.exo('connect', '--', '-oProxyCommand=touch /tmp/x');
      assert.notEqual(await hostile.closed, 0);
      assert.match(hostile.stderr, /begins with "-"/);
      await untilGone(world, before);
    }),
);

test(
  'exo connect to an sshd that forbids forwards: fails at the tunnel, and both sides are as before',
  { skip },
  () =>
    inWorld(
      async (world) => {
        world.installThere();
        const before = world.traces();
        await world.refused(
          world.connect(),
          /tunnel: .*forbids -[LR][\s\S]*What was begun has been undone[\s\S]*AllowTcpForwarding yes/,
        );
        await untilGone(world, before);
      },
      { AllowTcpForwarding: 'no' },
    ),
);

for (const [signal, step, more] of [
  ['SIGTERM', 'far node', []],
  // A question asked at the end: without it the connection might be made before the signal is there.
  ['SIGINT', 'tunnel', ['--chat', 'Who are you?']],
] as const) {
  test(`exo connect stopped by ${signal} after "${step}": both sides are as before`, { skip }, () =>
    inWorld(async (world) => {
      world.installThere();
      const before = world.traces();
      const child = world.connect(...more);
      await child.sees(new RegExp(`^ {2}${step}`, 'm'), 30_000);
      child.kill(signal);
      assert.equal(await child.closed, 130, child.output);
      assert.ok(!child.stderr.includes('still there'), child.stderr);
      await untilGone(world, before);
    }),
  );
}

test('exo connect killed outright: the far side puts itself in order', { skip }, () =>
  inWorld(async (world) => {
    world.installThere();
    const farBefore = files(world.account.home);
    const child = world.connect();
    await child.sees(/^ {2}entry there/m, 30_000);
    const { pid } = child;
    world.lab.cleanup.add(() => {
      // Its own folder for ssh stays for an hour, then the next run removes it.
      const own = readdirSync(tmpdir()).filter((name) => name.startsWith(`exo-login-${pid}-`));
      for (const name of own) rmSync(path.join(tmpdir(), name), { recursive: true });
    });
    child.kill('SIGKILL');
    await child.closed;
    await eventually({ timeoutMs: 15_000, what: 'the far side is as before' }, () => {
      const left = allProcesses().filter(({ pid }) => uidOf(pid) === world.account.uid);
      return left.length === 0 && files(world.account.home).join() === farBefore.join();
    });
  }),
);

test(
  'exo disconnect with a host that is not reached: the near side is undone, the rest is named',
  { skip },
  () =>
    inWorld(async (world) => {
      world.installThere();
      const joined = await world.connected();
      await world.sshd.stop();
      const child = world.exo('disconnect');
      assert.equal(await child.closed, 1, child.output);
      assert.match(child.stderr, /there remain/);
      assert.ok(child.stderr.includes(joined.far.peers_file!));
      assert.ok(!readFileSync(joined.near.peers_file, 'utf8').includes(joined.far.id));
      await world.sshd.start();
      const again = world.exo('disconnect', '--keep-remote');
      assert.equal(await again.closed, 0, again.output);
      assert.ok(!readFileSync(joined.far.peers_file!, 'utf8').includes(joined.near.id));
      assert.ok(joined.far.id in (await world.topology(world.far)).nodes, 'it still runs');
      assert.equal(await world.exo('stop').closed, 0);
    }),
);

test('exo connect to a node that finds peers otherwise: it is reached through -L alone', { skip }, () =>
  inWorld(async (world) => {
    world.installThere();
    const { account, far } = world;
    const as = ['--reuid', String(account.uid), '--regid', String(account.gid), '--clear-groups'];
    const farHome = path.join(account.home, '.local/share/exo');
    await far
      .start(
        'setpriv',
        [...as, process.execPath, EXO_MAIN, '--node-id', 'plain', '--discovery-module', 'udp'],
        {
          env: { EXO_HOME: farHome, HOME: account.home, EXO_API: '', NO_COLOR: '1' },
        },
      )
      .sees(/"msg":"ready"/, 20_000);
    const joined = await world.connected('--chat', 'Who are you?');
    assert.equal(joined.far_port, null);
    assert.match(joined.answer!, /demo model of exo-mesh/);
    assert.equal(Object.keys((await world.topology(far)).nodes).length, 2);
    assert.equal(await world.exo('stop').closed, 0);
  }),
);
