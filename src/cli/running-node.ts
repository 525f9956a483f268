/**
 * A node inside this process: configuration read, identity taken, everything started, and everything undone again.
 * `exo node` runs it with the HTTP API, `exo run` may run it without.
 */
import { networkInterfaces } from 'node:os';
import path from 'node:path';
import { type ApiServer, type ApiTrust, createApiServer } from '../api/index.js';
import { exoHome, tunnelFolder } from '../node/home/index.js';
import {
  createNode,
  type Node,
  type NodeSettings,
  nodeEngine,
  nodeOptions,
  type OpenedTrust,
  openNodeTrust,
  type RunFile,
  takeIdentity,
} from '../node/index.js';
import {
  type Address,
  type Clock,
  ExoError,
  formatAddress,
  isLoopback,
  type Logger,
  printable,
  toExoError,
} from '../shared/index.js';
import { HintedError } from './errors.js';
import type { CliHost } from './host.js';
import { type GivenToken, meshTokensOf } from './trust/mesh-tokens.js';
import { reachableAddress } from './trust/reachable.js';
import { StoredTrust } from './trust/trust-control.js';
import { version } from './version.js';

/** What is started. */
export interface RunningNodeOptions {
  readonly settings: NodeSettings;
  /** With the HTTP API. */
  readonly api: boolean;
  readonly logger: Logger;
  /** Someone asked the node to end (POST /quit). */
  quit(): void;
}

/** A node that runs in this process. */
export interface RunningNode {
  readonly id: string;
  readonly node: Node;
  readonly nodeAddress: Address;
  /** Absent where its engine fetches nothing. */
  readonly downloads?: NonNullable<Awaited<ReturnType<typeof nodeEngine>>['downloads']>;
  /** Absent where it runs without. */
  readonly apiAddress?: Address;
  /** Undoes everything; the first failure is thrown at the end. Idempotent. */
  stop(): Promise<void>;
  /** The last moment before an immediate end: the run file goes. */
  abandon(): void;
}

const TOKEN_BYTES = 32;

/** Starts a node; when a part fails, what was started is stopped again and the failure is thrown. */
export async function startNode(host: CliHost, options: RunningNodeOptions): Promise<RunningNode> {
  const { settings, logger } = options;
  const { clock, random } = host;
  const home = exoHome(host.env);
  const { identity, runFile, firstHolder } = takeIdentity(
    { home, nodeId: settings.nodeId, version: version() },
    { clock, random },
  );
  if (firstHolder !== undefined) {
    logger.info('node-id-in-use', { id: firstHolder.id, pid: firstHolder.pid, taken: identity.id });
  }
  const place = {
    tunnelFolder: tunnelFolder(home, identity.id),
    ...(options.api ? { apiPort: settings.api.port } : {}),
  };
  const opened = await openNodeTrust(
    settings.trust,
    { home, nodeId: identity.id },
    { clock, random, logger },
  ).catch((error: unknown) => {
    runFile.remove();
    throw error;
  });
  if (opened.copyWarning !== undefined) logger.warn('node-key-copied', { message: opened.copyWarning });
  const { engine, downloads } = await nodeEngine(settings, {
    home,
    env: host.env,
    clock,
    random,
    log: logger,
  });
  // Only the control run of the fault tests, which has to lose answers, switches it off.
  const recovery = host.env['EXO_TEST_RECOVERY'] !== 'off';
  const node = createNode(
    { ...nodeOptions(settings, identity, version(), place), recovery },
    {
      clock,
      random,
      logger,
      transport: opened.transport,
      trust: opened.node,
      inferenceEngine: engine,
      ...(downloads === undefined ? {} : { downloads }),
    },
  );
  const ownerToken = random.bytes(TOKEN_BYTES).toString('hex');
  const api = options.api
    ? createApiServer(
        {
          host: settings.api.host,
          port: settings.api.port,
          responseTimeoutMs: settings.api.responseTimeoutMs,
          ownerToken,
          ...(settings.inference.systemPrompt === undefined
            ? {}
            : { systemPrompt: settings.inference.systemPrompt }),
        },
        {
          mesh: node.mesh,
          chat: node.chat,
          ...(downloads === undefined ? {} : { downloads }),
          clock,
          log: logger,
          trust: apiTrust(opened, settings.trust, identity.id, node, clock),
          sheds: node.sheds,
          gauges: { generations: () => node.chat.size, connections: () => node.counters.connections() },
          quit: () => options.quit(),
        },
      )
    : undefined;
  const stop = () => stopInOrder(api, node, opened, runFile);
  try {
    // Before anything dials: the port may lie where the system takes those of outgoing connections from.
    await api?.bind();
    await opened.start();
    await node.start();
    await api?.start();
    const { nodeHost, nodePort } = node.mesh.self();
    if (!isLoopback(nodeHost) && !opened.authenticator.requiresTrust) {
      logger.warn('open-mesh', {
        message: `peers are taken at ${nodeHost} and no mesh key is set: whoever reaches the port is a member; "exo key new" closes the mesh`,
      });
    }
    runFile.update({
      nodePort,
      peersFile: peersFileOf(settings),
      api: api === undefined ? null : { ...api.address, token: ownerToken },
    });
    return {
      id: identity.id,
      node,
      nodeAddress: { host: nodeHost, port: nodePort },
      ...(downloads === undefined ? {} : { downloads }),
      ...(api === undefined ? {} : { apiAddress: api.address }),
      stop,
      abandon: () => runFile.remove(),
    };
  } catch (error) {
    await stop().catch(() => undefined);
    throw withRemedy(error, settings);
  }
}

/** Who may use the API beside the owner, and what the owner may change. */
function apiTrust(
  opened: OpenedTrust,
  settings: NodeSettings['trust'],
  id: string,
  node: Node,
  clock: Clock,
): ApiTrust {
  const { keys, store, nodeKey, sshSessions, givenKeyId } = opened;
  const { token } = settings;
  const given: GivenToken | undefined =
    givenKeyId !== undefined && token !== undefined && 'text' in token
      ? { keyId: givenKeyId, text: token.text }
      : undefined;
  return {
    meshTokens: meshTokensOf(keys, given),
    ...(sshSessions === undefined ? {} : { sessions: sshSessions }),
    control: new StoredTrust({
      clock,
      keys,
      store,
      self: { id, fingerprint: nodeKey.fingerprint },
      address: () => {
        const { nodeHost: host, nodePort: port } = node.mesh.self();
        return reachableAddress({ host, port }, networkInterfaces());
      },
      ...(givenKeyId === undefined ? {} : { givenKeyId }),
      dial: ({ address, fingerprint }) =>
        node.meet(address, (id) => {
          if (store.get(id)?.fingerprint === fingerprint) return;
          throw new ExoError(
            'identity-changed',
            `who answers at ${formatAddress(address)} ("${printable(id, 60)}") is not the node that invited: its key is another one`,
          );
        }),
    }),
  };
}

/** The file that `exo connect` may edit: the node reads it again when it changes. */
function peersFileOf({ discovery }: NodeSettings): string | null {
  const file = discovery.modules.includes('manual') ? discovery.configPath : undefined;
  return file === undefined ? null : path.resolve(file);
}

/** The API first, so that no new work comes; the run file last, so that `exo stop` sees when it is over. */
async function stopInOrder(
  api: ApiServer | undefined,
  node: Node,
  trust: OpenedTrust,
  runFile: RunFile,
): Promise<void> {
  try {
    await api?.stop();
  } finally {
    try {
      await node.stop();
      await trust.stop();
    } finally {
      runFile.remove();
    }
  }
}

/** A busy port gets the option that chooses another, and how to see who has it. */
function withRemedy(thrown: unknown, settings: NodeSettings): ExoError {
  const error = toExoError(thrown);
  if (error.code !== 'port-in-use') return error;
  const ports: ReadonlyArray<readonly [number, string]> = [
    [settings.nodePort, '--node-port'],
    [settings.api.port, '--chatgpt-api-port'],
    [settings.discovery.listenPort, '--listen-port'],
  ];
  const [port, option] = ports.find(([each]) => new RegExp(`\\b${each}\\b`).test(error.message)) ?? [];
  if (port === undefined) return error;
  return new HintedError(
    'port-in-use',
    error.message.includes(option!) ? error.message : `${error.message}; choose another with ${option}`,
    `who has it: lsof -i :${port} (another exo node, or the -L of an ssh tunnel?)`,
  );
}
