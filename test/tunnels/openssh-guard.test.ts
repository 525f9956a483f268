/** No ssh outlives its node: the guard, what an earlier run has left, and a child that somebody else ends. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { silentLogger, systemClock } from '../../src/shared/index.js';
import type { SessionFacts } from '../../src/tunnels/index.js';
import { createOpensshDriver } from '../../src/tunnels/openssh/index.js';
import { commandLine } from '../../src/tunnels/openssh/process-line.js';
import { OPTIONS } from '../compliance/tunnel-lab.js';
import { end, ended, forward, opened, specFor } from '../compliance/tunnel-specs.js';
import { eventually, inTime } from '../support/eventually.js';
import { freePort } from '../support/ports.js';
import { argvOf, descendants, look, runs } from '../support/process-tree.js';
import { type Child, Cleanup, ROOT } from '../support/processes.js';
import { program } from '../support/program.js';
import { type Sshd, sshdUnavailable, startSshd } from '../support/sshd.js';
import { exchange, type FarEnd, openEcho } from './far-end.js';
import '../support/leaks.js';

const HOLDER = program(path.join(ROOT, 'test/support/tunnel-holder-process.ts'));
const SESSIONS = 4;
/** What is aimed at is one second; a machine that runs other tests beside this one gets more. */
const GONE_AFTER_MS = 4_000;

describe('an ssh child', { skip: sshdUnavailable() ?? false }, () => {
  const cleanup = new Cleanup();
  let sshd: Sshd;
  let echo: FarEnd;
  const driverIn = (stateFolder: string) => {
    const driver = createOpensshDriver({ stateFolder }, { clock: systemClock, logger: silentLogger });
    cleanup.add(() => driver.stop());
    return driver;
  };
  /** Its own number: that nobody listens there in the end could not be told of one that another test is given meanwhile. */
  const specIn = async (folder: string, name: string) =>
    specFor(sshd, {
      name,
      forward: [
        forward(end(await freePort()), end(echo.port)),
        forward(end(path.join(folder, `${name}.sock`)), end(echo.port)),
      ],
      reverse: [forward(end(0), end(echo.port))],
    });
  /** A process that holds some sessions, and the facts of them. */
  const hold = async (stateFolder: string): Promise<{ child: Child; facts: SessionFacts[] }> => {
    const names = Array.from({ length: SESSIONS }, (_, index) => `held-${index}`);
    const specs = await Promise.all(names.map((name) => specIn(stateFolder, name)));
    const argument = JSON.stringify({
      stateFolder,
      specs,
      options: { ...OPTIONS, connectTimeoutMs: 20_000 },
    });
    const child = cleanup.child(process.execPath, [...HOLDER.argv, argument], { name: 'holder' });
    await child.sees(new RegExp(`(?:"opened".*\\n[^]*){${SESSIONS}}`), 30_000);
    const lines = child.stdout.split('\n').filter((line) => line.includes('"opened"'));
    return { child, facts: lines.map((line) => (JSON.parse(line) as { opened: SessionFacts }).opened) };
  };
  /** Resolves when neither children, guard, listeners nor files of them are left. */
  const untilGone = async (
    stateFolder: string,
    facts: readonly SessionFacts[],
    guards: readonly number[],
  ) => {
    const pids = [...facts.map(({ pid }) => pid!), ...guards];
    const left = () => [
      ...pids.filter((pid) => commandLine(pid) !== undefined).map((pid) => `process ${pid}`),
      ...readdirSync(stateFolder),
    ];
    const onLate = () => left().join(', ');
    await eventually(
      { timeoutMs: GONE_AFTER_MS, everyMs: 10, what: 'all is gone', onLate },
      () => left().length === 0,
    );
    const listening = await Promise.all(facts.flatMap(({ forwardPorts }) => forwardPorts[0]!).map(listens));
    assert.ok(listening.every((yes) => !yes));
    await eventually(
      { timeoutMs: GONE_AFTER_MS, what: 'the far sessions end' },
      () => sshd.pidsOfSessions().length === 0,
    );
  };
  const guardsOf = (pid: number) =>
    descendants(pid)
      .map((seen) => seen.pid)
      .filter((one) => argvOf(one).some((word) => word.includes('guard-process')));

  before(async () => {
    sshd = await startSshd(cleanup);
    echo = await openEcho();
    cleanup.add(() => echo.stop());
  });
  after(() => cleanup.dispose());

  for (const [what, signal] of [
    ['is stopped', 'SIGTERM'],
    ['is killed', 'SIGKILL'],
  ] as const) {
    it(`ends when its node ${what}, with its sockets and files`, async () => {
      const stateFolder = cleanup.folder();
      const { child, facts } = await hold(stateFolder);
      const guards = guardsOf(child.pid);
      assert.equal(guards.length, 1);
      child.kill(signal);
      await child.closed;
      await untilGone(stateFolder, facts, guards);
    });
  }

  it('ends when its node is killed after its guard was: another takes its place', async () => {
    const stateFolder = cleanup.folder();
    const { child, facts } = await hold(stateFolder);
    const [first] = guardsOf(child.pid);
    process.kill(first!, 'SIGKILL');
    const another = () => guardsOf(child.pid).find((pid) => pid !== first);
    const { value: second } = await eventually({ timeoutMs: 10_000, what: 'another guard' }, another);
    // It is seen as soon as it runs, and told what it guards right after that.
    await delay(inTime(100));
    child.kill('SIGKILL');
    await child.closed;
    await untilGone(stateFolder, facts, [second]);
  });

  it('that outlived node and guard ends when the node runs again, and nobody else does', async () => {
    const stateFolder = cleanup.folder();
    const { child, facts } = await hold(stateFolder);
    // Its input ends with the node, and then it ends by itself unless something holds it up.
    for (const { pid } of facts) process.kill(pid!, 'SIGSTOP');
    for (const guard of guardsOf(child.pid)) process.kill(guard, 'SIGKILL');
    child.kill('SIGKILL');
    await child.closed;
    for (const { pid } of facts) assert.ok(commandLine(pid!) !== undefined, 'it is still there');
    // A record whose pid was given to another program meanwhile.
    const other = spawn('sleep', ['60']);
    const folder = path.join(stateFolder, 'ssh-00000000');
    mkdirSync(folder);
    const record = {
      pid: other.pid,
      mark: path.join(folder, 'config'),
      folders: [folder],
      owner: { pid: 1, line: 'x' },
    };
    writeFileSync(path.join(folder, 'session.json'), JSON.stringify(record));

    const driver = driverIn(stateFolder);
    const session = driver.open(await specIn(stateFolder, 'held-0'), OPTIONS);
    const again = await opened(session);
    assert.equal((await exchange({ path: path.join(stateFolder, 'held-0.sock') }, 'x')).toString(), 'x');
    for (const { pid } of facts) assert.equal(commandLine(pid!), undefined);
    assert.ok(look(other.pid!) !== undefined && other.exitCode === null);
    const gone = once(other, 'exit');
    other.kill('SIGKILL');
    await gone;
    await session.close();
    assert.equal(commandLine(again.pid!), undefined);
    assert.deepEqual(
      readdirSync(stateFolder).filter((name) => name.startsWith('ssh-')),
      [],
    );
  });

  it('that somebody ends is told as killed', async () => {
    const driver = driverIn(cleanup.folder());
    for (const signal of ['SIGKILL', 'SIGTERM'] as const) {
      for (const pty of [false, true]) {
        const session = driver.open(specFor(sshd, { name: `${signal}-${pty}` }), { ...OPTIONS, pty });
        const { pid } = await opened(session);
        process.kill(pid!, signal);
        assert.equal((await ended(session)).code, 'killed', `${signal}, pty ${pty}`);
      }
    }
  });

  it('that is stopped by a signal is ended all the same', async () => {
    const driver = driverIn(cleanup.folder());
    const session = driver.open(specFor(sshd), OPTIONS);
    const { pid } = await opened(session);
    const seen = look(pid!)!;
    process.kill(pid!, 'SIGSTOP');
    await session.close();
    assert.ok(!runs(seen));
  });

  it('has no secret, no forward and no option of the description in its arguments, and files for its owner only', async () => {
    const stateFolder = cleanup.folder();
    const driver = driverIn(stateFolder);
    const session = driver.open(await specIn(stateFolder, 'plain'), OPTIONS);
    const { pid } = await opened(session);
    const argv = argvOf(pid!);
    const folder = path.join(stateFolder, readdirSync(stateFolder).find((name) => name.startsWith('ssh-'))!);
    const expected = [
      'ssh',
      '-F',
      path.join(folder, 'config'),
      '-M',
      '-S',
      path.join(folder, 'c'),
      '-T',
      '--',
      '127.0.0.1',
    ];
    assert.deepEqual(argv.slice(0, expected.length), expected);
    assert.equal(argv.length, expected.length + 1);
    assert.ok(!argv.join(' ').includes(sshd.identity));
    const secret = readFileSync(sshd.identity, 'utf8').split('\n')[1]!;
    assert.ok(!readFileSync(path.join(folder, 'config'), 'utf8').includes(secret));
    await session.close();
    assert.ok(!existsSync(folder));
  });

  it('gets a short control path where that of the state folder is too long', async () => {
    const stateFolder = path.join(cleanup.folder(), 'a'.repeat(90), 'state');
    const session = driverIn(stateFolder).open(specFor(sshd), OPTIONS);
    const { pid } = await opened(session);
    const control = argvOf(pid!)[5]!;
    assert.ok(Buffer.byteLength(control) <= 86 && existsSync(control), control);
    await session.close();
    assert.ok(!existsSync(path.dirname(control)));
  });

  it('is not started for a session that was closed before', async () => {
    const stateFolder = cleanup.folder();
    const session = driverIn(stateFolder).open(specFor(sshd), OPTIONS);
    await session.close();
    assert.equal(await session.closed, 'stopped');
    assert.deepEqual(readdirSync(stateFolder), []);
  });
});

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect({ host: '127.0.0.1', port });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
