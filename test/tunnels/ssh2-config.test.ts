/** What the ssh2 driver takes from an ssh configuration: by `ssh -G` and by its own reader the same, and refusals by name. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';
import { after, describe, it } from 'node:test';
import { systemClock } from '../../src/shared/index.js';
import type { TunnelSpec } from '../../src/tunnels/index.js';
import { parseConfigDump } from '../../src/tunnels/ssh/config-dump.js';
import type { HopSettings } from '../../src/tunnels/ssh2/hop-settings.js';
import { SessionFailed } from '../../src/tunnels/ssh2/session-failed.js';
import { querySubset, readHops } from '../../src/tunnels/ssh2/ssh-config-reader.js';
import { answerFromSubset } from '../../src/tunnels/ssh2/ssh-config-subset.js';
import { Cleanup } from '../support/processes.js';
import fc from '../support/properties.js';
import { fuzzMs } from '../support/scale.js';
import { specFor } from './ssh2-fixtures.js';
import '../support/leaks.js';
import { inTime } from '../support/eventually.js';

const noSsh = spawnSync('ssh', ['-V']).status === 0 ? false : 'openssh-client is not installed';
const cleanup = new Cleanup();
after(() => cleanup.dispose());

const CONFIG = `
# comment
Host gw
  HostName gw.internal.example
  User operator
  Port 2022
  IdentityFile ~/.ssh/%r_%h
  IdentityFile "/keys/with space"
  IdentitiesOnly yes
  HostKeyAlias cluster
  UserKnownHostsFile /known/one ~/known/two
Host !gw *.example box
  ProxyJump jumper@gw,third:2200
  User = everybody
Host *
  User nobody
  IdentityAgent /run/agent
  BindAddress 127.0.0.1
`;

function specTo(host: string, config: string, changes: Partial<TunnelSpec> = {}): TunnelSpec {
  const file = path.join(cleanup.folder(), 'config');
  writeFileSync(file, config, { mode: 0o600 });
  const { knownHosts: _, ...spec } = specFor({
    user: '',
    address: host,
    port: 22,
    identity: '/i',
    knownHosts: '',
  });
  return {
    ...spec,
    destination: { host, text: host },
    identity: [],
    sshConfig: file,
    options: {},
    ...changes,
  };
}

const read = (
  spec: TunnelSpec,
  own: boolean,
  env: Record<string, string> = {},
): Promise<readonly HopSettings[]> =>
  readHops(
    spec,
    { clock: systemClock, env, ...(own ? { query: querySubset } : {}) },
    AbortSignal.timeout(10_000),
  );

async function refusal(spec: TunnelSpec, own: boolean): Promise<string> {
  try {
    await read(spec, own);
  } catch (error) {
    assert.ok(error instanceof SessionFailed, String(error));
    assert.equal(error.failure.code, 'spec-refused');
    return error.failure.message;
  }
  return assert.fail('it was accepted');
}

for (const own of [false, true]) {
  const by = own ? 'its own reader' : 'ssh -G';
  describe(`the ssh configuration by ${by}`, { skip: own ? false : noSsh }, () => {
    it('gives host, port, user, keys, known hosts and alias of a Host', async () => {
      const [gw, ...others] = await read(specTo('gw', CONFIG), own);
      assert.equal(others.length, 0);
      assert.ok(gw !== undefined);
      assert.deepEqual([gw.name, gw.host, gw.port, gw.user], ['gw', 'gw.internal.example', 2022, 'operator']);
      assert.deepEqual(gw.identities, [`${homedir()}/.ssh/operator_gw.internal.example`, '/keys/with space']);
      assert.equal(gw.identitiesOnly, true);
      assert.equal(gw.hostKeyAlias, 'cluster');
      assert.equal(gw.agent, '/run/agent');
      assert.equal(gw.localAddress, '127.0.0.1');
      assert.deepEqual(gw.knownHostsFiles.slice(0, 2), ['/known/one', `${homedir()}/known/two`]);
    });

    it('lets the description win', async () => {
      const spec = specTo('gw', CONFIG, {
        destination: { user: 'me', host: 'gw', port: 99, text: 'me@gw:99' },
        identity: ['/mine'],
        knownHosts: '/pinned',
        options: { HostKeyAlias: 'other', Ciphers: 'aes256-gcm@openssh.com' },
      });
      const [gw] = await read(spec, own);
      assert.deepEqual([gw?.user, gw?.port, gw?.hostKeyAlias], ['me', 99, 'other']);
      assert.equal(gw?.identities[0], '/mine');
      assert.deepEqual([gw?.knownHostsFiles, gw?.namedKnownHosts], [['/pinned'], '/pinned']);
      assert.deepEqual(gw?.ciphers, ['aes256-gcm@openssh.com']);
    });

    it('resolves jump hosts through the same configuration, in order', async () => {
      const hops = await read(specTo('box', CONFIG), own);
      assert.deepEqual(
        hops.map(({ host, port, user }) => `${user}@${host}:${port}`),
        ['jumper@gw.internal.example:2022', 'nobody@third:2200', 'everybody@box:22'],
      );
    });

    it('knows the usual keys and known_hosts', async () => {
      const [hop] = await read(specTo('plain.test', ''), own, { SSH_AUTH_SOCK: '/agent' });
      assert.ok(hop?.identities.includes(`${homedir()}/.ssh/id_ed25519`));
      assert.ok(hop?.knownHostsFiles.includes(`${homedir()}/.ssh/known_hosts`));
      assert.ok(hop?.knownHostsFiles.includes('/etc/ssh/ssh_known_hosts'));
      assert.deepEqual([hop?.agent, hop?.port, hop?.identitiesOnly], ['/agent', 22, false]);
    });

    it('refuses what it cannot follow, by name', async () => {
      assert.match(await refusal(specTo('a', 'Host a\n ProxyCommand nc %h %p\n'), own), /ProxyCommand/);
      assert.match(await refusal(specTo('a', 'RevokedHostKeys /krl\n'), own), /RevokedHostKeys/);
      assert.match(
        await refusal(specTo('a', '', { sshConfig: '/nowhere/config' }), own),
        /\/nowhere\/config/,
      );
    });

    it('refuses jump hosts in a circle', async () => {
      const circle = 'Host a\n ProxyJump b\nHost b\n ProxyJump a\n';
      assert.match(await refusal(specTo('a', circle), own), /circle/);
    });
  });
}

it('the own reader refuses Match and Include, with the line', async () => {
  assert.match(await refusal(specTo('a', 'Host a\nMatch exec "true"\n'), true), /line 2 has Match/);
  assert.match(await refusal(specTo('a', 'Include other\n'), true), /line 1 has Include/);
});

it('the own reader refuses a value with a control character, which would be another line, with its place', () => {
  for (const value of ['"a\rb"', '"\u0000"', 'a\u007f']) {
    assert.throws(
      () => answerFromSubset({ host: 'gw', settings: [] }, `Host gw\nHostName ${value}x`, 'f'),
      ({ failure }: SessionFailed) =>
        failure.code === 'spec-refused' && failure.message === 'f line 2 has a control character; remove it',
    );
  }
});

it('a separator of lines in Unicode is part of a value', () => {
  const answer = answerFromSubset({ host: 'gw', settings: [] }, 'Host gw\nIdentityFile "/a\u2028b"', 'f');
  assert.deepEqual(parseConfigDump(answer).get('identityfile'), ['/a\u2028b']);
});

it('the own reader takes time that grows with the length of a line', () => {
  const startMs = performance.now();
  for (const line of [
    `Host ${' '.repeat(200_000)}x y`,
    `Port 22${'\t'.repeat(200_000)}.`,
    `a${' '.repeat(200_000)}\r=`,
  ]) {
    answerFromSubset({ host: 'gw', settings: [] }, line, 'f');
  }
  // Looked at again from each blank it takes minutes.
  assert.ok(performance.now() - startMs < inTime(5_000));
});

it('the own reader survives any text: an answer, or a refusal of its own', () => {
  const line = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc
      .tuple(
        fc.constantFrom('Host', 'host', 'User', 'Port', 'ProxyJump', 'IdentityFile', 'Match'),
        fc.string(),
      )
      .map((w) => w.join(' ')),
  );
  fc.assert(
    fc.property(fc.array(line), fc.string(), (lines, host) => {
      try {
        answerFromSubset({ host, settings: [] }, lines.join('\n'), 'f');
      } catch (error) {
        assert.ok(error instanceof SessionFailed, String(error));
      }
    }),
    { interruptAfterTimeLimit: fuzzMs(), numRuns: 1_000_000, markInterruptAsFailure: false },
  );
});
