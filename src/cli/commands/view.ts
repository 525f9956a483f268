/** What status, topology and peers have in common: ask the API once, print JSON or lines. */
import { formatAddress, toExoError } from '../../shared/index.js';
import { type ApiCall, callApi } from '../api-client.js';
import { EXIT } from '../errors.js';
import { type CliHost, type Colours, colours } from '../host.js';
import { Progress } from '../progress.js';
import { type ApiTarget, resolveTarget } from '../target.js';

/** Options of the commands that talk to a running node. */
export interface ClientOptions {
  readonly api?: string;
  readonly json?: boolean;
}

/** Version of the JSON that commands print where the API does not carry its own. */
export const CLI_SCHEMA_VERSION = 1;

/** Asks `path` and prints. `lines` is for people. `call`: where it is no GET, or takes the node more than a look at itself. */
export async function view<T extends object>(
  host: CliHost,
  options: ClientOptions,
  path: string,
  lines: (answer: T, target: ApiTarget, c: Colours) => Promise<string[]> | string[],
  call: Partial<ApiCall> = {},
): Promise<number> {
  const target = resolveTarget(options.api, host.env);
  const progress = new Progress(host, `asking the node at ${formatAddress(target)}`);
  let answer: T;
  try {
    answer = await callApi<T>(host.clock, target, { method: 'GET', path, ...call });
  } finally {
    progress.end();
  }
  if (options.json === true) {
    printJson(host, { schema_version: CLI_SCHEMA_VERSION, ...answer });
    return EXIT.ok;
  }
  host.stdout.write(`${(await lines(answer, target, colours(host.stdout, host.env))).join('\n')}\n`);
  return EXIT.ok;
}

/** One JSON document on stdout. */
export function printJson(host: CliHost, value: unknown): void {
  host.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
}

/** Code and message of a failure, for JSON. */
export function errorJson(thrown: unknown): { code: string; message: string } {
  const { code, message } = toExoError(thrown);
  return { code, message };
}
