/**
 * The way of a tunnel with the settings of every machine on it, for the ssh2 driver: asks the system's ssh (`ssh -G`) where
 * there is one, so that the user's configuration means what it means to ssh, and otherwise reads a documented part of it itself
 * (ssh-config-subset.ts).
 */
import { homedir } from 'node:os';
import path from 'node:path';
import { type Clock, ExoError, LIMITS } from '../../shared/index.js';
import type { TunnelSpec } from '../description/tunnel-spec.js';
import { ConfigQueryFailed, queryConfig } from '../ssh/config-query.js';
import { type QueryConfig, resolveRoute } from '../ssh/route.js';
import { type HopSettings, hopSettings } from './hop-settings.js';
import { SessionFailed } from './session-failed.js';
import { readSmallFile } from './small-file.js';
import { answerFromSubset } from './ssh-config-subset.js';

/** Collaborators. */
export interface ConfigReaderComponents {
  readonly clock: Clock;
  /** @default process.env */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Answers in the place of the system's ssh. @default ssh, or the file itself where there is none */
  readonly query?: QueryConfig;
}

/** Dialled in this order; the last is the destination. Throws `SessionFailed` (`spec-refused`, or what ssh says), or the signal's reason. */
export async function readHops(
  spec: TunnelSpec,
  components: ConfigReaderComponents,
  signal: AbortSignal,
): Promise<readonly HopSettings[]> {
  const around = { home: homedir(), env: components.env ?? process.env };
  const query = components.query ?? ((args) => querySystem(args, spec, components, signal));
  try {
    const { hops } = await resolveRoute(spec, query);
    return hops.map((hop, index) => hopSettings(hop, spec, index === hops.length - 1, around));
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof ConfigQueryFailed) throw new SessionFailed(error.failure.code, error.message);
    if (error instanceof ExoError) throw new SessionFailed('spec-refused', error.message);
    throw error;
  }
}

/** The system's ssh, or the file itself where there is none. */
async function querySystem(
  args: readonly string[],
  spec: TunnelSpec,
  components: ConfigReaderComponents,
  signal: AbortSignal,
): Promise<string> {
  try {
    return await queryConfig(args, spec, signal, components);
  } catch (error) {
    if (error instanceof ConfigQueryFailed && error.failure.code === 'ssh-missing') return querySubset(args);
    throw error;
  }
}

/** The same question without ssh: reads the arguments that `resolveRoute` would give it. */
export const querySubset: QueryConfig = async (args) => {
  const settings: Array<readonly [string, string]> = [];
  let file: string | undefined;
  const end = args.indexOf('--');
  for (let i = 0; i < end; i += 1) {
    const value = args[i + 1] ?? '';
    switch (args[i]) {
      case '-F':
        file = value;
        break;
      case '-l':
        settings.push(['user', value]);
        break;
      case '-p':
        settings.push(['port', value]);
        break;
      case '-J':
        settings.push(['proxyjump', value]);
        break;
      case '-o': {
        const [, name = '', word = ''] = /^([^=]*)=(.*)$/s.exec(value) ?? [];
        settings.push([name, word.replace(/^"(.*)"$/s, '$1').replace(/\\(["\\])/g, '$1')]);
        break;
      }
      default:
        continue;
    }
    i += 1;
  }
  const place = file ?? path.join(homedir(), '.ssh', 'config');
  return answerFromSubset(
    { host: args[end + 1] ?? '', settings },
    await readConfig(place, file !== undefined),
    place,
  );
};

async function readConfig(place: string, named: boolean): Promise<string> {
  if (place === 'none') return '';
  const why = await readSmallFile(place, LIMITS.sshConfigBytesMax).catch((error: Error) => error);
  if (why instanceof Error || (why === undefined && named)) {
    const reason = why?.message ?? 'there is no such file';
    throw new SessionFailed('spec-refused', `the ssh configuration ${place} cannot be read: ${reason}`);
  }
  return why?.text ?? '';
}
