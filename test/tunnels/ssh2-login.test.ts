/** The pure parts of a login of the ssh2 driver: the banner in any pieces, and what errors mean by level, code and phase. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { after, describe, it } from 'node:test';
import type { Algorithms } from 'ssh2';
import { TUNNEL_FAILURES } from '../../src/tunnels/index.js';
import { BannerWatch } from '../../src/tunnels/ssh2/banner-watch.js';
import { readKeyFile } from '../../src/tunnels/ssh2/key-file.js';
import { generateKeyPair } from '../../src/tunnels/ssh2/key-pair.js';
import { loadSsh2 } from '../../src/tunnels/ssh2/load.js';
import {
  explainEnd,
  explainError,
  explainLate,
  type LoginPhase,
  type LoginState,
  type Ssh2Error,
} from '../../src/tunnels/ssh2/login-failure.js';
import { Cleanup } from '../support/processes.js';
import fc from '../support/properties.js';
import { fuzzMs } from '../support/scale.js';
import '../support/leaks.js';

const cleanup = new Cleanup();
after(() => cleanup.dispose());

function cut(bytes: Buffer, sizes: readonly number[]): Buffer[] {
  const parts: Buffer[] = [];
  let at = 0;
  for (const size of sizes) {
    if (at >= bytes.length) break;
    parts.push(bytes.subarray(at, at + size));
    at += size;
  }
  parts.push(bytes.subarray(at));
  return parts.filter((part) => part.length > 0);
}

describe('the banner of a server', () => {
  it('is found in any pieces, also behind other lines', () => {
    const texts = [
      ['SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n\0\0', 'OpenSSH_9.2p1', undefined],
      ['hello\r\nSSH-2.0-x\nrest', 'x', undefined],
      ['HTTP/1.1 400 Bad Request\r\nServer: SSH-2.0-no\r\n', undefined, 'HTTP/1.1 400 Bad Request'],
      ['SSH-2.0-cut', undefined, undefined],
      ['', undefined, undefined],
    ] as const;
    fc.assert(
      fc.property(
        fc.constantFrom(...texts),
        fc.array(fc.integer({ min: 1, max: 9 })),
        ([text, server, other], sizes) => {
          const watch = new BannerWatch();
          for (const part of cut(Buffer.from(text), sizes)) if (watch.push(part)) break;
          assert.equal(watch.server, server);
          if (server === undefined) assert.equal(watch.otherSpeech, other);
        },
      ),
    );
  });

  it('is not waited for without an end', () => {
    const watch = new BannerWatch();
    for (let i = 0; i < 100; i += 1) watch.push(Buffer.alloc(1_000, 120));
    assert.equal(watch.push(Buffer.from('\nSSH-2.0-late\r\n')), false);
    assert.equal(watch.otherSpeech?.length, 200);
  });
});

describe('an error of a login', () => {
  const state = (phase: LoginPhase, changes: Partial<LoginState> = {}): LoginState => ({
    ...{ phase, label: 'me@gw', otherSpeech: undefined, offered: 0, exhausted: false, leftOut: [] },
    ...changes,
  });
  const code = (error: Partial<Ssh2Error>, at: LoginState) =>
    explainError({ message: 'm', ...error }, at)?.failure.code;

  it('is named by its level, its code and the phase', () => {
    const socket = (name: string, phase: LoginPhase) =>
      code({ level: 'client-socket', code: name }, state(phase));
    assert.equal(socket('ENOTFOUND', 'connecting'), 'resolve-failed');
    assert.equal(socket('EAI_AGAIN', 'connecting'), 'resolve-failed');
    assert.equal(socket('ECONNREFUSED', 'connecting'), 'connect-refused');
    assert.equal(socket('ETIMEDOUT', 'connecting'), 'connect-timeout');
    assert.equal(socket('EHOSTUNREACH', 'connecting'), 'network-unreachable');
    assert.equal(socket('ENETUNREACH', 'connecting'), 'network-unreachable');
    assert.equal(socket('ETIMEDOUT', 'open'), 'connection-lost');
    assert.equal(socket('ECONNRESET', 'login'), 'connection-lost');
    assert.equal(code({ level: 'client-timeout' }, state('open')), 'keepalive-timeout');
    assert.equal(code({ level: 'protocol' }, state('open')), 'connection-lost');
    assert.equal(code({ level: 'protocol' }, state('handshake')), 'driver-fault');
    assert.equal(
      code({ level: 'handshake', message: 'Handshake failed: no matching C->S cipher' }, state('handshake')),
      'no-common-algorithm',
    );
    assert.equal(
      code({ level: 'handshake', message: 'signature verification failed' }, state('handshake')),
      'driver-fault',
    );
    assert.equal(code({ code: 3 }, state('handshake')), 'no-common-algorithm');
    assert.equal(code({ code: 2 }, state('login', { offered: 3 })), 'auth-failed');
    assert.equal(code({ code: 2 }, state('login')), 'server-closed');
    assert.equal(code({ code: 12 }, state('open')), 'server-closed');
  });

  it('is the want of a common algorithm in the words of the installed ssh2', async () => {
    const { Client, Server } = await loadSsh2();
    const { privateKey } = await generateKeyPair();
    const cipher: Algorithms['cipher'] = ['aes128-ctr'];
    const pairs: ReadonlyArray<readonly [Algorithms, Algorithms]> = [
      [{ kex: ['curve25519-sha256'] }, { kex: ['ecdh-sha2-nistp256'] }],
      [{ serverHostKey: ['ssh-ed25519'] }, { serverHostKey: ['rsa-sha2-512'] }],
      [{ cipher: ['aes128-gcm@openssh.com'] }, { cipher }],
      [
        { cipher, hmac: ['hmac-sha2-256'] },
        { cipher, hmac: ['hmac-sha2-512'] },
      ],
      [{ compress: ['none'] }, { compress: ['zlib'] }],
    ];
    for (const [near, far] of pairs) {
      const server = new Server({ hostKeys: [privateKey], algorithms: near });
      server.on('connection', (client) => client.on('error', () => undefined));
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      const { port } = server.address() as AddressInfo;
      const client = new Client();
      const failed = once(client, 'error') as Promise<[Ssh2Error]>;
      client.connect({ host: '127.0.0.1', port, username: 'me', algorithms: far });
      const [error] = await failed;
      assert.equal(error.level, 'handshake');
      assert.equal(
        explainError(error, state('handshake'))?.failure.code,
        'no-common-algorithm',
        error.message,
      );
      client.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    }
  });

  it('is none while there are other keys to try', () => {
    assert.equal(code({ level: 'agent' }, state('login')), undefined);
    assert.equal(code({ level: 'client-authentication' }, state('login')), undefined);
    const over = { exhausted: true, offered: 1 };
    assert.equal(code({ level: 'client-authentication' }, state('login', over)), 'auth-failed');
    const leftOut = ['the key /k cannot be used: it needs a passphrase'];
    assert.equal(
      code({ level: 'client-authentication' }, state('login', { ...over, leftOut })),
      'identity-unreadable',
    );
  });

  it('ends and late answers have a reason in every phase', () => {
    const phases: readonly LoginPhase[] = ['connecting', 'banner', 'handshake', 'login', 'open'];
    const late = phases.slice(0, 4).map((phase) => explainLate(state(phase)).failure.code);
    assert.deepEqual(late, ['connect-timeout', 'server-silent', 'server-silent', 'server-silent']);
    assert.equal(explainLate(state('banner', { otherSpeech: '220 mail' })).failure.code, 'not-ssh');
    const ends = phases.map((phase) => explainEnd(state(phase)).failure.code);
    assert.deepEqual(ends, [
      'connection-lost',
      'server-closed',
      'server-closed',
      'server-closed',
      'server-closed',
    ]);
    assert.equal(explainEnd(state('banner', { otherSpeech: 'HTTP/1.0 400' })).failure.code, 'not-ssh');
    assert.equal(explainEnd(state('banner', { otherSpeech: '\u0015\u0003\u0001' })).failure.code, 'not-ssh');
    assert.equal(
      explainEnd(state('banner', { otherSpeech: 'Exceeded MaxStartups' })).failure.code,
      'server-closed',
    );
  });

  it('has a code of the list and a printable message, whatever ssh2 says', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'binary' }),
        fc.option(fc.constantFrom('agent', 'protocol', 'handshake', 'client-socket', 'x'), {
          nil: undefined,
        }),
        fc.oneof(fc.integer(), fc.string(), fc.constant(undefined)),
        fc.constantFrom<LoginPhase>('connecting', 'banner', 'handshake', 'login', 'open'),
        fc.option(fc.string({ unit: 'binary' }), { nil: undefined }),
        (message, level, number, phase, otherSpeech) => {
          const error = {
            message,
            ...(level === undefined ? {} : { level }),
            ...(number === undefined ? {} : { code: number }),
          };
          const failure = explainError(error, state(phase, { otherSpeech }))?.failure;
          if (failure === undefined) return;
          assert.ok(Object.hasOwn(TUNNEL_FAILURES, failure.code));
          assert.match(failure.message, /^[^\u0000-\u001f\u007f-\u009f]+$/);
        },
      ),
    );
  });
});

it('every generated key can be read again', async () => {
  const { utils } = await loadSsh2();
  // Of the keys as ssh2 writes them one in two hundred cannot: five in a thousand, and none of ours.
  for (let count = 0; count < 1_000; count++) {
    const { privateKey } = await generateKeyPair();
    assert.ok(!(utils.parseKey(privateKey) instanceof Error));
  }
});

it('a key file is told from any other file, whatever is in it', async () => {
  const ssh2 = await loadSsh2();
  const file = path.join(cleanup.folder(), 'key');
  const { privateKey, publicKey } = await generateKeyPair();
  const locked = ssh2.utils.generateKeyPairSync('ed25519', {
    passphrase: 'x',
    cipher: 'aes256-cbc',
    rounds: 1,
  });
  const kindOf = async (text: string | Buffer) => {
    writeFileSync(file, text, { mode: 0o600 });
    return (await readKeyFile(ssh2, file)).kind;
  };
  assert.equal(await kindOf(privateKey), 'private');
  assert.equal(await kindOf(publicKey), 'agent-only');
  assert.equal(await kindOf(locked.private), 'agent-only');
  assert.equal((await readKeyFile(ssh2, `${file}-missing`)).kind, 'missing');
  const lines = locked.private.split('\n');
  const damaged = fc
    .tuple(
      fc.nat(locked.private.length),
      fc.string({ maxLength: 4 }),
      fc.constantFrom(privateKey, locked.private),
    )
    .map(([at, text, key]) => key.slice(0, at) + text + key.slice(at + text.length));
  const inside = fc.uint8Array({ maxLength: 300 }).map((bytes) => {
    const body = Buffer.concat([Buffer.from('openssh-key-v1\0'), bytes]).toString('base64');
    return `${lines[0]}\n${body}\n-----END OPENSSH PRIVATE KEY-----\n`;
  });
  await fc.assert(
    fc.asyncProperty(fc.oneof(fc.string({ unit: 'binary' }), damaged, inside), async (text) => {
      assert.ok(['private', 'agent-only', 'unusable'].includes(await kindOf(text)));
    }),
    { interruptAfterTimeLimit: fuzzMs(), numRuns: 1_000_000, markInterruptAsFailure: false },
  );
});
