/** What `exo connect` says at its end: what was done, and how to undo it. */
import { formatAddress, printable } from '../../shared/index.js';
import { CLI_SCHEMA_VERSION, printJson } from '../commands/view.js';
import { type CliHost, colours } from '../host.js';
import type { ConnectOptions } from './connect-options.js';
import type { Connected } from './connecting.js';
import { forwardsOf } from './near-entry.js';
import type { DoneStep } from './steps.js';

/** Prints it, for people or as JSON. */
export function printConnected(
  host: CliHost,
  options: ConnectOptions,
  connected: Connected,
  steps: readonly DoneStep[],
  answer: string | undefined,
): void {
  if (options.json) printJson(host, toJson(options, connected, steps, answer));
  else host.stdout.write(`${lines(host, options, connected, answer).join('\n')}\n`);
}

function lines(
  host: CliHost,
  options: ConnectOptions,
  { near, nearStarted, entry, far, already, notes }: Connected,
  answer: string | undefined,
): string[] {
  const c = colours(host.stdout, host.env);
  const { forward, reverse } = forwardsOf(near, entry);
  const flags = [...forward.map((each) => `-L ${each}`), ...reverse.map((each) => `-R ${each}`)].join(' ');
  return [
    ...(answer === undefined ? [] : ['', printable(answer, 100_000)]),
    '',
    c.bold(
      already ? `${near.id} and ${far.id} are connected already` : `${near.id} and ${far.id} are connected`,
    ),
    `  here    ${near.peersFile}: ${far.id} at 127.0.0.1:${entry.nearPort}, ssh ${flags} ${options.words.ssh}`,
    ...(far.peersFile === null || entry.farPort === null
      ? []
      : [`  there   ${far.peersFile}: ${near.id} at 127.0.0.1:${entry.farPort}`]),
    ...notes.map((note) => `  note    ${note}`),
    `  look    exo tunnel status ${far.id}`,
    `  undo    exo disconnect ${far.id}`,
    ...(nearStarted ? [`  the node here runs in the background: exo stop ends it`] : []),
  ];
}

function toJson(
  options: ConnectOptions,
  { near, nearStarted, entry, far, already, notes }: Connected,
  steps: readonly DoneStep[],
  answer: string | undefined,
) {
  return {
    schema_version: CLI_SCHEMA_VERSION,
    already_connected: already,
    destination: options.words.ssh,
    near: {
      id: near.id,
      api: formatAddress(near.api),
      node_port: near.nodePort,
      peers_file: near.peersFile,
      started: nearStarted,
    },
    far: {
      id: far.id,
      node_port: entry.far.nodePort,
      peers_file: far.peersFile,
      started: far.started,
    },
    near_port: entry.nearPort,
    far_port: entry.farPort,
    ...forwardsOf(near, entry),
    notes,
    answer: answer ?? null,
    steps: steps.map(({ name, what, tookMs }) => ({ name, what, took_ms: Math.round(tookMs) })),
  };
}
