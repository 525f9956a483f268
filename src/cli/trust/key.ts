/** `exo key new`, `show`, `join`, `rotate`, `forget` and `invite`. */
import { ExoError, LIMITS, printable } from '../../shared/index.js';
import { CLI_SCHEMA_VERSION, printJson } from '../commands/view.js';
import { EXIT, HintedError } from '../errors.js';
import { duration } from '../format/units.js';
import type { CliHost } from '../host.js';
import { CALLED_OFF, type ConfirmOptions, confirmed } from './confirm.js';
import { type DeskOptions, openDesk } from './desk.js';
import { formatKeys } from './format.js';
import { readSecret } from './secret-input.js';
import type { TrustDesk } from './shapes.js';

/** Options of `exo key join`. */
export interface JoinKeyOptions extends DeskOptions, ConfirmOptions {
  readonly file?: string;
  readonly replace?: boolean;
}

/** Options of `exo key rotate`. */
export interface RotateOptions extends DeskOptions, ConfirmOptions {
  readonly grace?: string;
}

const HOUR_MS = 60 * 60 * 1000;
const GRACE_HOURS_MAX = LIMITS.meshKeyGraceMsMax / HOUR_MS;

/** Makes the first key of a mesh. */
export async function newKey(host: CliHost, options: DeskOptions): Promise<number> {
  const desk = await openDesk(host, options);
  const key = await desk.newKey();
  return answer(host, options, { key }, [
    `mesh key ${key.id} is made; from now on only nodes that have it may join ${inWhat(desk)}`,
    'other machines get it by one of',
    '  exo key invite        here; run the line that it prints on the other machine',
    '  exo key show          here, and there: exo key join',
  ]);
}

/** Prints the keys with their secrets. Throws `option-missing` where the output is not a terminal and `--json` not given. */
export async function showKeys(host: CliHost, options: DeskOptions): Promise<number> {
  if (options.json !== true && host.stdout.isTTY !== true) {
    throw new HintedError(
      'option-missing',
      'exo key show prints secrets, and its output is not a terminal',
      'if that is on purpose, write it as: exo key show --json',
    );
  }
  const desk = await openDesk(host, options);
  const keys = await desk.showKeys();
  return answer(host, options, { keys }, formatKeys(keys, host.clock.wall()));
}

/** Takes over the key of another machine. */
export async function joinKey(host: CliHost, options: JoinKeyOptions): Promise<number> {
  const desk = await openDesk(host, options);
  const text = await readSecret(host, 'the mesh key', {
    ...(options.file === undefined ? {} : { file: options.file }),
    hint: 'exo key show prints it on a machine that has it; then here: exo key join',
  });
  const [current] = await desk.keys();
  const replace = options.replace === true;
  if (replace && current !== undefined) {
    const what = `The mesh key ${current.id} is put away; nodes that have only that one cannot be met any more.`;
    if (!(await confirmed(host, what, options))) return CALLED_OFF;
  }
  const key = await desk.joinKey(text, replace);
  return answer(host, options, { key }, [`the mesh key ${key.id} is set ${inWhat(desk)}`]);
}

/** Replaces the key; connected nodes are told. */
export async function rotateKey(host: CliHost, options: RotateOptions): Promise<number> {
  const graceMs = options.grace === undefined ? undefined : graceOf(options.grace);
  const desk = await openDesk(host, options);
  const before = (await desk.keys()).find(({ current }) => current);
  if (before !== undefined) {
    const where =
      desk.running === undefined ? ' No node runs here, so the others hear of it when one does.' : '';
    const what = `Nodes that stay away until the key ${before.id} ends have to join again.${where}`;
    if (!(await confirmed(host, what, options))) return CALLED_OFF;
  }
  const key = await desk.rotateKey(graceMs);
  const old = (await desk.keys()).find(({ id }) => id === before?.id);
  const left =
    old?.until_ms == null
      ? 'has ended'
      : `is accepted for ${duration(old.until_ms - host.clock.wall())} more`;
  return answer(host, options, { key, replaced: old ?? null }, [
    `mesh key ${key.id} is the one in use ${inWhat(desk)}; ${before?.id ?? 'the old one'} ${left}`,
    ...(old?.until_ms == null
      ? []
      : ['whoever proves the old one gets the new one; to shut somebody out: exo key rotate --grace 0']),
  ]);
}

/** Removes a key from this machine alone. */
export async function forgetKey(
  host: CliHost,
  id: string,
  options: DeskOptions & ConfirmOptions,
): Promise<number> {
  const desk = await openDesk(host, options);
  const what = `The mesh key ${printable(id, 20)} is removed from this machine; without another way it cannot come back.`;
  if (!(await confirmed(host, what, options))) return CALLED_OFF;
  await desk.forgetKey(id);
  return answer(host, options, { forgotten: id }, [
    `the mesh key ${printable(id, 20)} is gone from this machine`,
  ]);
}

/** Prints a line that lets one machine join, once. */
export async function invite(
  host: CliHost,
  options: DeskOptions & { readonly address?: string },
): Promise<number> {
  const desk = await openDesk(host, options);
  const invitation = await desk.invite(options.address);
  if (options.json === true) return answer(host, options, invitation, []);
  const left = duration(invitation.expires_at_ms - host.clock.wall());
  host.stderr.write(`run this on the other machine; it works once, within ${left}:\n`);
  host.stdout.write(`${invitation.line}\n`);
  return EXIT.ok;
}

function graceOf(text: string): number {
  const hours = /^\d{1,3}(\.\d{1,3})?$/.test(text) ? Number(text) : Number.NaN;
  if (hours >= 0 && hours <= GRACE_HOURS_MAX) return hours * HOUR_MS;
  throw new ExoError(
    'option-invalid',
    `--grace: "${printable(text, 40)}" is not a number of hours from 0 to ${GRACE_HOURS_MAX}`,
  );
}

function inWhat(desk: TrustDesk): string {
  return desk.running === undefined
    ? 'on this machine'
    : `in the running node ${printable(desk.running, 60)}`;
}

/** One answer in both forms. */
export function answer(host: CliHost, options: DeskOptions, value: object, lines: readonly string[]): number {
  if (options.json === true) printJson(host, { schema_version: CLI_SCHEMA_VERSION, ...value });
  else host.stdout.write(`${lines.join('\n')}\n`);
  return EXIT.ok;
}
