/** The sshd of the tests itself: what it lets in, what it logs, and the faults that it makes. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { accountUnavailable, temporaryAccount } from '../support/account.js';
import { eventually } from '../support/eventually.js';
import { argvOf, descendants, look, runs } from '../support/process-tree.js';
import { Cleanup } from '../support/processes.js';
import { makeKeyPair, type Sshd, sshdUnavailable, startSshd } from '../support/sshd.js';
import '../support/leaks.js';

const skip = sshdUnavailable() ?? false;

async function withCleanup(work: (cleanup: Cleanup) => Promise<void>): Promise<void> {
  const cleanup = new Cleanup();
  try {
    await work(cleanup);
  } finally {
    await cleanup.dispose();
  }
}

function ssh(sshd: Sshd, ...args: string[]) {
  return spawnSync('ssh', [...sshd.clientOptions, ...args], { encoding: 'utf8', timeout: 20_000 });
}

test('an sshd on loopback lets its key in, under a plain and under a hashed known host', { skip }, () =>
  withCleanup(async (cleanup) => {
    const sshd = await startSshd(cleanup);
    assert.equal(ssh(sshd, sshd.destination, 'echo', 'in').stdout, 'in\n');
    const hashed = readFileSync(sshd.knownHostsHashed, 'utf8');
    assert.match(hashed, /^\|1\|/);
    assert.equal(
      ssh(sshd, '-o', `UserKnownHostsFile=${sshd.knownHostsHashed}`, sshd.destination, 'true').status,
      0,
    );
    assert.equal(sshd.keysOffered() >= 2, true);
    assert.equal(sshd.connections(), 2);
    // The client has gone before the server's end of the session has heard of it.
    await eventually(
      { timeoutMs: 2_000, what: 'no session is left' },
      () => sshd.pidsOfSessions().length === 0,
    );
  }),
);

test(
  'a changed host key is refused by the client before a key is offered, and a strange key by the server',
  {
    skip,
  },
  () =>
    withCleanup(async (cleanup) => {
      const sshd = await startSshd(cleanup);
      const stranger = path.join(sshd.folder, 'stranger');
      makeKeyPair(stranger);
      const plain = ['-F', 'none', '-p', `${sshd.port}`, '-o', `UserKnownHostsFile=${sshd.knownHosts}`];
      const args = [
        ...plain,
        '-o',
        'BatchMode=yes',
        '-o',
        'IdentitiesOnly=yes',
        '-i',
        stranger,
        sshd.destination,
      ];
      const refused = spawnSync('ssh', args, { encoding: 'utf8', timeout: 20_000 });
      assert.match(refused.stderr, /Permission denied/);
      assert.equal(sshd.keysOffered(), 1);
      sshd.newHostKey();
      await sshd.restart();
      sshd.clearLog();
      const changed = ssh(sshd, sshd.destination, 'true');
      assert.match(changed.stderr, /REMOTE HOST IDENTIFICATION HAS CHANGED/);
      await eventually(
        { timeoutMs: 2_000, what: 'the attempt is in the log' },
        () => sshd.connections() === 1,
      );
      assert.equal(sshd.keysOffered(), 0);
      writeFileSync(sshd.knownHosts, sshd.knownHostsLine);
      assert.equal(ssh(sshd, sshd.destination, 'true').status, 0);
    }),
);

test(
  'sessions are frozen, thawed and killed while the listener goes on; a stop ends all of it',
  { skip },
  () =>
    withCleanup(async (cleanup) => {
      const sshd = await startSshd(cleanup, { config: { ClientAliveInterval: 30 } });
      const session = cleanup.child(
        'ssh',
        [...sshd.clientOptions, sshd.destination, 'echo on; sleep 600'],
        {},
      );
      await session.sees(/on/, 10_000);
      const pids = sshd.pidsOfSessions();
      assert.ok(pids.length >= 1);
      const states = () => pids.map((pid) => look(pid)?.state);
      sshd.freezeSessions();
      await eventually({ timeoutMs: 2_000, what: 'stopped' }, () => states().every((state) => state === 'T'));
      assert.equal(ssh(sshd, sshd.destination, 'true').status, 0, 'the listener serves others');
      sshd.thaw();
      await eventually({ timeoutMs: 2_000, what: 'goes on' }, () => !states().includes('T'));
      sshd.killSessions();
      assert.equal(await session.closed, 255);

      const second = cleanup.child(
        'ssh',
        [...sshd.clientOptions, sshd.destination, 'echo on; sleep 600'],
        {},
      );
      await second.sees(/on/, 10_000);
      await sshd.stop({ keepSessions: true });
      assert.equal(ssh(sshd, sshd.destination, 'true').status, 255);
      assert.equal(second.exit, undefined);
      await sshd.start();
      const ofSecond = sshd.pidsOfSessions().flatMap((pid) => descendants(pid));
      assert.ok(
        ofSecond.some(({ pid }) => argvOf(pid).includes('600')),
        'the kept session runs its command',
      );
      await sshd.stop();
      assert.equal(await second.closed, 255);
      await eventually({ timeoutMs: 2_000, what: 'the command of the session is gone' }, () =>
        ofSecond.every((seen) => !runs(seen)),
      );
      await sshd.start();
    }),
);

test('a fresh account is let in by key, its forwards obey the configuration, and it is gone afterwards', {
  skip: accountUnavailable() ?? skip,
}, async () => {
  let home = '';
  let name = '';
  await withCleanup(async (cleanup) => {
    const account = temporaryAccount(cleanup);
    ({ home, name } = account);
    const sshd = await startSshd(cleanup, { user: account.name, config: { AllowTcpForwarding: 'local' } });
    assert.equal(ssh(sshd, sshd.destination, 'id -u; pwd').stdout, `${account.uid}\n${home}\n`);
    const reverse = ssh(
      sshd,
      '-o',
      'ExitOnForwardFailure=yes',
      '-R',
      '0:localhost:9',
      '-N',
      sshd.destination,
    );
    assert.match(reverse.stderr, /remote port forwarding failed|administratively prohibited/i);
  });
  assert.equal(existsSync(home), false);
  assert.doesNotMatch(readFileSync('/etc/passwd', 'utf8'), new RegExp(`^${name}:`, 'm'));
});

test('a user without rights runs a server for itself', { skip: accountUnavailable() ?? skip }, () =>
  withCleanup(async (cleanup) => {
    const account = temporaryAccount(cleanup);
    const script = `
      import { startSshd } from ${JSON.stringify(new URL('../support/sshd.ts', import.meta.url).href)};
      import { Cleanup } from ${JSON.stringify(new URL('../support/processes.ts', import.meta.url).href)};
      import { spawnSync } from 'node:child_process';
      const cleanup = new Cleanup();
      const sshd = await startSshd(cleanup);
      const { stdout, stderr } = spawnSync('ssh', [...sshd.clientOptions, sshd.destination, 'id -u'], { encoding: 'utf8' });
      await cleanup.dispose();
      console.log('uid', stdout.trim(), stderr);
    `;
    const user = ['setpriv', `--reuid=${account.uid}`, `--regid=${account.gid}`, '--clear-groups'];
    const child = cleanup.child(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], {
      prefix: user,
      // Its own list of ports that were given out: it may not write to that of this run.
      env: {
        HOME: account.home,
        TMPDIR: account.home,
        USER: account.name,
        EXO_TEST_PORTS: `${account.home}/ports`,
      },
    });
    await child.closed;
    assert.match(child.stdout, new RegExp(`^uid ${account.uid}\\b`), child.output);
  }),
);
