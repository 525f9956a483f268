/** `exo doctor tunnels`: for each tunnel what is wrong, how that is known, and what to type. */
import { printable, toExoError } from '../../shared/index.js';
import { type ClientOptions, printJson } from '../commands/view.js';
import { EXIT, HintedError } from '../errors.js';
import { warningLines } from '../format/peers.js';
import { type CliHost, type Colours, colours } from '../host.js';
import { Progress } from '../progress.js';
import { type ApiTarget, resolveTarget } from '../target.js';
import { TunnelClient } from './client.js';
import { diagnose, FINDINGS } from './diagnosis.js';
import type { Examination } from './examination.js';

/** Exit code 0 when all is well, 1 when something is wrong. */
export async function doctor(
  host: CliHost,
  name: string | undefined,
  options: ClientOptions & { readonly peers?: string },
): Promise<number> {
  const progress = new Progress(host, 'looking at the tunnels');
  let found: Examination;
  try {
    found =
      options.peers === undefined
        ? await examineNode(host, name, options)
        : await (await import('./offline.js')).examineFile(host, options.peers, name);
  } finally {
    progress.end();
  }
  const isWell = found.tunnels.every(({ ok }) => ok) && found.warnings.length === 0;
  if (options.json === true) printJson(host, toJson(found, isWell));
  else host.stdout.write(`${lines(found, colours(host.stdout, host.env)).join('\n')}\n`);
  return isWell ? EXIT.ok : EXIT.failed;
}

async function examineNode(
  host: CliHost,
  name: string | undefined,
  options: ClientOptions,
): Promise<Examination> {
  const client = new TunnelClient(host.clock, findNode(host, options));
  const { tunnels, warnings } = await client.list();
  const names = name === undefined ? tunnels.map((each) => each.name) : [name];
  const details = await Promise.all(names.map((each) => client.get(each)));
  return {
    tunnels: details.map((detail) => ({
      name: detail.tunnel.name,
      state: detail.tunnel.state,
      ...diagnose(detail, host.clock.wall()),
    })),
    warnings,
    remarks: [],
  };
}

/** Without a node there is still something to look at. */
function findNode(host: CliHost, options: ClientOptions): ApiTarget {
  try {
    return resolveTarget(options.api, host.env);
  } catch (thrown) {
    const error = toExoError(thrown);
    if (error.code !== 'api-unreachable') throw error;
    throw new HintedError(
      'api-unreachable',
      `${error.message}; a node knows what became of its tunnels`,
      'start one with: exo, or look at a file without one: exo doctor tunnels --peers peers.json',
    );
  }
}

function toJson({ tunnels, warnings, remarks }: Examination, isWell: boolean) {
  return {
    schema_version: 1,
    ok: isWell,
    tunnels: tunnels.map(({ name, state, finding, ok, evidence, next }) => ({
      name,
      state: state ?? null,
      finding,
      summary: FINDINGS[finding],
      ok,
      evidence,
      next,
    })),
    warnings,
    remarks,
  };
}

function lines({ tunnels, warnings, remarks }: Examination, c: Colours): string[] {
  const blocks = tunnels.flatMap(({ name, state, finding, ok, evidence, next }, at) => [
    ...(at === 0 ? [] : ['']),
    `${ok ? c.green('ok') : c.red('!!')} ${c.bold(printable(name, 128))}${state === undefined ? '' : ` (${printable(state, 20)})`}: ${finding}, ${FINDINGS[finding]}`,
    ...evidence.map((line) => `     ${printable(line, 600)}`),
    ...next.map((line) => `   ${c.bold('→')} ${printable(line, 600)}`),
  ]);
  return [
    ...(blocks.length === 0 ? ['there are no tunnels to look at'] : blocks),
    ...warningLines(warnings, c),
    ...(remarks.length === 0 ? [] : ['', ...remarks.map((line) => c.dim(printable(line, 400)))]),
  ];
}
