/** Which running node a command talks to: `--api`, then `EXO_API`, then the run files of `$EXO_HOME`. */
import { exoHome, listRunning, type RunRecord, runFolder } from '../node/home/index.js';
import { type Address, type ExoError, formatAddress, isLoopback, parseAddress } from '../shared/index.js';
import { HintedError } from './errors.js';

/** A node's API. */
export interface ApiTarget extends Address {
  /** The owner's token, where it is known. */
  readonly token?: string;
  /** The run file, when that is how it was found. */
  readonly run?: RunRecord;
}

const DEFAULT_API_PORT = 52415;

/** A running node whose API is up. */
export type RunningNode = RunRecord & { readonly api: NonNullable<RunRecord['api']> };

/** The nodes of this machine and home whose API is up. */
export function runningNodes(env: NodeJS.ProcessEnv): RunningNode[] {
  return listRunning(exoHome(env)).filter((run): run is RunningNode => run.api !== null);
}

/** The node that was named by option or variable; undefined when none was. Throws `option-invalid`. */
export function namedTarget(option: string | undefined, env: NodeJS.ProcessEnv): ApiTarget | undefined {
  const fromEnv = env['EXO_API'] || undefined;
  const text = option ?? fromEnv;
  if (text === undefined) return undefined;
  let address: Address;
  try {
    address = parseAddress(text.replace(/^http:\/\//i, '').replace(/\/+$/, ''), DEFAULT_API_PORT);
  } catch (error) {
    throw new HintedError(
      'option-invalid',
      `${option === undefined ? 'EXO_API' : '--api'}: ${(error as Error).message}`,
      'write it as --api 127.0.0.1:52415',
    );
  }
  const run = runningNodes(env).find(
    ({ api }) => api.port === address.port && (isLoopback(address.host) || api.host === address.host),
  );
  const token = run?.api.token ?? (env['EXO_API_TOKEN'] || undefined);
  return { ...address, ...(token === undefined ? {} : { token }), ...(run === undefined ? {} : { run }) };
}

/** The node to talk to. Throws `api-unreachable` (none runs) or `node-ambiguous` (several do; they are listed). */
export function resolveTarget(option: string | undefined, env: NodeJS.ProcessEnv): ApiTarget {
  const named = namedTarget(option, env);
  if (named !== undefined) return named;
  const nodes = runningNodes(env);
  if (nodes.length > 1) throw ambiguous(nodes);
  const [only] = nodes;
  if (only === undefined) {
    throw new HintedError(
      'api-unreachable',
      `no node runs here (no run file in ${runFolder(exoHome(env))})`,
      'start one with "exo", or name one with --api host:port or EXO_API',
    );
  }
  return runTarget(only);
}

/** The API of a run file as something to dial. */
export function runTarget(run: RunningNode): ApiTarget {
  return { host: dialHost(run.api.host), port: run.api.port, token: run.api.token, run };
}

/** All nodes of a machine that fit, and how to name one. */
export function ambiguous(nodes: readonly RunningNode[]): ExoError {
  const lines = nodes.map(
    ({ id, api, pid }) =>
      `  ${id}   --api ${formatAddress({ host: dialHost(api.host), port: api.port })}   (pid ${pid})`,
  );
  return new HintedError(
    'node-ambiguous',
    `${nodes.length} nodes run here; name one:\n${lines.join('\n')}`,
    'add --api host:port, or set EXO_API',
  );
}

/** An address to listen on as one to dial. */
export function dialHost(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1';
  return host === '::' ? '::1' : host;
}
