/**
 * Every option of a node: name, default and meaning, as plain data. The command line makes its options and help
 * from this list, `config.ts` reads the values; nothing here is code, so that a short command loads it for nothing.
 * Names, defaults and meaning are those of the original, but for the two hosts (see `config.ts`).
 */

/** Where an option stands in the help. */
export type OptionGroup =
  | 'Node'
  | 'Discovery'
  | 'Trust'
  | 'Tunnels'
  | 'HTTP API'
  | 'Inference'
  | 'One question'
  | 'Training';

/** One option. */
export interface NodeOptionSpec {
  /** As in `--node-id`, without the dashes. */
  readonly name: string;
  /** Placeholder of the value; absent for a switch. */
  readonly value?: string;
  readonly help: string;
  readonly group: OptionGroup;
  /** As the user would write it. Absent: no default. */
  readonly fallback?: string;
  /** Words that a shell may complete. */
  readonly words?: readonly string[];
  /** What a shell may complete otherwise. */
  readonly completes?: 'file' | 'folder';
  /** Known to the original, not to this version. */
  readonly unsupported?: boolean;
  /** `--no-…` exists too. */
  readonly negatable?: boolean;
}

/** The discovery modules of this version. */
export const DISCOVERY_MODULES = ['udp', 'tcp', 'manual', 'direct'] as const;

/** The original's interface classes. */
export const INTERFACE_TYPES = [
  'Container Virtual',
  'Loopback',
  'Thunderbolt',
  'Ethernet',
  'WiFi',
  'Other',
  'External Virtual',
] as const;

/** All options, in the order of the help. */
export const NODE_OPTIONS: readonly NodeOptionSpec[] = [
  {
    name: 'node-id',
    value: 'id',
    group: 'Node',
    help: 'name of this node (default: a generated one, kept in $EXO_HOME)',
  },
  {
    name: 'node-host',
    value: 'host',
    group: 'Node',
    help: 'address to listen on for peers (default: 0.0.0.0 with udp or tcp discovery, else 127.0.0.1)',
  },
  { name: 'node-port', value: 'port', group: 'Node', fallback: '50051', help: 'port to listen on for peers' },
  {
    name: 'wait-for-peers',
    value: 'count',
    group: 'Node',
    fallback: '0',
    help: 'wait at the start until this many peers are there',
  },
  {
    name: 'disable-tui',
    group: 'Node',
    negatable: true,
    help: 'log lines instead of the terminal UI (which this version does not have yet)',
  },
  {
    name: 'discovery-module',
    value: 'modules',
    group: 'Discovery',
    fallback: 'udp',
    words: DISCOVERY_MODULES,
    help: 'how peers are found: udp, tcp, manual, direct, or several with commas',
  },
  {
    name: 'discovery-config-path',
    value: 'file',
    group: 'Discovery',
    completes: 'file',
    help: 'the peers file of manual discovery',
  },
  { name: 'peer-host', value: 'host', group: 'Discovery', help: 'the peer of direct discovery' },
  { name: 'peer-port', value: 'port', group: 'Discovery', help: 'the port of that peer' },
  {
    name: 'peer-id',
    value: 'id',
    group: 'Discovery',
    help: 'a name for that peer until it tells its own (default: peer-<host>)',
  },
  {
    name: 'listen-port',
    value: 'port',
    group: 'Discovery',
    fallback: '5678',
    help: 'port on which udp and tcp discovery listen',
  },
  {
    name: 'broadcast-port',
    value: 'port',
    group: 'Discovery',
    fallback: '5678',
    help: 'port to which udp discovery announces',
  },
  {
    name: 'discovery-timeout',
    value: 'seconds',
    group: 'Discovery',
    fallback: '30',
    help: 'forget an announced peer that has been silent for this long',
  },
  { name: 'node-id-filter', value: 'ids', group: 'Discovery', help: 'only these node ids, with commas' },
  {
    name: 'interface-type-filter',
    value: 'types',
    group: 'Discovery',
    words: INTERFACE_TYPES,
    help: 'only peers on these types of interface, with commas (Ethernet, WiFi, …)',
  },
  {
    name: 'tailscale-api-key',
    value: 'key',
    group: 'Discovery',
    unsupported: true,
    help: 'not supported yet',
  },
  { name: 'tailnet-name', value: 'name', group: 'Discovery', unsupported: true, help: 'not supported yet' },
  {
    name: 'allow-legacy',
    value: 'hosts',
    group: 'Trust',
    help: 'with a mesh key: old peers at these addresses may join in plain all the same; addresses, ranges, names or loopback, with commas between',
  },
  {
    name: 'auth-token-file',
    value: 'file',
    group: 'Trust',
    completes: 'file',
    help: 'file with the mesh key of this start, in the place of EXO_AUTH_TOKEN and the kept one',
  },
  {
    name: 'ssh-authorized-keys',
    value: 'file',
    group: 'Trust',
    completes: 'file',
    help: 'whoever holds an ssh key of this authorized_keys file is trusted, as a peer and by the HTTP API',
  },
  {
    name: 'ssh-identity',
    value: 'file',
    group: 'Trust',
    completes: 'file',
    help: 'prove this node by an ssh key too: a key file, or agent for all keys of the ssh agent',
  },
  {
    name: 'tunnel-probe-interval',
    value: 'seconds',
    group: 'Tunnels',
    fallback: '10',
    help: 'how often a health check is sent through each ssh tunnel that is up',
  },
  {
    name: 'tunnel-probe-timeout',
    value: 'seconds',
    group: 'Tunnels',
    fallback: '3',
    help: 'wait this long for its answer',
  },
  {
    name: 'chatgpt-api-host',
    value: 'host',
    group: 'HTTP API',
    fallback: '127.0.0.1',
    help: 'address of the HTTP API',
  },
  {
    name: 'chatgpt-api-port',
    value: 'port',
    group: 'HTTP API',
    fallback: '52415',
    help: 'port of the HTTP API',
  },
  {
    name: 'chatgpt-api-response-timeout',
    value: 'seconds',
    group: 'HTTP API',
    fallback: '900',
    help: 'longest time for one answer',
  },
  {
    name: 'inference-engine',
    value: 'name',
    group: 'Inference',
    fallback: 'ggml',
    words: ['dummy', 'ggml'],
    help: 'what computes the models: ggml, or dummy, which answers every question with its name',
  },
  {
    name: 'default-model',
    value: 'model',
    group: 'Inference',
    help: 'model of requests that name none (default: the first one that is stored here, else demo)',
  },
  {
    name: 'default-temp',
    value: 'number',
    group: 'Inference',
    fallback: '0.0',
    help: 'sampling temperature of requests that name none, 0 to 2',
  },
  {
    name: 'max-generate-tokens',
    value: 'count',
    group: 'Inference',
    fallback: '10000',
    help: 'longest answer',
  },
  {
    name: 'max-context',
    value: 'tokens',
    group: 'Inference',
    help: 'longest prompt and answer together (default: what the model was made for)',
  },
  {
    name: 'quantisation',
    value: 'type',
    group: 'Inference',
    fallback: 'none',
    words: ['none', 'q8_0', 'q4_0', 'q4_k'],
    help: 'keep weights in fewer bits than in the files: faster and smaller, less exact',
  },
  {
    name: 'device',
    value: 'name',
    group: 'Inference',
    fallback: 'auto',
    words: ['auto', 'cpu', 'metal'],
    help: 'what of this machine computes: auto takes a GPU where there is one',
  },
  {
    name: 'threads',
    value: 'count',
    group: 'Inference',
    help: 'threads of the CPU that compute (default: the cores that are idle at the start)',
  },
  {
    name: 'split',
    group: 'Inference',
    help: 'compute over all nodes that can, also where that is slower (default: over as few as do it best)',
  },
  {
    name: 'layers',
    value: 'ranges',
    group: 'Inference',
    help: 'which node computes which layers: ID=0-11,ID=12-23',
  },
  {
    name: 'system-prompt',
    value: 'text',
    group: 'Inference',
    help: 'system message of conversations that have none',
  },
  {
    name: 'models-seed-dir',
    value: 'folder',
    group: 'Inference',
    completes: 'folder',
    help: 'folder of models that are downloaded already',
  },
  {
    name: 'max-parallel-downloads',
    value: 'count',
    group: 'Inference',
    fallback: '8',
    help: 'downloads at the same time',
  },
  {
    name: 'download-quick-check',
    group: 'Inference',
    help: 'compare sizes of downloaded files, not hashes',
  },
  {
    name: 'offline',
    group: 'Inference',
    help: 'ask no hub for models; what trusted nodes have is still used (also: EXO_OFFLINE=1, HF_HUB_OFFLINE=1)',
  },
  {
    name: 'spare',
    group: 'Inference',
    help: 'keep the files of the layers of the next node in the ring ready, for when it is lost',
  },
  {
    name: 'run-model',
    value: 'model',
    group: 'One question',
    help: 'ask this model one question, print the answer and exit (same as exo run)',
  },
  {
    name: 'prompt',
    value: 'text',
    group: 'One question',
    fallback: 'Who are you?',
    help: 'the question; - reads it from standard input',
  },
  { name: 'iters', value: 'count', group: 'Training', unsupported: true, help: 'not supported yet' },
  { name: 'save-every', value: 'count', group: 'Training', unsupported: true, help: 'not supported yet' },
  { name: 'data', value: 'folder', group: 'Training', unsupported: true, help: 'not supported yet' },
  { name: 'batch-size', value: 'count', group: 'Training', unsupported: true, help: 'not supported yet' },
  {
    name: 'resume-checkpoint',
    value: 'file',
    group: 'Training',
    unsupported: true,
    help: 'not supported yet',
  },
  {
    name: 'save-checkpoint-dir',
    value: 'folder',
    group: 'Training',
    unsupported: true,
    help: 'not supported yet',
  },
];

/** Values as the command line gives them: option name (without dashes in front) to text, or true/false for a switch. */
export type RawOptions = Readonly<Record<string, string | boolean | undefined>>;
