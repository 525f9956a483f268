/**
 * The effective configuration of a node from options and environment, checked before anything is opened. No I/O but
 * the look whether a named folder is there. The CLI calls it; `node.ts` works from its result.
 *
 * Options win over the environment, the environment over defaults. Two defaults are safer than the original's: the
 * HTTP API listens on 127.0.0.1, and so does the node where only manual and direct discovery are on (its peers then
 * come through tunnels). An option that has no effect here, because its module is off, is no error (the original
 * ignores it too, and command lines are copied) but a warning.
 */
import { statSync } from 'node:fs';
import type * as z from 'zod';
import type { DiscoveryOptions } from '../../discovery/index.js';
import {
  DUMMY_MODELS,
  ENGINE_NAMES,
  type EngineName,
  type Placement,
  type Quantisation,
} from '../../inference/index.js';
import { ExoError, type LogLevel, logLevelFromDebug, printable } from '../../shared/index.js';
import type { NodeIdentity } from '../home/index.js';
import { parseHostList } from '../host-list.js';
import type { NodeOptions } from '../node-options.js';
import { NODE_OPTIONS, type RawOptions } from '../options/index.js';
import { checkContradictions, checkUnsupported } from './checks.js';
import { type ConfigNote, environmentSchema, type OptionValues, optionSchema } from './schema.js';
import * as v from './values.js';

/** The checked configuration. */
export interface NodeSettings {
  /** `--node-id`; null: the one kept in `$EXO_HOME`. */
  readonly nodeId: string | null;
  readonly nodeHost: string;
  /** 0 takes any free port. */
  readonly nodePort: number;
  readonly waitForPeers: number;
  readonly tui: boolean;
  readonly discovery: DiscoveryOptions;
  readonly trust: {
    /** As written, and found good. */
    readonly allowLegacy: readonly string[];
    /** `--auth-token-file`, else EXO_AUTH_TOKEN: where the mesh key of this start is. Absent: the kept one. */
    readonly token?: { readonly file: string } | { readonly text: string };
    readonly sshAuthorizedKeys?: string;
    /** A key file, or `agent`. */
    readonly sshIdentity?: string;
    readonly sshAgentSocket?: string;
  };
  readonly tunnels: { readonly probeIntervalMs: number; readonly probeTimeoutMs: number };
  readonly api: { readonly host: string; readonly port: number; readonly responseTimeoutMs: number };
  readonly inference: {
    readonly engine: EngineName;
    /** `auto`, or the name of a device. */
    readonly device: string;
    readonly quantisation: Quantisation;
    /** Absent: the cores that are idle when the engine starts. */
    readonly threads?: number;
    /** Absent: what the model was made for. */
    readonly contextTokensMax?: number;
    /** Absent: the engine's own. */
    readonly defaultModel?: string;
    readonly defaultTemperature: number;
    readonly maxGenerateTokens: number;
    readonly systemPrompt?: string;
    /** Absent: `auto`. */
    readonly placement?: Placement;
  };
  readonly models: {
    readonly seedDir?: string;
    readonly parallelDownloadsMax: number;
    readonly quickCheck: boolean;
    readonly hfEndpoint: string;
    readonly hfHome?: string;
    /** No hub is asked. */
    readonly offline?: true;
    readonly spare?: true;
  };
  /** The louder of `DEBUG` and `DEBUG_DISCOVERY`. */
  readonly logLevel: LogLevel;
  readonly question: { readonly model?: string; readonly prompt: string };
  readonly notes: readonly ConfigNote[];
}

/**
 * The options of `createNode` for these settings and this start.
 * @param place.tunnelFolder where tunnels are kept; absent: the node opens none
 * @param place.apiPort of the HTTP API beside it; absent: it has none
 */
export function nodeOptions(
  settings: NodeSettings,
  identity: NodeIdentity,
  version: string,
  place: { readonly tunnelFolder?: string; readonly apiPort?: number } = {},
): NodeOptions {
  const { inference } = settings;
  return {
    nodeId: identity.id,
    instance: identity.instance,
    epoch: identity.epoch,
    version,
    nodeHost: settings.nodeHost,
    nodePort: settings.nodePort,
    discovery: settings.discovery,
    ...optional(
      'tunnels',
      place.tunnelFolder === undefined ? undefined : { ...settings.tunnels, stateFolder: place.tunnelFolder },
    ),
    ...optional('apiPort', place.apiPort),
    engine: inference.engine,
    ...optional('defaultModel', inference.defaultModel),
    ...optional('systemPrompt', inference.systemPrompt),
    ...optional('placement', inference.placement),
    ...optional('contextTokensMax', inference.contextTokensMax),
    responseTimeoutMs: settings.api.responseTimeoutMs,
    maxGenerateTokens: inference.maxGenerateTokens,
    defaultTemperature: inference.defaultTemperature,
  };
}

/** The variables that `readConfig` looks at, EXO_HOME (see home/home.ts) apart. */
export const CONFIG_VARIABLES = [...Object.keys(environmentSchema.shape), 'TINYGRAD_DEBUG'] as const;

/**
 * Reads and checks everything. Throws `option-invalid`, `option-missing`, `option-conflict` or `option-unsupported`;
 * the message names the option or variable and the way out.
 */
export function readConfig(raw: RawOptions, env: NodeJS.ProcessEnv): NodeSettings {
  const given = new Set(Object.keys(raw).filter((name) => raw[name] !== undefined));
  checkUnsupported(raw);
  const variables = read(environmentSchema, withoutEmpty(env), (name) => name);
  const fallbacks = Object.fromEntries(NODE_OPTIONS.map(({ name, fallback }) => [name, fallback]));
  const values = read(optionSchema, { ...fallbacks, ...defined(raw) }, (name) => `--${name}`);
  const modules = values['discovery-module'];
  const isOpen = modules.some((module) => module === 'udp' || module === 'tcp');
  const nodeHost = values['node-host'] ?? (isOpen ? '0.0.0.0' : '127.0.0.1');
  const notes = checkContradictions(values, nodeHost, given);
  if (env['TINYGRAD_DEBUG']) {
    notes.push({ level: 'debug', message: 'TINYGRAD_DEBUG has no effect: there is no tinygrad here' });
  }
  const engine = readEngine(values['inference-engine']);
  const seedDir = values['models-seed-dir'];
  if (seedDir !== undefined) checkFolder(seedDir);
  return {
    nodeId: values['node-id'] ?? null,
    nodeHost,
    nodePort: values['node-port'],
    waitForPeers: values['wait-for-peers'],
    tui: values['disable-tui'] !== true,
    discovery: readDiscovery(values),
    trust: readTrust(values, variables),
    tunnels: {
      probeIntervalMs: values['tunnel-probe-interval'],
      probeTimeoutMs: values['tunnel-probe-timeout'],
    },
    api: {
      host: values['chatgpt-api-host'],
      port: values['chatgpt-api-port'],
      responseTimeoutMs: values['chatgpt-api-response-timeout'],
    },
    inference: {
      engine,
      device: values.device,
      quantisation: values.quantisation,
      ...optional('threads', values.threads),
      ...optional('contextTokensMax', values['max-context']),
      ...optional('defaultModel', readDefaultModel(values['default-model'], engine)),
      defaultTemperature: given.has('default-temp')
        ? values['default-temp']
        : (variables.TEMPERATURE ?? values['default-temp']),
      maxGenerateTokens: values['max-generate-tokens'],
      ...optional('placement', readPlacement(values)),
      ...optional('systemPrompt', values['system-prompt']),
    },
    models: {
      ...optional('seedDir', seedDir),
      parallelDownloadsMax: values['max-parallel-downloads'],
      quickCheck: values['download-quick-check'] ?? false,
      hfEndpoint: variables.HF_ENDPOINT ?? 'https://huggingface.co',
      ...optional('hfHome', variables.HF_HOME),
      ...optional('offline', readOffline(values, variables)),
      ...optional('spare', values.spare === true ? (true as const) : undefined),
    },
    logLevel: logLevelFromDebug(Math.max(variables.DEBUG ?? 0, variables.DEBUG_DISCOVERY ?? 0)),
    question: { ...optional('model', values['run-model']), prompt: values.prompt },
    notes,
  };
}

function readPlacement({ split, layers }: OptionValues): Placement | undefined {
  if (layers === undefined) return split === true ? { kind: 'split' } : undefined;
  if (split !== true) return { kind: 'manual', ranges: layers };
  throw new ExoError(
    'option-conflict',
    '--split lets the node choose the layers, --layers names them; leave one out',
  );
}

function readDiscovery(values: OptionValues): DiscoveryOptions {
  return {
    modules: values['discovery-module'],
    discoveryTimeoutMs: values['discovery-timeout'],
    listenPort: values['listen-port'],
    broadcastPort: values['broadcast-port'],
    ...optional('configPath', values['discovery-config-path']),
    ...optional('peerHost', values['peer-host']),
    ...optional('peerPort', values['peer-port']),
    ...optional('peerId', values['peer-id']),
    ...optional('nodeIdFilter', values['node-id-filter']),
    ...optional('interfaceTypeFilter', values['interface-type-filter']),
  };
}

function readTrust(
  values: OptionValues,
  variables: z.infer<typeof environmentSchema>,
): NodeSettings['trust'] {
  const allowLegacy = values['allow-legacy'] ?? [];
  parseHostList(allowLegacy, '--allow-legacy');
  const file = values['auth-token-file'];
  const text = variables.EXO_AUTH_TOKEN;
  const token = file !== undefined ? { file } : text !== undefined ? { text } : undefined;
  return {
    allowLegacy,
    ...optional('token', token),
    ...optional('sshAuthorizedKeys', values['ssh-authorized-keys']),
    ...optional('sshIdentity', values['ssh-identity']),
    ...optional('sshAgentSocket', variables.SSH_AUTH_SOCK),
  };
}

/** The option, our variable, or that of the hub's own tools. */
function readOffline(values: OptionValues, variables: z.infer<typeof environmentSchema>): true | undefined {
  const said = [variables.EXO_OFFLINE, variables.HF_HUB_OFFLINE];
  const isOffline = values.offline === true || said.some((text) => /^(1|on|yes|true)$/i.test(text ?? ''));
  return isOffline ? true : undefined;
}

const ENGINES_OF_THE_ORIGINAL: readonly string[] = ['mlx', 'tinygrad'];

/** The original chooses mlx or tinygrad; neither is here. */
function readEngine(name: string): EngineName {
  const here = ENGINE_NAMES.join(', ');
  if (ENGINES_OF_THE_ORIGINAL.includes(name.toLowerCase())) {
    throw new ExoError(
      'option-unsupported',
      `--inference-engine ${name}: not supported yet; this version has: ${here}. Leave the option out, and ggml computes the same models`,
    );
  }
  try {
    return v.oneOf(ENGINE_NAMES, 'an engine')(name);
  } catch (error) {
    throw new ExoError('option-invalid', `--inference-engine: ${(error as Error).message}`);
  }
}

/** Which models are on disk is known only when the node starts. */
function readDefaultModel(model: string | undefined, engine: EngineName): string | undefined {
  if (model === undefined || engine !== 'dummy') return model;
  const known = DUMMY_MODELS.list().map(({ id }) => id);
  if (known.includes(model)) return model;
  throw new ExoError(
    'option-invalid',
    `--default-model: "${printable(model, 60)}" is not a model of the dummy engine; it has: ${known.join(', ')} (real models need --inference-engine ggml)`,
  );
}

function checkFolder(folder: string): void {
  if (statSync(folder, { throwIfNoEntry: false })?.isDirectory()) return;
  throw new ExoError(
    'option-invalid',
    `--models-seed-dir: "${printable(folder)}" is not a folder; create it or leave the option out`,
  );
}

function read<S extends z.ZodType>(shape: S, input: unknown, nameOf: (key: string) => string): z.infer<S> {
  const result = shape.safeParse(input);
  if (result.success) return result.data;
  const issue = result.error.issues[0]!;
  throw new ExoError('option-invalid', `${nameOf(String(issue.path[0]))}: ${issue.message}`);
}

function defined(raw: RawOptions): RawOptions {
  return Object.fromEntries(Object.entries(raw).filter(([, value]) => value !== undefined));
}

/** An empty variable is an unset one, as everywhere in a shell. */
function withoutEmpty(env: NodeJS.ProcessEnv): Record<string, string> {
  const out: Record<string, string> = {};
  for (const [name, value] of Object.entries(env)) if (value !== undefined && value !== '') out[name] = value;
  return out;
}

function optional<K extends string, T>(key: K, value: T | undefined): { readonly [P in K]?: T } {
  return value === undefined ? {} : ({ [key]: value } as { readonly [P in K]: T });
}
