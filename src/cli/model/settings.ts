/** What the commands about models work with, from the environment: the folders, the hub, its token. No node is asked. */
import { homedir } from 'node:os';
import { DEFAULT_ENDPOINT, Hub, ModelStore, modelPlaces, Retries, readHubToken } from '../../models/index.js';
import { exoHome } from '../../node/home/index.js';
import { ExoError, printable } from '../../shared/index.js';
import { HintedError } from '../errors.js';
import type { CliHost } from '../host.js';

/** Options that all commands about models have. */
export interface ModelOptions {
  readonly json?: boolean;
  readonly offline?: boolean;
}

/** The models that are kept here. */
export function openStore(host: CliHost): ModelStore {
  const { env, clock, random } = host;
  const places = modelPlaces({ home: exoHome(env), env, userHome: env['HOME'] || homedir() });
  return new ModelStore({ places }, { clock, random });
}

/** Whether no hub may be asked. */
export function isOffline(host: CliHost, options: ModelOptions): boolean {
  const said = host.env['HF_HUB_OFFLINE'] ?? '';
  return options.offline === true || /^(1|on|yes|true)$/i.test(said);
}

/** The hub, as HF_ENDPOINT and the token say. Throws `option-invalid`, and where it must not be asked. */
export function openHub(
  host: CliHost,
  options: ModelOptions,
): { readonly hub: Hub; readonly retries: Retries } {
  const { env, clock, random } = host;
  if (isOffline(host, options)) {
    throw new HintedError(
      'hub-unreachable',
      'the hub is not asked: --offline or HF_HUB_OFFLINE says so',
      'exo model list shows what is here',
    );
  }
  const endpoint = env['HF_ENDPOINT'] || DEFAULT_ENDPOINT;
  const url = URL.canParse(endpoint) ? new URL(endpoint) : undefined;
  if (url?.protocol !== 'http:' && url?.protocol !== 'https:') {
    throw new ExoError(
      'option-invalid',
      `HF_ENDPOINT: "${printable(endpoint, 60)}" is not an http or https URL`,
    );
  }
  const token = readHubToken({ env, userHome: env['HOME'] || homedir() });
  return { hub: new Hub({ endpoint, token }, { clock }), retries: new Retries({ clock, random }) };
}
