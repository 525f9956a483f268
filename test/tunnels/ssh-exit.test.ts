/** Why ssh ended, from what it wrote: texts of OpenSSH 9.2 unless another release is named. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { TUNNEL_FAILURES, type TunnelFailureCode } from '../../src/tunnels/index.js';
import {
  explainFarRefusal,
  explainRemoteRefusal,
  isSessionOver,
  readLogin,
} from '../../src/tunnels/openssh/ssh-said.js';
import { explainExit, type SshExit } from '../../src/tunnels/ssh/ssh-exit.js';
import '../support/leaks.js';

const CONTEXT = { destination: 'remoteuser@mac2', identity: ['/home/me/.ssh/id_mesh'] };
const LOGIN = `debug1: Connecting to mac2 [192.0.2.7] port 22.
debug1: Connection established.
debug1: Remote protocol version 2.0, remote software version OpenSSH_9.2p1 Debian-2+deb12u10
debug1: kex: server->client cipher: aes128-gcm@openssh.com MAC: <implicit> compression: none
debug1: Host '[127.0.0.1]:2301' is known and matches the ED25519 host key.
`;
const AUTHENTICATED = `${LOGIN}Authenticated to mac2 ([192.0.2.7]:22) using "publickey".
debug1: Entering interactive session.
`;
const OFFERED = `debug1: Offering public key: /home/me/.ssh/id_mesh ED25519 SHA256:TupbqTMf explicit
debug1: Authentications that can continue: publickey
`;
const DENIED = `debug1: No more authentication methods to try.
remoteuser@mac2: Permission denied (publickey).
`;

/** Code, what ssh wrote, and words that the sentence must have. */
const BEFORE_LOGIN: ReadonlyArray<readonly [TunnelFailureCode, string, ...string[]]> = [
  ['spec-refused', 'command-line: line 0: Bad configuration option: foo\n', 'foo'],
  [
    'spec-refused',
    '/home/me/.ssh/config: line 3: Bad configuration option: foo\n/home/me/.ssh/config: terminating, 1 bad configuration options\n',
    'line 3',
  ],
  ['spec-refused', 'Bad owner or permissions on /home/me/.ssh/config\n', '/home/me/.ssh/config'],
  // 9.6
  ['spec-refused', 'hostname contains invalid characters\n', 'mac2'],
  ['resolve-failed', 'ssh: Could not resolve hostname mac2: Name or service not known\n', 'mac2'],
  [
    'resolve-failed',
    'ssh: Could not resolve hostname mac2: nodename nor servname provided, or not known\n',
    'mac2',
  ],
  [
    'connect-refused',
    'debug1: connect to address 192.0.2.7 port 22: Connection refused\nssh: connect to host mac2 port 22: Connection refused\n',
    'port 22',
  ],
  ['connect-timeout', 'ssh: connect to host mac2 port 22: Connection timed out\n', 'firewall'],
  // macOS
  ['connect-timeout', 'ssh: connect to host mac2 port 22: Operation timed out\n'],
  ['network-unreachable', 'ssh: connect to host 10.1.2.3 port 22: Network is unreachable\n', '10.1.2.3'],
  ['network-unreachable', 'ssh: connect to host 10.1.2.3 port 22: No route to host\n', 'No route'],
  ['network-unreachable', 'ssh: connect to host 10.1.2.3 port 22: Host is down\n'],
  [
    'server-silent',
    'debug1: Connection established.\nConnection timed out during banner exchange\nConnection to 192.0.2.7 port 22 timed out\n',
    'says nothing',
  ],
  [
    'not-ssh',
    'debug1: kex_exchange_identification: banner line 0: HTTP/1.1 400 Bad Request\ndebug1: kex_exchange_identification: banner line 1: Connection: close\nkex_exchange_identification: Connection closed by remote host\nConnection closed by 127.0.0.1 port 2401\n',
    'web server',
  ],
  [
    'not-ssh',
    'kex_exchange_identification: banner line contains invalid characters\nbanner exchange: Connection to 127.0.0.1 port 2405: invalid format\n',
  ],
  [
    'not-ssh',
    'debug1: Remote protocol version 1.5, remote software version foo\nProtocol major versions differ: 2 vs. 1\nbanner exchange: Connection to 127.0.0.1 port 2409: could not read protocol version\n',
    'version 1',
  ],
  [
    'server-closed',
    'debug1: kex_exchange_identification: banner line 0: Exceeded MaxStartups\nkex_exchange_identification: Connection closed by remote host\nConnection closed by 127.0.0.1 port 2406\n',
    'Exceeded MaxStartups',
  ],
  [
    'server-closed',
    'debug1: kex_exchange_identification: banner line 0: 220 smtp ready\nkex_exchange_identification: Connection closed by remote host\n',
    '220 smtp ready',
  ],
  [
    'server-closed',
    'kex_exchange_identification: Connection closed by remote host\nConnection closed by 127.0.0.1 port 2403\n',
  ],
  ['server-closed', `${LOGIN}Connection closed by 127.0.0.1 port 2411\n`],
  [
    'connection-lost',
    'kex_exchange_identification: read: Connection reset by peer\nConnection reset by 127.0.0.1 port 2407\n',
  ],
  [
    'connection-lost',
    `${LOGIN}Bad packet length 1734439522.\nssh_dispatch_run_fatal: Connection to 127.0.0.1 port 2410: message authentication code incorrect\n`,
  ],
  [
    'no-common-algorithm',
    'Unable to negotiate with 127.0.0.1 port 2301: no matching cipher found. Their offer: chacha20-poly1305@openssh.com\n',
    'cipher',
    'chacha20-poly1305@openssh.com',
  ],
  [
    'no-common-algorithm',
    'Unable to negotiate with 127.0.0.1 port 2301: no matching host key type found. Their offer: ssh-ed25519\n',
    'host key type',
  ],
  [
    'host-key-unknown',
    'No ED25519 host key is known for [127.0.0.1]:2301 and you have requested strict checking.\nHost key verification failed.\n',
    'ssh -p 2301 127.0.0.1',
    'ssh-keyscan -p 2301 127.0.0.1 >> ~/.ssh/known_hosts',
  ],
  [
    'host-key-unknown',
    'No ED25519 host key is known for mac2 and you have requested strict checking.\nHost key verification failed.\n',
    '"ssh mac2"',
  ],
  [
    'host-key-unknown',
    'No RSA host key is known for $(id) and you have requested strict checking.\nHost key verification failed.\n',
    'by hand',
  ],
  ['host-key-unknown', 'Host key verification failed.\n', 'mac2'],
  [
    'host-key-changed',
    '@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\nOffending ED25519 key in /home/me/.ssh/known_hosts:1\n  remove with:\n  ssh-keygen -f "/home/me/.ssh/known_hosts" -R "[127.0.0.1]:2301"\nHost key for [127.0.0.1]:2301 has changed and you have requested strict checking.\nHost key verification failed.\n',
    'ssh-keygen -f "/home/me/.ssh/known_hosts" -R "[127.0.0.1]:2301"',
  ],
  [
    'host-key-revoked',
    '@       WARNING: REVOKED HOST KEY DETECTED!               @\nED25519 host key for [127.0.0.1]:2301 was revoked and you have requested strict checking.\nHost key verification failed.\n',
    '@revoked',
  ],
  [
    'host-key-unreadable',
    'debug1: load_hostkeys: fopen /etc/ssh/ssh_known_hosts: No such file or directory\ndebug1: load_hostkeys: fopen /home/me/.ssh/known_hosts: Permission denied\nNo ED25519 host key is known for mac2 and you have requested strict checking.\nHost key verification failed.\n',
    '/home/me/.ssh/known_hosts',
  ],
  ['auth-failed', `${LOGIN}${OFFERED}${DENIED}`, 'publickey', '/home/me/.ssh/id_mesh.pub'],
  [
    'auth-failed',
    `${LOGIN}Received disconnect from 192.0.2.7 port 22:2: Too many authentication failures\nDisconnected from 192.0.2.7 port 22\n`,
    'too many keys',
  ],
  ['auth-failed', `no such identity: /home/me/.ssh/id_dsa: No such file or directory\n${OFFERED}${DENIED}`],
  [
    'identity-unreadable',
    `debug1: Trying private key: bad\nLoad key "bad": error in libcrypto\n${DENIED}`,
    'bad',
  ],
  [
    'identity-unreadable',
    `Permissions 0644 for 'open' are too open.\nLoad key "open": bad permissions\n${DENIED}`,
    'chmod 600 open',
  ],
  [
    'identity-unreadable',
    `Warning: Identity file nonexist not accessible: No such file or directory.\n${DENIED}`,
    'nonexist',
  ],
  ['identity-unreadable', `no such identity: /k: No such file or directory\n${DENIED}`, '/k'],
  [
    'identity-unreadable',
    `${OFFERED}debug1: Server accepts key: /home/me/k ED25519 SHA256:pvH2BQ explicit\n${DENIED}`,
    'ssh-add /home/me/k',
  ],
  [
    'connect-refused',
    'channel 0: open failed: connect failed: Connection refused\nstdio forwarding failed\nkex_exchange_identification: Connection closed by remote host\n',
    'jump host',
  ],
  [
    'connect-timeout',
    'channel 0: open failed: connect failed: Connection timed out\nstdio forwarding failed\n',
    'jump host',
  ],
  [
    'network-unreachable',
    'channel 0: open failed: connect failed: No route to host\nstdio forwarding failed\n',
    'jump host',
  ],
  [
    'resolve-failed',
    'channel 0: open failed: connect failed: Name or service not known\nstdio forwarding failed\n',
    'jump host',
  ],
  [
    'forward-refused',
    'channel 0: open failed: administratively prohibited: open failed\nstdio forwarding failed\nkex_exchange_identification: Connection closed by remote host\n',
    'jump host',
  ],
  ['driver-fault', 'debug1: something new\nsomething quite new\n', 'something quite new', '255'],
];

const AFTER_LOGIN: ReadonlyArray<readonly [TunnelFailureCode, string]> = [
  ['keepalive-timeout', 'Timeout, server 127.0.0.1 not responding.\n'],
  [
    'server-closed',
    'debug1: channel 0: free: client-session, nchannels 1\nConnection to 127.0.0.1 closed by remote host.\nTransferred: sent 3460, received 3204 bytes, in 0.3 seconds\ndebug1: Exit status -1\n',
  ],
  [
    'server-closed',
    'Received disconnect from 192.0.2.7 port 22:11: shutting down\nDisconnected from 192.0.2.7 port 22\n',
  ],
  ['connection-lost', 'client_loop: send disconnect: Broken pipe\n'],
  [
    'connection-lost',
    'Read from remote host mac2: Connection reset by peer\nclient_loop: send disconnect: Connection reset by peer\n',
  ],
  ['killed', 'Killed by signal 15.\n'],
  // A connection through a forward that nobody took is not the reason.
  [
    'server-closed',
    'channel 3: open failed: connect failed: Connection refused\nConnection to 127.0.0.1 closed by remote host.\n',
  ],
];

function exit(stderr: string, changes: Partial<SshExit> = {}): SshExit {
  return { exitCode: 255, signal: null, stderr, established: false, ...changes };
}

for (const [code, stderr, ...words] of BEFORE_LOGIN) {
  const last =
    stderr
      .trim()
      .split('\n')
      .find((line) => !line.startsWith('debug1')) ?? stderr;
  test(`before the login "${last.slice(0, 80)}" is ${code}`, () => {
    const failure = explainExit(exit(stderr), CONTEXT);
    assert.ok('code' in failure);
    assert.equal(failure.code, code, failure.message);
    for (const word of words) assert.ok(failure.message.includes(word), `${word} in: ${failure.message}`);
    assert.ok(!failure.message.includes('$(id)') || !/run "/.test(failure.message));
  });
}

for (const [code, stderr] of AFTER_LOGIN) {
  test(`after the login "${stderr.trim().split('\n')[0]!.slice(0, 80)}" is ${code}`, () => {
    const failure = explainExit(exit(AUTHENTICATED + stderr, { established: true }), CONTEXT);
    assert.ok('code' in failure);
    assert.equal(failure.code, code, failure.message);
  });
}

test('a signal is killed, whatever was written, and so is an exit that nobody here asked for', () => {
  for (const ending of [
    exit(AUTHENTICATED, { signal: 'SIGKILL', exitCode: null }),
    exit('', { exitCode: 0 }),
  ]) {
    const failure = explainExit({ ...ending, established: true }, CONTEXT);
    assert.ok('code' in failure && failure.code === 'killed');
  }
});

test('a refused pty and a refused command are told from an end', () => {
  const pty = exit(`${AUTHENTICATED}PTY allocation request failed on channel 1\n`, { established: true });
  assert.deepEqual(explainExit(pty, CONTEXT), { refused: 'pty' });
  const command = exit(`${AUTHENTICATED}exec request failed on channel 0\n`, { established: true });
  assert.deepEqual(explainExit(command, CONTEXT), { refused: 'session' });
});

test('what a far side wrote cannot reach a terminal, nor grow without end', () => {
  const failure = explainExit(
    exit(`debug1: kex_exchange_identification: banner line 0: \x1b[2J${'x'.repeat(5_000)}\n`),
    CONTEXT,
  );
  assert.ok('code' in failure && failure.code in TUNNEL_FAILURES);
  assert.ok(!failure.message.includes('\x1b'));
  assert.ok(failure.message.length <= 500);
});

test('known_hosts of the description stands in the commands', () => {
  const stderr = 'No ED25519 host key is known for mac2 and you have requested strict checking.\n';
  const failure = explainExit(exit(stderr), { ...CONTEXT, knownHosts: '/pinned' });
  assert.ok('message' in failure && failure.message.includes('>> /pinned'));
});

test('a -R that was refused is busy, unless a policy was named', () => {
  const said = 'debug1: mux_confirm_remote_forward: failure for: listen 2301, connect 127.0.0.1:22\n';
  assert.equal(explainRemoteRefusal(said), 'remote-port-busy');
  for (const policy of [
    'Server has disabled port forwarding.',
    'port forwarding refused',
    'Server has disabled streamlocal forwarding.',
  ]) {
    assert.equal(explainRemoteRefusal(`debug1: Remote: ${policy}\n${said}`), 'forward-refused');
  }
});

test('a connection on the far side is refused by policy or by nobody who listens', () => {
  assert.equal(explainFarRefusal('debug1: nothing\n'), undefined);
  assert.deepEqual(explainFarRefusal('channel 3: open failed: connect failed: Connection refused\n'), {
    kind: 'refused',
    text: 'Connection refused',
  });
  assert.equal(
    explainFarRefusal('channel 3: open failed: administratively prohibited: open failed\n')?.kind,
    'policy',
  );
});

test('the end of the session is told from the end of a connection through a forward', () => {
  const begun = 'debug1: channel 1: new session [client-session] (inactive timeout: 0)\n';
  assert.ok(isSessionOver(`${begun}debug1: client_input_channel_req: channel 1 rtype exit-status reply 0\n`));
  assert.ok(isSessionOver(`${begun}channel 1: open failed: connect failed: open failed\n`));
  assert.ok(!isSessionOver(`${begun}channel 3: open failed: connect failed: Connection refused\n`));
  assert.ok(!isSessionOver('channel 0: open failed: connect failed: Connection refused\n'));
});

test('a login tells cipher and server', () => {
  assert.deepEqual(readLogin(AUTHENTICATED), {
    cipher: 'aes128-gcm@openssh.com',
    serverVersion: 'OpenSSH_9.2p1 Debian-2+deb12u10',
  });
  assert.deepEqual(readLogin(''), {});
});
