import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ALLOWED_OPTIONS, parseTunnelSpec } from '../../src/tunnels/index.js';
import { HOSTILE, specRefusal } from './description.js';

const parse = (options: unknown) =>
  parseTunnelSpec({ ssh: 'u@h', forward: ['1:h:2'], options }, { source: 'command', homeFolder: '/home/u' })
    .options;

const GOOD: ReadonlyArray<readonly [name: string, value: string | number | boolean, kept: string]> = [
  ['AddressFamily', 'inet', 'inet'],
  ['batchmode', true, 'yes'],
  ['BindAddress', '10.0.0.1', '10.0.0.1'],
  ['BindInterface', 'en0', 'en0'],
  ['CASignatureAlgorithms', 'ssh-ed25519', 'ssh-ed25519'],
  ['CertificateFile', '~/.ssh/id-cert.pub', '~/.ssh/id-cert.pub'],
  ['CheckHostIP', false, 'no'],
  [
    'Ciphers',
    'aes128-gcm@openssh.com,aes256-gcm@openssh.com',
    'aes128-gcm@openssh.com,aes256-gcm@openssh.com',
  ],
  ['Ciphers', '^aes128-gcm@openssh.com', '^aes128-gcm@openssh.com'],
  ['COMPRESSION', 'yes', 'yes'],
  ['ConnectTimeout', 5, '5'],
  ['ExitOnForwardFailure', 'yes', 'yes'],
  ['GSSAPIAuthentication', 'no', 'no'],
  ['HashKnownHosts', 'no', 'no'],
  ['HostKeyAlgorithms', '+ssh-rsa', '+ssh-rsa'],
  ['HostKeyAlias', 'mac2', 'mac2'],
  ['HostbasedAcceptedAlgorithms', 'ssh-ed25519', 'ssh-ed25519'],
  ['HostbasedAuthentication', 'no', 'no'],
  ['IPQoS', 'af21 cs1', 'af21 cs1'],
  ['IdentitiesOnly', true, 'yes'],
  ['IdentityAgent', 'SSH_AUTH_SOCK', 'SSH_AUTH_SOCK'],
  ['KexAlgorithms', 'curve25519-sha256', 'curve25519-sha256'],
  ['MACs', 'hmac-sha2-256', 'hmac-sha2-256'],
  ['PreferredAuthentications', 'publickey,hostbased', 'publickey,hostbased'],
  ['PubkeyAcceptedAlgorithms', 'ssh-ed25519', 'ssh-ed25519'],
  ['PubkeyAuthentication', 'yes', 'yes'],
  ['RekeyLimit', '1G 1h', '1G 1h'],
  ['RequiredRSASize', 2048, '2048'],
  ['ServerAliveCountMax', '3', '3'],
  ['serveraliveinterval', 10, '10'],
  ['StreamLocalBindMask', '0177', '0177'],
  ['StreamLocalBindUnlink', 'yes', 'yes'],
  ['StrictHostKeyChecking', 'yes', 'yes'],
  ['TCPKeepAlive', 'yes', 'yes'],
  ['UpdateHostKeys', 'no', 'no'],
];

test('options of the allow-list are kept under the spelling of ssh_config, whatever the case', () => {
  for (const [name, value, kept] of GOOD) {
    const [[spelling, text] = []] = Object.entries(parse({ [name]: value }));
    assert.equal(spelling?.toLowerCase(), name.toLowerCase());
    assert.ok(spelling !== undefined && ALLOWED_OPTIONS.includes(spelling));
    assert.equal(text, kept);
  }
  const tried = new Set(GOOD.map(([name]) => name.toLowerCase()));
  assert.deepEqual(
    ALLOWED_OPTIONS.filter((name) => !tried.has(name.toLowerCase())),
    [],
  );
});

test('options have their values checked, each against what is hostile too', () => {
  for (const name of ALLOWED_OPTIONS) {
    for (const value of HOSTILE) {
      const message = specRefusal(() => parse({ [name]: value }));
      assert.ok(message.includes(name), message);
    }
  }
  const bad: ReadonlyArray<readonly [name: string, value: unknown, why: RegExp]> = [
    ['ServerAliveInterval', 0, /from 1 to 300/],
    ['ServerAliveInterval', '1h', /from 1 to 300/],
    ['ServerAliveCountMax', 31, /from 1 to 30/],
    ['ConnectTimeout', -1, /begins with "-"/],
    ['ConnectTimeout', 1.5, /from 1 to 300/],
    ['Compression', 'maybe', /yes, no/],
    ['AddressFamily', 'inet5', /inet6/],
    ['Ciphers', '-aes128-ctr', /begins with "-"/],
    ['CertificateFile', 'id-cert.pub', /full path/],
    ['IdentityAgent', 'agent.sock', /full path/],
    ['PreferredAuthentications', 'password', /nobody is there to type/],
    ['PreferredAuthentications', 'publickey,keyboard-interactive', /nobody is there to type/],
    ['BatchMode', 'no', /refused/],
    ['ExitOnForwardFailure', false, /refused/],
    ['Compression', null, /must be a text, a number/],
    ['Compression', ['yes'], /must be a text, a number/],
  ];
  for (const [name, value, why] of bad)
    assert.match(
      specRefusal(() => parse({ [name]: value })),
      why,
      name,
    );
});

const REFUSED: ReadonlyArray<readonly [name: string, value: string, why: RegExp]> = [
  ['ProxyCommand', 'nc %h %p', /runs a program.*~\/\.ssh\/config/],
  ['LocalCommand', 'touch x', /runs a program/],
  ['PermitLocalCommand', 'yes', /run a program/],
  ['KnownHostsCommand', '/bin/x', /runs a program.*~\/\.ssh\/config/],
  ['RemoteCommand', 'x', /runs a program on the far machine/],
  ['PKCS11Provider', '/lib/x.so', /program library.*~\/\.ssh\/config/],
  ['SecurityKeyProvider', '/lib/x.so', /program library.*~\/\.ssh\/config/],
  ['XAuthLocation', '/bin/x', /program to run/],
  ['Include', '/etc/x', /other files.*~\/\.ssh\/config/],
  ['Match', 'exec x', /run a program/],
  ['Host', '*', /block of a file/],
  ['ControlPath', '/tmp/x', /control socket/],
  ['ControlMaster', 'auto', /control socket/],
  ['ControlPersist', 'yes', /outlive/],
  ['StrictHostKeyChecking', 'no', /must be known.*connect once by hand/],
  ['StrictHostKeyChecking', 'accept-new', /must be known/],
  ['UserKnownHostsFile', '/dev/null', /"knownHosts"/],
  ['GlobalKnownHostsFile', '/dev/null', /"knownHosts"/],
  ['NoHostAuthenticationForLocalhost', 'yes', /always checked/],
  ['SendEnv', '*', /environment/],
  ['SetEnv', 'A=b', /variables/],
  ['PasswordAuthentication', 'yes', /password/],
  ['KbdInteractiveAuthentication', 'yes', /password/],
  ['ForwardAgent', 'yes', /lends your keys/],
  ['ForwardX11', 'yes', /never/],
  ['Tunnel', 'yes', /network device/],
  ['GatewayPorts', 'yes', /before the port/],
  ['LocalForward', '1 h:2', /"forward"/],
  ['RemoteForward', '1 h:2', /"reverse"/],
  ['DynamicForward', '1080', /SOCKS/],
  ['IdentityFile', '/x', /"identity"/],
  ['ProxyJump', 'b', /"jump"/],
  ['User', 'u', /user@host/],
  ['Port', '22', /user@host:port/],
  ['LogLevel', 'QUIET', /reads what ssh says/],
];

for (const [name, value, why] of REFUSED) {
  test(`option ${name}=${value} is refused by name, with the reason and the way out`, () => {
    for (const spelling of [name, name.toLowerCase(), name.toUpperCase()]) {
      const message = specRefusal(() => parse({ [spelling]: value }));
      assert.ok(message.includes(name), message);
      assert.match(message, why);
    }
  });
}

test('option that nobody knows is refused with the nearest name, and twice the same one is refused', () => {
  assert.match(
    specRefusal(() => parse({ ServerAliveIntervall: 1 })),
    /did you mean ServerAliveInterval\?/,
  );
  assert.match(
    specRefusal(() => parse({ Zzz: 1 })),
    /"Zzz" is no option.*~\/\.ssh\/config/,
  );
  assert.match(
    specRefusal(() => parse({ '-oProxyCommand': 'x' })),
    /no option/,
  );
  assert.match(
    specRefusal(() => parse({ 'a\nb': 'x' })),
    /no option/,
  );
  assert.match(
    specRefusal(() => parse({ __proto__x: 'x' })),
    /no option/,
  );
  assert.match(
    specRefusal(() => parse({ constructor: 'x' })),
    /no option/,
  );
  assert.match(
    specRefusal(() => parse({ Compression: 'yes', compression: 'no' })),
    /Compression twice/,
  );
  assert.match(
    specRefusal(() => parse([])),
    /must be an object/,
  );
});
