import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { parseTunnelSpec, type TunnelSpec } from '../../src/tunnels/index.js';
import { KEPT_SETTINGS } from '../../src/tunnels/openssh/kept-settings.js';
import { plainSessionArgs, tunnelArgs } from '../../src/tunnels/openssh/ssh-args.js';
import { sshConfigText } from '../../src/tunnels/openssh/ssh-config.js';
import { type ConfigDump, parseConfigDump } from '../../src/tunnels/ssh/config-dump.js';
import { configQueryArgs, firstAddress, resolveRoute } from '../../src/tunnels/ssh/route.js';
import { HOSTILE } from './description.js';

const noSsh = spawnSync('ssh', ['-V']).status !== 0;
const skip = noSsh ? 'openssh-client is not installed' : false;
const SESSION = { connectTimeoutMs: 10_000, keepaliveIntervalMs: 500, keepaliveCountMax: 4 };

let folder = '';
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'exo-ssh-config-'));
});
after(() => rm(folder, { recursive: true, force: true }));

/** Runs the real ssh, away from the keys and the agent of whoever runs the test. */
async function ssh(args: readonly string[]): Promise<{ code: number | null; out: string; err: string }> {
  const child = spawn('ssh', args, {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, SSH_AUTH_SOCK: '', SHELL: '/bin/sh' },
  });
  let [out, err] = ['', ''];
  child.stdout.on('data', (chunk: Buffer) => {
    out += chunk.toString();
  });
  child.stderr.on('data', (chunk: Buffer) => {
    err += chunk.toString();
  });
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, out, err };
}

async function query(args: readonly string[]): Promise<string> {
  const { code, out, err } = await ssh(args);
  assert.equal(code, 0, err);
  return out;
}

/** Writes what a person has in ~/.ssh/config; its path has everything that must be quoted. */
async function userConfig(text: string): Promise<string> {
  const own = join(folder, "a person's own");
  await mkdir(own, { recursive: true });
  const file = join(own, 'config');
  await writeFile(file, text);
  return file;
}

function spec(written: object, sshConfig: string): TunnelSpec {
  const parsed = parseTunnelSpec(
    { forward: ['1:h:2'], ...written },
    { source: 'command', homeFolder: '/home/u' },
  );
  return { ...parsed, sshConfig };
}

/** Makes the configuration of a tunnel and asks ssh what it means for a host of it. */
async function generated(tunnel: TunnelSpec, options: { preferredCiphers?: readonly string[] } = {}) {
  const route = await resolveRoute(tunnel, query);
  const configFile = join(folder, "a person's own", 'made 100%.config');
  const text = sshConfigText(tunnel, route, { session: SESSION, configFile, ...options });
  await writeFile(configFile, text);
  const seen = async (host: string) =>
    parseConfigDump(await query(['-G', '-T', '-F', configFile, '--', host]));
  return { route, text, configFile, seen, destination: await seen(tunnel.destination.host) };
}

const first = (dump: ConfigDump, name: string) => dump.get(name)?.[0];

const OWN = `
Host mac2
  HostName real.%h.example
  User "bob smith"
  Port 2201
  IdentityFile "~/.ssh/my key %r"
  IdentityFile %d/.ssh/k_%n
  IdentityFile "/q\\"uote\\\\d/key"
  CertificateFile "/c e/rt-%h"
  IdentityAgent "/a gent/%u%%"
  IdentitiesOnly yes
  UserKnownHostsFile "/k h/%%own" ~/.ssh/known_%h
  GlobalKnownHostsFile "/g h/x" /etc/b
  HostKeyAlias "the #1 \\"mac\\""
  PreferredAuthentications publickey
  KnownHostsCommand /bin/echo %H "a  b" # all of it
  PKCS11Provider "/p 11/lib"
  Compression yes
  RekeyLimit 1G 1h
  IPQoS af21 cs1
  Ciphers aes256-ctr,aes128-ctr,aes128-gcm@openssh.com
  BindAddress 127.0.0.9
  StrictHostKeyChecking accept-new
  LocalForward 1234 localhost:3
  RemoteForward 1235 localhost:3
  DynamicForward 1080
  ControlMaster auto
  ControlPath ~/.ssh/cm-%C
  ControlPersist 10m
  RemoteCommand touch x
  PermitLocalCommand yes
  LocalCommand touch x
  RequestTTY force
  ForwardAgent yes
  ForwardX11 yes
  SendEnv LANG
  SetEnv "A=b c"
  Tunnel yes
  GatewayPorts yes
  LogLevel QUIET
  NoHostAuthenticationForLocalhost yes
  AddKeysToAgent yes
  CanonicalizeHostname no
`;

test('ssh configuration keeps what the user has said about the host, in ssh’s own eyes', {
  skip,
}, async () => {
  const tunnel = spec({ ssh: 'mac2' }, await userConfig(OWN));
  const before = parseConfigDump(await query(configQueryArgs(tunnel)));
  const { destination } = await generated(tunnel);
  const kept = Object.keys(KEPT_SETTINGS).filter((name) => before.has(name));
  assert.ok(kept.length > 25, `${kept.length} settings compared`);
  for (const name of kept) assert.deepEqual(destination.get(name), before.get(name), name);
  assert.deepEqual(destination.get('identityfile'), ['~/.ssh/my key %r', '%d/.ssh/k_%n', '/q"uote\\d/key']);
  assert.equal(first(destination, 'hostname'), 'real.mac2.example');
  assert.equal(first(destination, 'user'), 'bob smith');
  assert.equal(first(destination, 'knownhostscommand'), '/bin/echo %H "a  b" # all of it');
});

test('ssh configuration drops what a tunnel must not have, and sets its own rules', { skip }, async () => {
  const tunnel = spec({ ssh: 'mac2' }, await userConfig(OWN));
  const { destination } = await generated(tunnel);
  for (const name of [
    'localforward',
    'remoteforward',
    'dynamicforward',
    'remotecommand',
    'localcommand',
    'setenv',
    'sendenv',
    'controlpath',
  ]) {
    assert.equal(destination.has(name), false, name);
  }
  const rules: Readonly<Record<string, string>> = {
    batchmode: 'yes',
    stricthostkeychecking: 'true',
    nohostauthenticationforlocalhost: 'no',
    passwordauthentication: 'no',
    kbdinteractiveauthentication: 'no',
    exitonforwardfailure: 'yes',
    gatewayports: 'no',
    forwardagent: 'no',
    forwardx11: 'no',
    permitlocalcommand: 'no',
    tunnel: 'false',
    controlmaster: 'false',
    controlpersist: 'no',
    requesttty: 'false',
    addkeystoagent: 'false',
    loglevel: 'DEBUG',
    connecttimeout: '10',
    serveraliveinterval: '1',
    serveralivecountmax: '4',
  };
  for (const [name, value] of Object.entries(rules)) assert.equal(first(destination, name), value, name);
});

test('ssh configuration follows the description before the user’s file', { skip }, async () => {
  const written = {
    ssh: 'me@mac2:7',
    identity: ['~/of mine', '/b'],
    knownHosts: '/only these/hosts',
    options: { ServerAliveInterval: 33, ConnectTimeout: 4, Compression: false, IPQoS: 'ef' },
  };
  const { destination, route } = await generated(spec(written, await userConfig(OWN)));
  assert.equal(first(destination, 'user'), 'me');
  assert.equal(first(destination, 'port'), '7');
  assert.deepEqual(destination.get('identityfile')?.slice(0, 3), [
    '/home/u/of mine',
    '/b',
    '~/.ssh/my key %r',
  ]);
  assert.deepEqual(destination.get('userknownhostsfile'), ['/only these/hosts']);
  assert.deepEqual(destination.get('globalknownhostsfile'), ['/dev/null']);
  assert.equal(first(destination, 'updatehostkeys'), 'false');
  assert.equal(first(destination, 'serveraliveinterval'), '33');
  assert.equal(first(destination, 'connecttimeout'), '4');
  assert.equal(first(destination, 'compression'), 'no');
  assert.equal(first(destination, 'ipqos'), 'ef ef');
  assert.deepEqual(firstAddress(route), { host: 'real.mac2.example', port: 7 });
});

test('ssh configuration names no key where nobody named one: ssh then complains about none', {
  skip,
}, async () => {
  const tunnel = spec({ ssh: 'h' }, await userConfig(''));
  const { text, destination } = await generated(tunnel);
  assert.doesNotMatch(text, /IdentityFile/);
  const before = parseConfigDump(await query(configQueryArgs(tunnel)));
  assert.deepEqual(destination.get('identityfile'), before.get('identityfile'));
});

test('ssh configuration puts preferred ciphers in front, of those that are there', { skip }, async () => {
  const preferredCiphers = ['aes256-gcm@openssh.com', 'aes128-gcm@openssh.com'];
  const own = await userConfig(OWN);
  const { destination } = await generated(spec({ ssh: 'mac2' }, own), { preferredCiphers });
  assert.equal(first(destination, 'ciphers'), 'aes128-gcm@openssh.com,aes256-ctr,aes128-ctr');
  const said = spec({ ssh: 'mac2', options: { Ciphers: 'aes128-ctr,aes128-gcm@openssh.com' } }, own);
  const told = await generated(said, { preferredCiphers });
  assert.equal(first(told.destination, 'ciphers'), 'aes128-ctr,aes128-gcm@openssh.com');
});

const JUMPS = `
Host far
  ProxyJump ju@near:2222,mid
  IdentityFile ~/.ssh/%j
Host near
  ProxyJump edge
  HostName 10.0.0.1
  IdentityFile ~/near_%n_%r
  UserKnownHostsFile "/near hosts/k"
Host mid
  HostName 10.0.0.2
  ProxyJump never
Host edge
  ProxyCommand connect "%h" %p %n # as it is
`;

test('ssh configuration holds every jump host with the user’s settings for it', { skip }, async () => {
  const written = { ssh: 'far', identity: '~/mine', knownHosts: '~/kh' };
  const { route, seen, destination, configFile } = await generated(spec(written, await userConfig(JUMPS)));
  assert.deepEqual(
    route.hops.map(({ name }) => name),
    ['edge', 'near', 'mid', 'far'],
  );
  assert.equal(firstAddress(route), undefined, 'behind a ProxyCommand');
  const [edge, near, mid] = [await seen('exo+jump1'), await seen('exo+jump2'), await seen('exo+jump3')];
  assert.equal(first(edge, 'hostname'), 'edge');
  assert.equal(first(edge, 'proxycommand'), 'connect "%h" %p edge # as it is');
  assert.equal(first(near, 'hostname'), '10.0.0.1');
  assert.equal(first(near, 'user'), 'ju');
  assert.equal(first(near, 'port'), '2222');
  assert.deepEqual(near.get('identityfile'), ['~/near_near_%r', '/home/u/mine']);
  assert.deepEqual(near.get('userknownhostsfile'), ['/home/u/kh /near hosts/k']);
  assert.equal(first(mid, 'hostname'), '10.0.0.2');
  assert.deepEqual(destination.get('identityfile'), ['/home/u/mine', '~/.ssh/ju@near:2222,mid']);
  for (const [dump, before] of [
    [near, 1],
    [mid, 2],
    [destination, 3],
  ] as const) {
    const file = configFile.replaceAll("'", "'\\''").replaceAll('%', '%%');
    assert.equal(first(dump, 'proxycommand'), `'ssh' -F '${file}' -W '[%h]:%p' -- exo+jump${before}`);
    assert.equal(first(dump, 'batchmode'), 'yes');
    assert.equal(first(dump, 'stricthostkeychecking'), 'true');
  }
});

test('ssh configuration takes the jump hosts of the description, also one twice or the destination itself', {
  skip,
}, async () => {
  const own = await userConfig(`${JUMPS}\nHost h\n  ProxyJump other\n`);
  const { route, seen } = await generated(spec({ ssh: 'u1@h', jump: 'u2@h:22,u3@h:23' }, own));
  assert.deepEqual(
    route.hops.map(({ name }) => name),
    ['other', 'h', 'h', 'h'],
  );
  const users = [await seen('exo+jump2'), await seen('exo+jump3'), await seen('h')].map((dump) =>
    first(dump, 'user'),
  );
  assert.deepEqual(users, ['u2', 'u3', 'u1']);
});

test('ssh configuration with jump hosts in a circle is refused', { skip }, async () => {
  const own = await userConfig('Host a\n  ProxyJump b\nHost b\n  ProxyJump a\n');
  await assert.rejects(resolveRoute(spec({ ssh: 'a' }, own), query), {
    code: 'tunnel-spec-invalid',
    message: /more than 8 jump hosts, or they lead in a circle/,
  });
});

test('jump host is reached by the generated configuration alone, from a path that a shell would cut', {
  skip,
}, async () => {
  // The "server" of the jump host only has to be dialled: what is shown is that ssh starts its own ssh with our file.
  let dialled = 0;
  const server = createServer((socket) => {
    dialled += 1;
    // Read to its end, or it stays.
    socket.resume().on('error', () => undefined);
    socket.end('not ssh\r\n');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  try {
    const own = await userConfig(`Host jump\n  HostName 127.0.0.1\n  Port ${address.port}\n`);
    const tunnel = spec({ ssh: 'u@nowhere.invalid', jump: 'jump' }, own);
    const { configFile } = await generated(tunnel);
    const { code } = await ssh(plainSessionArgs(tunnel, configFile, 'true'));
    assert.equal(code, 255);
    assert.equal(dialled, 1);
  } finally {
    server.close();
  }
});

test('canary: no word of a description that is accepted makes the real ssh run anything', {
  skip,
}, async () => {
  const own = await userConfig('Host *\n  HostName 127.0.0.1\n  Port 1\n');
  const seed = { ssh: 'u@h', forward: ['1:h:2'] };
  // That the canary sings: the same payload, given to ssh as an option.
  await ssh(['-F', own, '-oProxyCommand=touch canary', '--', 'h']);
  assert.ok((await readdir(folder)).includes('canary'));
  await rm(join(folder, 'canary'));
  const payloads = [
    ...HOSTILE,
    'x -oProxyCommand=touch canary',
    'x,-oProxyCommand=touch canary',
    "x'$(touch canary)'",
    'x#\nProxyCommand touch canary',
    'x\nMatch exec "touch canary"',
    '"; touch canary; "',
    '/k k/touch canary',
  ];
  let accepted = 0;
  const started: Array<Promise<unknown>> = [];
  const tryOne = async (written: object): Promise<void> => {
    let tunnel: TunnelSpec;
    try {
      tunnel = spec(written, own);
    } catch {
      return;
    }
    accepted += 1;
    const { configFile } = await generated(tunnel);
    const files = { configFile, controlPath: join(folder, 'c') };
    started.push(ssh(tunnelArgs(tunnel, files, { pty: false })));
    await Promise.all(started.splice(0));
  };
  for (const payload of payloads) {
    for (const field of ['ssh', 'jump', 'identity', 'knownHosts'])
      await tryOne({ ...seed, [field]: payload });
    for (const field of ['forward', 'reverse']) {
      await tryOne({ ...seed, [field]: [payload] });
      await tryOne({ ...seed, [field]: [`1:${payload}:2`] });
    }
    await tryOne({ ...seed, ssh: `${payload}@h` });
    await tryOne({ ...seed, options: { [payload]: 'x' } });
    await tryOne({ ...seed, options: { ProxyCommand: payload } });
    for (const name of [
      'Ciphers',
      'HostKeyAlias',
      'IPQoS',
      'IdentityAgent',
      'CertificateFile',
      'BindInterface',
    ]) {
      await tryOne({ ...seed, options: { [name]: payload } });
    }
  }
  await tryOne({ ...seed, identity: '/k k/touch canary', knownHosts: '/k k/kh', jump: 'j' });
  assert.ok(accepted >= 3, `${accepted} accepted`);
  assert.deepEqual(
    (await readdir(folder)).filter((name) => name !== "a person's own"),
    [],
  );
});
