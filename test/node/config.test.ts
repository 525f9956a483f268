/** Options and environment of a node: defaults, meanings, and what is said about those that cannot be used. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { DISCOVERY_MODULES, INTERFACE_PRIORITY } from '../../src/discovery/index.js';
import { ENGINE_NAMES, QUANTISATIONS } from '../../src/inference/index.js';
import { type NodeSettings, nodeOptions, readConfig } from '../../src/node/config/index.js';
import * as table from '../../src/node/options/index.js';
import { closest, type ErrorCode, ExoError } from '../../src/shared/index.js';

type Raw = table.RawOptions;

/** Throws with exactly this code, and a message in which every one of `says` stands. */
function refuses(raw: Raw, code: ErrorCode, says: readonly RegExp[], env: NodeJS.ProcessEnv = {}): void {
  assert.throws(
    () => readConfig(raw, env),
    (error: unknown) => {
      assert.ok(error instanceof ExoError, String(error));
      assert.equal(error.code, code, error.message);
      for (const pattern of says) assert.match(error.message, pattern);
      return true;
    },
  );
}

const MANUAL: Raw = { 'discovery-module': 'manual', 'discovery-config-path': 'p.json' };
const DIRECT: Raw = { 'discovery-module': 'direct', 'peer-host': '10.0.0.1', 'peer-port': '50051' };

test('no options at all give the original’s defaults, with a loopback API and udp discovery', () => {
  const { notes, ...settings } = readConfig({}, {});
  assert.deepEqual(settings, {
    nodeId: null,
    nodeHost: '0.0.0.0',
    nodePort: 50051,
    waitForPeers: 0,
    tui: true,
    discovery: { modules: ['udp'], discoveryTimeoutMs: 30_000, listenPort: 5678, broadcastPort: 5678 },
    trust: { allowLegacy: [] },
    tunnels: { probeIntervalMs: 10_000, probeTimeoutMs: 3_000 },
    api: { host: '127.0.0.1', port: 52415, responseTimeoutMs: 900_000 },
    inference: {
      engine: 'ggml',
      device: 'auto',
      quantisation: 'none',
      defaultTemperature: 0,
      maxGenerateTokens: 10_000,
    },
    models: { parallelDownloadsMax: 8, quickCheck: false, hfEndpoint: 'https://huggingface.co' },
    logLevel: 'info',
    question: { prompt: 'Who are you?' },
  });
  assert.deepEqual(notes, []);
});

for (const [modules, host] of [
  ['udp', '0.0.0.0'],
  ['tcp', '0.0.0.0'],
  ['manual', '127.0.0.1'],
  ['direct', '127.0.0.1'],
  ['manual,direct', '127.0.0.1'],
  ['manual,udp', '0.0.0.0'],
] as const) {
  test(`with ${modules} discovery the node listens on ${host} unless told otherwise`, () => {
    const raw = { ...MANUAL, ...DIRECT, 'discovery-module': modules };
    assert.equal(readConfig(raw, {}).nodeHost, host);
    assert.equal(readConfig({ ...raw, 'node-host': '10.1.2.3' }, {}).nodeHost, '10.1.2.3');
  });
}

/** Option, a value, where it goes, what it becomes. */
const MEANINGS: ReadonlyArray<readonly [Raw, (settings: NodeSettings) => unknown, unknown]> = [
  [{ 'node-id': 'mac1' }, (s) => s.nodeId, 'mac1'],
  [{ 'node-host': '::1' }, (s) => s.nodeHost, '::1'],
  [{ 'node-host': '[::1]' }, (s) => s.nodeHost, '::1'],
  [{ 'node-port': '50060' }, (s) => s.nodePort, 50060],
  [{ 'node-port': '0' }, (s) => s.nodePort, 0],
  [{ 'wait-for-peers': '3' }, (s) => s.waitForPeers, 3],
  [
    { 'allow-legacy': '192.168.2.0/24, mac1.local,loopback' },
    (s) => s.trust.allowLegacy,
    ['192.168.2.0/24', 'mac1.local', 'loopback'],
  ],
  [{ 'auth-token-file': 'token' }, (s) => s.trust.token, { file: 'token' }],
  [
    { 'ssh-authorized-keys': '/etc/exo/authorized_keys' },
    (s) => s.trust.sshAuthorizedKeys,
    '/etc/exo/authorized_keys',
  ],
  [{ 'ssh-identity': 'agent' }, (s) => s.trust.sshIdentity, 'agent'],
  [{ 'tunnel-probe-interval': '0.5' }, (s) => s.tunnels.probeIntervalMs, 500],
  [{ 'tunnel-probe-timeout': '1' }, (s) => s.tunnels.probeTimeoutMs, 1_000],
  [{ 'disable-tui': true }, (s) => s.tui, false],
  [{ 'disable-tui': false }, (s) => s.tui, true],
  [{ ...MANUAL, 'discovery-module': ' manual, UDP ,manual' }, (s) => s.discovery.modules, ['manual', 'udp']],
  [MANUAL, (s) => s.discovery.configPath, 'p.json'],
  [DIRECT, (s) => [s.discovery.peerHost, s.discovery.peerPort], ['10.0.0.1', 50051]],
  [{ ...DIRECT, 'peer-id': 'gpu' }, (s) => s.discovery.peerId, 'gpu'],
  [{ 'listen-port': '5679' }, (s) => s.discovery.listenPort, 5679],
  [{ 'broadcast-port': '5680' }, (s) => s.discovery.broadcastPort, 5680],
  [{ 'discovery-timeout': '2.5' }, (s) => s.discovery.discoveryTimeoutMs, 2500],
  [{ 'node-id-filter': 'a, b,,a' }, (s) => s.discovery.nodeIdFilter, ['a', 'b']],
  [
    { 'interface-type-filter': 'ethernet,wifi' },
    (s) => s.discovery.interfaceTypeFilter,
    ['Ethernet', 'WiFi'],
  ],
  [{ 'chatgpt-api-host': '0.0.0.0' }, (s) => s.api.host, '0.0.0.0'],
  [{ 'chatgpt-api-port': '8000' }, (s) => s.api.port, 8000],
  [{ 'chatgpt-api-response-timeout': '60' }, (s) => s.api.responseTimeoutMs, 60_000],
  [{ 'inference-engine': 'dummy' }, (s) => [s.inference.engine, s.notes], ['dummy', []]],
  [{ 'inference-engine': 'dummy', 'default-model': 'dummy' }, (s) => s.inference.defaultModel, 'dummy'],
  [{ 'default-model': 'org/repo' }, (s) => s.inference.defaultModel, 'org/repo'],
  [{ 'max-context': '4096' }, (s) => s.inference.contextTokensMax, 4096],
  [{ quantisation: 'Q8_0' }, (s) => s.inference.quantisation, 'q8_0'],
  [{ device: 'cpu', threads: '2' }, (s) => [s.inference.device, s.inference.threads], ['cpu', 2]],
  [
    { 'inference-engine': 'ggml', 'default-model': 'org/repo' },
    (s) => [s.inference.engine, s.inference.defaultModel],
    ['ggml', 'org/repo'],
  ],
  [{ 'default-temp': '0.7' }, (s) => s.inference.defaultTemperature, 0.7],
  [{ 'max-generate-tokens': '42' }, (s) => s.inference.maxGenerateTokens, 42],
  [{ split: true }, (s) => s.inference.placement, { kind: 'split' }],
  [
    { layers: 'n1=0-11, lab=2 = 12-23' },
    (s) => s.inference.placement,
    {
      kind: 'manual',
      ranges: [
        { nodeId: 'n1', startLayer: 0, endLayer: 11 },
        { nodeId: 'lab=2', startLayer: 12, endLayer: 23 },
      ],
    },
  ],
  [{ 'system-prompt': ' Be brief. ' }, (s) => s.inference.systemPrompt, ' Be brief. '],
  [{ 'models-seed-dir': '.' }, (s) => s.models.seedDir, '.'],
  [{ 'max-parallel-downloads': '2' }, (s) => s.models.parallelDownloadsMax, 2],
  [{ 'download-quick-check': true }, (s) => s.models.quickCheck, true],
  [{ offline: true }, (s) => s.models.offline, true],
  [{ spare: true }, (s) => s.models.spare, true],
  [{ 'run-model': 'dummy' }, (s) => s.question.model, 'dummy'],
  [{ prompt: '' }, (s) => s.question.prompt, ''],
];

for (const [raw, pick, expected] of MEANINGS) {
  const words = Object.entries(raw).map(([name, value]) => `--${name}=${value}`);
  test(`${words.join(' ')} is taken`, () => {
    assert.deepEqual(pick(readConfig(raw, {})), expected);
  });
}

test('every supported option has a line in the table of meanings, and every one is refused or taken by name', () => {
  const shown = new Set(MEANINGS.flatMap(([raw]) => Object.keys(raw)));
  const missing = table.NODE_OPTIONS.filter(({ name, unsupported }) => !unsupported && !shown.has(name));
  assert.deepEqual(
    missing.map(({ name }) => name),
    [],
  );
});

/** Option, a value that cannot be used, and what the message says besides the option. */
const BAD: ReadonlyArray<readonly [string, string, RegExp]> = [
  ['node-id', '', /empty/],
  ['node-id', 'a/b', /slash/],
  ['node-id', '..', /not a name/],
  ['node-id', 'a\nb', /cannot be printed/],
  ['node-id', 'x'.repeat(129), /129 characters.*128/],
  ['node-host', 'a b', /neither a host name nor an IP/],
  ['node-host', '256.1.1.1', /neither/],
  ['node-host', '127.0.0.1:50051', /port in it/],
  ['node-port', 'abc', /"abc".*0 to 65535/],
  ['node-port', '-1', /0 to 65535/],
  ['node-port', '65536', /0 to 65535/],
  ['node-port', '1e3', /0 to 65535/],
  ['node-port', '', /0 to 65535/],
  ['wait-for-peers', '-1', /0 to 1024/],
  ['wait-for-peers', '1.5', /whole number/],
  ['discovery-module', 'upd', /did you mean udp.*udp, tcp, manual, direct/],
  ['discovery-module', ',', /at least one/],
  ['discovery-config-path', ' ', /empty/],
  ['peer-host', '10.0.0.1:50051', /port in it/],
  ['peer-port', '0', /1 to 65535/],
  ['peer-port', '70000', /1 to 65535/],
  ['peer-id', 'a,b', /comma/],
  ['listen-port', '99999', /0 to 65535/],
  ['broadcast-port', '0', /1 to 65535/],
  ['discovery-timeout', '0', /above 0/],
  ['discovery-timeout', 'soon', /"soon".*seconds/],
  ['node-id-filter', ' , ', /at least one/],
  ['interface-type-filter', 'Ethernt', /did you mean Ethernet/],
  ['chatgpt-api-host', 'http://x', /neither/],
  ['chatgpt-api-port', '123456', /0 to 65535/],
  ['chatgpt-api-response-timeout', '-5', /above 0/],
  ['inference-engine', 'dumy', /did you mean dummy/],
  ['max-context', '1', /16 to/],
  ['quantisation', 'q8', /choose from none, q8_0/],
  ['device', '', /is not a device of this machine; choose from auto, cpu/],
  ['device', 'nonsense', /"nonsense" is not a device of this machine; choose from auto, cpu/],
  ['device', 'cup', /did you mean cpu/],
  ['threads', '0', /1 to 1024/],
  ['default-temp', '2.1', /0 to 2/],
  ['default-temp', 'hot', /0 to 2/],
  ['default-temp', '', /0 to 2/],
  ['max-generate-tokens', '0', /1 to/],
  ['layers', 'n1', /a node and its layers/],
  ['layers', 'n1=0-3,', /a node and its layers/],
  ['layers', 'n1=3-0', /ends before it begins/],
  ['layers', 'n1=1-3', /n1 begins with layer 1, and layer 0 is to come/],
  ['layers', 'n1=0-3,n2=5-7', /n2 begins with layer 5, and layer 4 is to come/],
  ['layers', 'n1=0-3,n2=3-7', /n2 begins with layer 3/],
  ['layers', 'n1=0-3,n1=4-7', /n1 is named twice/],
  ['models-seed-dir', '/no/such/folder', /not a folder/],
  ['max-parallel-downloads', '0', /1 to 64/],
  ['run-model', '', /empty/],
];

for (const [name, value, says] of BAD) {
  test(`--${name} ${JSON.stringify(value.slice(0, 20))} is refused in words`, () => {
    refuses({ ...MANUAL, ...DIRECT, 'discovery-module': 'manual,direct', [name]: value }, 'option-invalid', [
      new RegExp(`--${name}`),
      says,
    ]);
  });
}

test('control characters of a bad value do not reach the message', () => {
  refuses({ 'node-port': '\u001b[2J1' }, 'option-invalid', [/\\u001b\[2J1/]);
});

const UNSUPPORTED = table.NODE_OPTIONS.filter(({ unsupported }) => unsupported === true);

test('tailscale and training are refused as not supported yet', () => {
  const names = UNSUPPORTED.map(({ name }) => name);
  assert.deepEqual(names, [
    'tailscale-api-key',
    'tailnet-name',
    'iters',
    'save-every',
    'data',
    'batch-size',
    'resume-checkpoint',
    'save-checkpoint-dir',
  ]);
  for (const name of names) {
    refuses({ [name]: '1' }, 'option-unsupported', [new RegExp(`--${name}`), /not supported yet/]);
  }
  refuses({ 'discovery-module': 'udp,Tailscale' }, 'option-unsupported', [
    /--discovery-module tailscale/,
    /manual/,
  ]);
});

test('a model that the dummy engine has not is refused at once', () => {
  refuses({ 'inference-engine': 'dummy', 'default-model': 'gpt-9' }, 'option-invalid', [
    /not a model.*dummy/,
  ]);
});

for (const engine of ['mlx', 'tinygrad', 'MLX']) {
  test(`--inference-engine ${engine} is refused, naming the engines that are here`, () => {
    refuses({ 'inference-engine': engine }, 'option-unsupported', [/--inference-engine/, /ggml/]);
  });
}

test('a module without its companion names the companion', () => {
  refuses({ 'discovery-module': 'manual' }, 'option-missing', [
    /--discovery-config-path/,
    /peers\.example\.json/,
  ]);
  refuses({ 'discovery-module': 'direct' }, 'option-missing', [/--peer-host and --peer-port/]);
  refuses({ 'discovery-module': 'direct', 'peer-host': 'x' }, 'option-missing', [/needs --peer-port:/]);
  refuses({ ...DIRECT, 'discovery-module': 'udp,direct', 'peer-host': undefined }, 'option-missing', [
    /needs --peer-host:/,
  ]);
});

test('--split and --layers are a contradiction', () => {
  refuses({ split: true, layers: 'n1=0-7' }, 'option-conflict', [/--split/, /--layers/]);
});

test('ports in each other’s way are a contradiction, other hosts and port 0 are not', () => {
  const same = { 'node-port': '6000', 'chatgpt-api-port': '6000' };
  refuses(same, 'option-conflict', [/--node-port/, /--chatgpt-api-port/, /6000/]);
  refuses({ ...same, 'node-host': 'localhost' }, 'option-conflict', [/6000/]);
  readConfig({ ...same, 'node-host': '10.0.0.5' }, {});
  readConfig({ ...same, 'node-port': '0', 'chatgpt-api-port': '0' }, {});
  const listen = { 'listen-port': '50051' };
  readConfig(listen, {});
  refuses({ ...listen, 'discovery-module': 'tcp' }, 'option-conflict', [/--node-port/, /--listen-port/]);
  refuses({ 'listen-port': '52415', 'discovery-module': 'tcp' }, 'option-conflict', [/--chatgpt-api-port/]);
});

test('a direct peer that is this node, or its HTTP port, is a contradiction', () => {
  const own = { ...DIRECT, 'peer-host': '127.0.0.1' };
  refuses(own, 'option-conflict', [/--peer-port 50051/, /itself/]);
  refuses({ ...own, 'peer-port': '52415' }, 'option-conflict', [/--chatgpt-api-port/, /tunnel/]);
  readConfig({ ...own, 'peer-port': '49703' }, {});
  readConfig(DIRECT, {});
});

test('an option without effect is a warning, not an error', () => {
  const warned = (raw: Raw) =>
    readConfig({ ...raw, 'inference-engine': 'dummy' }, {}).notes.map(
      ({ level, message }) => `${level} ${message}`,
    );
  assert.deepEqual(warned({ 'discovery-config-path': 'p.json' }), [
    'warn --discovery-config-path has no effect without --discovery-module manual',
  ]);
  assert.equal(warned({ 'peer-host': 'x', 'peer-port': '1', 'peer-id': 'y' }).length, 3);
  assert.equal(warned({ ...MANUAL, 'listen-port': '1', 'broadcast-port': '2' }).length, 2);
  assert.equal(warned({ device: 'cpu', threads: '1', quantisation: 'q8_0' }).length, 3);
  assert.deepEqual(warned(MANUAL), []);
});

test('the environment gives levels, temperature and the hub; options win over it', () => {
  assert.equal(readConfig({}, { DEBUG: '1' }).logLevel, 'debug');
  assert.equal(readConfig({}, { DEBUG: '9' }).logLevel, 'trace');
  assert.equal(readConfig({}, { DEBUG: '0', DEBUG_DISCOVERY: '2' }).logLevel, 'debug');
  assert.equal(readConfig({}, { TEMPERATURE: '0.5' }).inference.defaultTemperature, 0.5);
  assert.equal(readConfig({ 'default-temp': '0' }, { TEMPERATURE: '0.5' }).inference.defaultTemperature, 0);
  const { models } = readConfig({}, { HF_ENDPOINT: 'https://mirror.example', HF_HOME: '/hf' });
  assert.equal(models.hfEndpoint, 'https://mirror.example');
  assert.equal(models.hfHome, '/hf');
  for (const env of [{ EXO_OFFLINE: '1' }, { HF_HUB_OFFLINE: 'yes' }] as const) {
    assert.equal(readConfig({}, env).models.offline, true);
  }
  assert.equal(readConfig({}, { EXO_OFFLINE: '0' }).models.offline, undefined);
  assert.equal(readConfig({}, { DEBUG: '', TEMPERATURE: '' }).logLevel, 'info');
  const { notes } = readConfig({ 'inference-engine': 'dummy' }, { TINYGRAD_DEBUG: '2' });
  assert.deepEqual(
    notes.map(({ level }) => level),
    ['debug'],
  );
});

for (const [name, value] of [
  ['DEBUG', '10'],
  ['DEBUG', 'app:*'],
  ['DEBUG_DISCOVERY', '-1'],
  ['TEMPERATURE', 'warm'],
  ['HF_ENDPOINT', 'mirror'],
] as const) {
  test(`${name}=${value} is refused by name`, () => {
    refuses({}, 'option-invalid', [new RegExp(`^${name}: "`)], { [name]: value });
  });
}

test('the lists that the help shows are those of the rooms that use them', () => {
  assert.deepEqual([...table.DISCOVERY_MODULES].sort(), [...DISCOVERY_MODULES].sort());
  assert.deepEqual([...table.INTERFACE_TYPES].sort(), Object.keys(INTERFACE_PRIORITY).sort());
  const engines = table.NODE_OPTIONS.find(({ name }) => name === 'inference-engine')?.words;
  assert.deepEqual(engines, [...ENGINE_NAMES]);
  const types = table.NODE_OPTIONS.find(({ name }) => name === 'quantisation')?.words;
  assert.deepEqual(types, [...QUANTISATIONS]);
});

test('settings and identity become the options of the node', () => {
  const raw = { ...MANUAL, 'system-prompt': 'x', 'default-temp': '1', 'max-context': '512' };
  const settings = readConfig(raw, {});
  const identity = { id: 'a', instance: '0123456789abcdef', epoch: 5 };
  assert.deepEqual(nodeOptions(settings, identity, '1.2.3'), {
    nodeId: 'a',
    instance: '0123456789abcdef',
    epoch: 5,
    version: '1.2.3',
    nodeHost: '127.0.0.1',
    nodePort: 50051,
    discovery: settings.discovery,
    engine: 'ggml',
    systemPrompt: 'x',
    contextTokensMax: 512,
    responseTimeoutMs: 900_000,
    maxGenerateTokens: 10_000,
    defaultTemperature: 1,
  });
});

test('the closest word is found within a third of the letters, and none beyond', () => {
  assert.equal(closest('statsu', ['status', 'stop']), 'status');
  assert.equal(closest('manaul', ['udp', 'manual']), 'manual');
  assert.equal(closest('dcp', ['udp', 'tcp']), 'tcp');
  assert.equal(closest('banana', ['udp', 'tcp', 'manual']), undefined);
});
