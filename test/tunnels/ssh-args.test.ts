import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ExoError } from '../../src/shared/index.js';
import { parseTunnelSpec, type TunnelSpec } from '../../src/tunnels/index.js';
import { plainSessionArgs, sharedSessionArgs, tunnelArgs } from '../../src/tunnels/openssh/ssh-args.js';
import { sshConfigText } from '../../src/tunnels/openssh/ssh-config.js';
import { parseConfigDump } from '../../src/tunnels/ssh/config-dump.js';
import { configQueryArgs, resolveRoute } from '../../src/tunnels/ssh/route.js';
import { promise } from '../support/promise.js';
import fc from '../support/properties.js';
import { propertyRuns } from '../support/scale.js';
import { descriptions } from './description.js';

const FILES = { configFile: '/state/t1/config', controlPath: '/state/t1/100%' };
const COMMAND = 'echo $PPID';
const parse = (written: unknown) => parseTunnelSpec(written, { source: 'command', homeFolder: '/home/u' });
const SEED = parse({
  ssh: 'remoteuser@192.168.2.1:2222',
  forward: ['50052:localhost:50051', '0:localhost:1', '/run/a:/run/b'],
  reverse: ['*:50060:localhost:50060', '0:localhost:50060'],
});

test('ssh arguments of a tunnel are paths of ours and one name behind --; forwards come later', () => {
  assert.deepEqual(tunnelArgs(SEED, FILES, { pty: false }), [
    ...['-F', '/state/t1/config', '-M', '-S', '/state/t1/100%%', '-T', '-N', '--', '192.168.2.1'],
  ]);
  assert.deepEqual(tunnelArgs(SEED, FILES, { pty: true, command: COMMAND }), [
    ...['-F', '/state/t1/config', '-M', '-S', '/state/t1/100%%', '-tt', '--', '192.168.2.1', COMMAND],
  ]);
});

test('ssh arguments beside a tunnel carry no forwards', () => {
  assert.deepEqual(plainSessionArgs(SEED, '/state/x', COMMAND), [
    ...['-F', '/state/x', '-S', 'none', '-T', '-o', 'ClearAllForwardings=yes', '--', '192.168.2.1', COMMAND],
  ]);
  for (const args of [sharedSessionArgs(SEED, FILES, COMMAND)]) {
    assert.ok(!args.includes('-L') && !args.includes('-R') && args.includes('ProxyCommand=false'));
  }
});

test('ssh arguments that ask for the configuration carry the whole description but its forwards', () => {
  const spec = parse({
    ssh: 'u@[fe80::1%en0]:7',
    forward: ['1:h:2'],
    jump: 'b,v@[::1]:9',
    identity: ['~/a key', '/b'],
    sshConfig: '/own config',
    options: { compression: true, IPQoS: 'af21 cs1' },
  });
  assert.deepEqual(configQueryArgs(spec), [
    ...['-G', '-T', '-F', '/own config', '-l', 'u', '-p', '7', '-J', 'b,v@[::1]:9'],
    ...['-o', 'IdentityFile="/home/u/a key"', '-o', 'IdentityFile=/b'],
    ...['-o', 'Compression=yes', '-o', 'IPQoS=af21 cs1', '--', 'fe80::1%en0'],
  ]);
});

/** Every element of ours that begins with "-". What is not among them came from a description. */
const FLAGS = new Set('-G -T -F -M -S -N -tt -l -p -J -o --'.split(' '));

/** A stand-in for `ssh -G`: says what the arguments say, as ssh does. */
function answer(args: readonly string[]): Promise<string> {
  const after = (flag: string) => args[args.indexOf(flag) + 1] ?? '';
  const host = args.at(-1) ?? '';
  const lines = [`host ${host}`, `hostname ${host}`, 'ciphers aes128-ctr,aes128-gcm@openssh.com'];
  lines.push(
    `port ${args.includes('-p') ? after('-p') : 22}`,
    `user ${args.includes('-l') ? after('-l') : 'me'}`,
  );
  if (args.includes('-J')) lines.push(`proxyjump ${after('-J')}`);
  args.forEach((arg, index) => {
    const option = args[index - 1] === '-o' ? /^(\w+)=(.*)$/.exec(arg) : null;
    if (option !== null) lines.push(`${option[1]?.toLowerCase()} ${option[2]?.replace(/^"(.*)"$/, '$1')}`);
  });
  return Promise.resolve(`${lines.join('\n')}\n`);
}

const KEYWORDS =
  /^(Host|HostName|Port|User|Ciphers|IdentityFile|UserKnownHostsFile|GlobalKnownHostsFile|UpdateHostKeys|HostKeyAlias|Compression|IPQoS|LogLevel|BatchMode|StrictHostKeyChecking|NoHostAuthenticationForLocalhost|PasswordAuthentication|KbdInteractiveAuthentication|ExitOnForwardFailure|GatewayPorts|ForwardAgent|ForwardX11|PermitLocalCommand|EscapeChar|ConnectionAttempts|ConnectTimeout|ServerAliveInterval|ServerAliveCountMax) \S/;
const JUMP = /^ProxyCommand 'ssh' -F '\/state\/t1\/config' -W '\[%h\]:%p' -- exo\+jump\d$/;

test('ssh arguments and configuration of any description hold no option, line or command that it made (T8)', async (t) => {
  let accepted = 0;
  await fc.assert(
    fc.asyncProperty(descriptions, async (written) => {
      let spec: TunnelSpec;
      try {
        spec = parse(written);
      } catch (error) {
        assert.ok(error instanceof ExoError && error.code === 'tunnel-spec-invalid', String(error));
        return;
      }
      accepted += 1;
      const queries: Array<readonly string[]> = [];
      const route = await resolveRoute(spec, (args) => {
        queries.push(args);
        return answer(args);
      });
      const lists = [
        ...queries,
        tunnelArgs(spec, FILES, { pty: false }),
        tunnelArgs(spec, FILES, { pty: true, command: COMMAND }),
        plainSessionArgs(spec, FILES.configFile, COMMAND),
        sharedSessionArgs(spec, FILES, COMMAND),
      ];
      for (const args of lists) {
        for (const arg of args) {
          assert.ok(FLAGS.has(arg) || !arg.startsWith('-'), arg);
          assert.doesNotMatch(arg, /[\u0000-\u001f\u007f]/);
          assert.ok(arg === COMMAND || !/[$`;&|<>]/.test(arg), arg);
        }
        assert.equal(args.filter((arg) => arg === '--').length, 1);
        const rest = args.slice(args.indexOf('--') + 1);
        assert.ok(rest.length === 1 || (rest.length === 2 && rest[1] === COMMAND));
      }
      const text = sshConfigText(spec, route, {
        session: { connectTimeoutMs: 10_000, keepaliveIntervalMs: 10_000, keepaliveCountMax: 3 },
        configFile: FILES.configFile,
      });
      for (const line of text.split('\n').slice(1)) {
        const words = line.trim();
        assert.ok(words === '' || KEYWORDS.test(words) || JUMP.test(words), words);
      }
      assert.equal(text.match(/^Host /gm)?.length, route.hops.length + 1);
    }),
    { numRuns: propertyRuns(3_000) },
  );
  assert.ok(accepted > 100, `${accepted} accepted`);
  promise(t, 'T8', `${propertyRuns(3_000)} descriptions, ${accepted} accepted: no option, line or command`);
});

test('ssh configuration dump is read by lines, and other lines are left out', () => {
  const dump = parseConfigDump('user a b\nidentityfile ~/x\nIdentityFile /y z\n\nnonsense\r\nport 22\r\n');
  assert.deepEqual(
    [...dump],
    [
      ['user', ['a b']],
      ['identityfile', ['~/x', '/y z']],
      ['port', ['22']],
    ],
  );
});
