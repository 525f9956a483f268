/** `exo demo` on its fixed ports, each run on a host of its own in a network namespace. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { canComputeGgml } from '../../src/inference/index.js';
import { type Host, Lab, labUnavailable } from '../lab/lab.js';
import { eventually } from '../support/eventually.js';
import { type Child, EXO_MAIN } from '../support/processes.js';
import { promise } from '../support/promise.js';

const skip = labUnavailable([]) ?? false;

interface Stage {
  readonly lab: Lab;
  readonly host: Host;
  /** TMPDIR of the demo. */
  readonly folder: string;
  start(...args: string[]): Child;
  /** The same with this PATH in the place of the usual one. */
  startWithPath(folders: string, ...args: string[]): Child;
}

async function onStage(play: (stage: Stage) => Promise<void>): Promise<void> {
  const lab = new Lab();
  try {
    const host = lab.host('demo');
    const folder = lab.cleanup.folder();
    const env = { TMPDIR: folder, EXO_HOME: path.join(folder, 'home'), EXO_API: '', NO_COLOR: '1' };
    const run = (args: readonly string[], more: NodeJS.ProcessEnv) =>
      host.start(process.execPath, [EXO_MAIN, 'demo', ...args], {
        name: 'exo demo',
        env: { ...env, ...more },
      });
    await play({
      lab,
      host,
      folder,
      start: (...args) => run(args, {}),
      startWithPath: (folders, ...args) =>
        // `env` after `ip netns exec`: that one has to be found by the usual PATH.
        host.start('/usr/bin/env', [`PATH=${folders}`, process.execPath, EXO_MAIN, 'demo', ...args], {
          name: 'exo demo',
          env,
        }),
    });
  } finally {
    await lab.close();
  }
}

/** No process of the demo runs any more, and its folder is empty. */
async function nothingLeft({ host, folder }: Stage): Promise<void> {
  await eventually(
    { timeoutMs: 5_000, what: 'no process is left', onLate: () => `pids ${host.pids()}` },
    () => {
      return host.pids().length === 0;
    },
  );
  assert.deepEqual(readdirSync(folder), []);
}

const commandOf = (pid: number) => readFileSync(`/proc/${pid}/cmdline`, 'utf8');

const MEET_MS = 40_000;

/** Perl: a port that Node asks for may be listened at beside its connection (SO_REUSEADDR). The far end closes first and has the minute. */
const NEAR_END = `
  use IO::Socket::INET; $| = 1;
  my $due = 0; $SIG{USR2} = sub { $due = 1 }; print "ready\\n";
  select(undef, undef, undef, 0.005) until $due;
  my @here = (LocalAddr => '127.0.0.1');
  my $listener = IO::Socket::INET->new(@here, Listen => 1) or die $@;
  my $near = IO::Socket::INET->new(@here, LocalPort => 50052, PeerAddr => '127.0.0.1', PeerPort => $listener->sockport) or die $@;
  my $far = $listener->accept;
  $SIG{USR1} = sub { close $far; close $near; exit };
  print "here\\n"; sleep 60`;

/** From SIGUSR2 to SIGUSR1 a connection whose near end is 50052. */
async function nearEndHolder(host: Host): Promise<Child> {
  const holder = host.start('/usr/bin/perl', ['-e', NEAR_END], { name: 'holder' });
  await holder.sees(/ready/, 10_000);
  return holder;
}

async function hold(holder: Child): Promise<void> {
  holder.kill('SIGUSR2');
  await holder.sees(/here/, 10_000);
}

/** The demo model where this machine can compute it; it says who it is. */
const ANSWER = canComputeGgml() ? 'I am the demo model of exo-mesh[^\\n]*' : '(dummy){10}';
const answerOf = (node: string) => new RegExp(`${node}, Who are you\\?\\n {2}${ANSWER}\\n`);

test(
  'R2 the demo brings both nodes together, prints both topologies and an answer from each, and ends',
  { skip },
  (t) =>
    onStage(async (stage) => {
      const demo = stage.start('--once');
      assert.equal(await demo.closed, 0, demo.output);
      for (const pattern of [
        /both nodes list each other after [\d.]+ s/,
        /tunnel mac2: up \(ssh, pid \d+\); a health check through it takes [\d.]+ ms/,
        /-R 50060:localhost:50060 would need mac1’s own port/,
        /topology as mac1 sees it\n2 nodes, 2 edges/,
        /topology as mac2 sees it\n2 nodes, 2 edges/,
        answerOf('mac1'),
        answerOf('mac2'),
        /each token went through layers 0-\d on mac[12], then \d-\d on mac[12]\n/,
      ]) {
        assert.match(demo.stdout, pattern);
      }
      const route = /each token went through (.*)/.exec(demo.stdout)?.[1];
      if (canComputeGgml())
        promise(t, 'R2', `an answer from each node, without any network but the tunnel; ${route}`);
      await nothingLeft(stage);
    }),
);

const noPerl = existsSync('/usr/bin/perl') ? false : 'holding a port as a connection does needs perl';

test(
  'a port that is the near end of a connection is waited for, before the start and after it',
  { skip: skip || noPerl },
  () =>
    onStage(async (stage) => {
      const [early, late] = [await nearEndHolder(stage.host), await nearEndHolder(stage.host)];
      await hold(early);
      const demo = stage.start('--once');
      await demo.sees(/waiting for port 50052: the near end of a connection/, MEET_MS);
      early.kill('SIGUSR1');
      await demo.sees(/Two nodes on this machine/, MEET_MS);
      // Before the ssh of the demo gets there.
      await hold(late);
      await demo.sees(
        /the tunnel is backoff: port 50052 of 127.0.0.1 is the near end of a connection/,
        MEET_MS,
      );
      late.kill('SIGUSR1');
      assert.equal(await demo.closed, 0, demo.output);
      assert.match(demo.stdout, /tunnel mac2: up/);
      await nothingLeft(stage);
    }),
);

test('the demo stays up, says what to try, and ends on Ctrl-C with everything gone', { skip }, () =>
  onStage(async (stage) => {
    const demo = stage.start();
    await demo.sees(/Ctrl-C ends it/, MEET_MS);
    assert.match(demo.stdout, /exo status --api 127\.0\.0\.1:52416/);
    assert.match(demo.stdout, /http:\/\/127\.0\.0\.1:52415\//);
    const view = await stage.host.fetchJson<{ nodes: object }>('http://127.0.0.1:52415/topology');
    assert.deepEqual(Object.keys(view.nodes).sort(), ['mac1', 'mac2']);
    demo.kill('SIGINT');
    assert.equal(await demo.closed, 0, demo.output);
    await nothingLeft(stage);
  }),
);

test('Ctrl-C while the nodes are starting leaves nothing either', { skip }, () =>
  onStage(async (stage) => {
    const demo = stage.start();
    await demo.sees(/mac1 reaches mac2 through ssh/, MEET_MS);
    demo.kill('SIGINT');
    assert.equal(await demo.closed, 0, demo.output);
    await nothingLeft(stage);
  }),
);

test(
  'a busy port is named, with what it is for and how to see who has it, before anything starts',
  { skip },
  () =>
    onStage(async (stage) => {
      const squatter = stage.host.start(process.execPath, [
        '-e',
        "require('net').createServer().listen(52415, '127.0.0.1', () => console.log('here'))",
      ]);
      await squatter.sees(/here/, 10_000);
      const demo = stage.start();
      assert.equal(await demo.closed, 1);
      assert.match(demo.stderr, /^error: .*taken:\n {2}52415 +the HTTP API of mac2\nhint: .*lsof -i :52415/);
      await squatter.stop();
      await nothingLeft(stage);
    }),
);

test('a node that dies ends the demo with its name and the end of its log', { skip }, () =>
  onStage(async (stage) => {
    const demo = stage.start();
    await demo.sees(/Ctrl-C ends it/, MEET_MS);
    const child = stage.host.pids().find((pid) => commandOf(pid).includes('--node-id'));
    assert.ok(child !== undefined);
    process.kill(child, 'SIGKILL');
    assert.equal(await demo.closed, 1);
    assert.match(demo.stderr, /error: the node mac[12] ended \(SIGKILL\)/);
    await nothingLeft(stage);
  }),
);

test(
  '--break ends the tunnel’s ssh, shows each state until it is up again, and asks once more',
  { skip },
  () =>
    onStage(async (stage) => {
      const demo = stage.start('--once', '--break');
      assert.equal(await demo.closed, 0, demo.output);
      const [, killed, after] =
        /kill -9 (\d+), its ssh\n[\s\S]*?tunnel mac2: up \(ssh, pid (\d+)\)/.exec(demo.stdout) ?? [];
      assert.ok(killed !== undefined && after !== undefined, demo.output);
      assert.notEqual(killed, after);
      assert.match(demo.stdout, / {2}[\d.]+ s {2}up → \w+: /);
      assert.match(demo.stdout, / {2}[\d.]+ s {2}gate → up: /);
      assert.match(demo.stdout.slice(demo.stdout.indexOf('kill -9')), answerOf('mac1'));
      await nothingLeft(stage);
    }),
);

test(
  'without an ssh program the node carries the tunnel itself, and --break cuts its connection',
  { skip },
  () =>
    onStage(async (stage) => {
      const demo = stage.startWithPath('/nowhere', '--once', '--break');
      assert.equal(await demo.closed, 0, demo.output);
      assert.match(demo.stdout, /tunnel mac2: up \(ssh2 inside mac1\)/);
      assert.match(demo.stdout, /its connection is cut\n[\s\S]*gate → up: [\s\S]*tunnel mac2: up/);
      await nothingLeft(stage);
    }),
);

test(
  'a demo that is killed takes its nodes and its ssh with it, and the next one removes its folder',
  { skip },
  () =>
    onStage(async (stage) => {
      const demo = stage.start();
      await demo.sees(/Ctrl-C ends it/, MEET_MS);
      demo.kill('SIGKILL');
      await demo.closed;
      await eventually(
        { timeoutMs: 10_000, what: 'everything is gone' },
        () => stage.host.pids().length === 0,
      );
      assert.equal(readdirSync(stage.folder).length, 1);
      // Not the demo's: it stays.
      mkdirSync(path.join(stage.folder, 'exo-demo-1'));
      const next = stage.start('--once');
      assert.equal(await next.closed, 0, next.output);
      assert.deepEqual(readdirSync(stage.folder), ['exo-demo-1']);
    }),
);
