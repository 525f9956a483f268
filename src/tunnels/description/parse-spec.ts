/**
 * From what somebody wrote (an entry of peers.json, the body of an API call) to a TunnelSpec, or to one
 * `tunnel-spec-invalid` that says which field, what is wrong with it and what to write. Unknown keys are ignored, as
 * everywhere in peers.json. Called by the node, the API and spec-from-flags.ts.
 */
import { homedir } from 'node:os';
import { closest, ExoError, idFault, LIMITS, printable, toExoError } from '../../shared/index.js';
import { formatDestination, parseDestination, parseJumps } from './destination.js';
import { type ForwardKind, parseForward, sameForward } from './forward.js';
import { type PathFolders, resolvePath } from './spec-paths.js';
import { checkOption } from './ssh-options.js';
import type { DriverName, Forward, TunnelSource, TunnelSpec } from './tunnel-spec.js';

/** What a description does not say itself. */
export interface SpecContext {
  readonly source: TunnelSource;
  /** @default made from the destination: `user@host` */
  readonly name?: string;
  /** The peer of peers.json that it stands under. */
  readonly peer?: string;
  /** What `~` is. @default the home of this user */
  readonly homeFolder?: string;
  /** Where relative names of files begin; without it they are refused. */
  readonly baseFolder?: string;
  /** What a field is called in an error ("forward" → "-L"). @default its name in peers.json */
  readonly labels?: Readonly<Partial<Record<SpecField, string>>>;
}

/** The fields of a description, as in peers.json. */
export const SPEC_FIELDS = [
  'ssh',
  'forward',
  'reverse',
  'identity',
  'knownHosts',
  'sshConfig',
  'jump',
  'driver',
  'options',
  'probe',
] as const;

/** One of them. */
export type SpecField = (typeof SPEC_FIELDS)[number];

/** Reads a description. Throws `tunnel-spec-invalid`. */
export function parseTunnelSpec(written: unknown, context: SpecContext): TunnelSpec {
  if (typeof written !== 'object' || written === null || Array.isArray(written)) {
    throw invalid('a tunnel is an object such as {"ssh": "user@host", "forward": ["50052:localhost:50051"]}');
  }
  const raw = new Fields(written as Readonly<Record<string, unknown>>, context);
  const folders: PathFolders = {
    homeFolder: context.homeFolder ?? homedir(),
    ...(context.baseFolder === undefined ? {} : { baseFolder: context.baseFolder }),
  };
  const path = (text: string) => resolvePath(text, folders);
  const destination = raw.required('ssh', parseDestination);
  const forward = raw.list('forward', 'L', (text) => parseForward(text, 'L'));
  const reverse = raw.list('reverse', 'R', (text) => parseForward(text, 'R'));
  raw.checkForwards(forward, reverse);
  const knownHosts = raw.optional('knownHosts', (text) => path(notThrownAway(text)));
  const sshConfig = raw.optional('sshConfig', path);
  const driver = raw.driver();
  return {
    name: specName(context.name ?? formatDestination(destination)),
    source: context.source,
    ...(context.peer === undefined ? {} : { peer: context.peer }),
    destination,
    forward,
    reverse,
    jump: raw.optional('jump', parseJumps) ?? [],
    identity: raw.list('identity', 'i', path),
    ...(knownHosts === undefined ? {} : { knownHosts }),
    ...(sshConfig === undefined ? {} : { sshConfig }),
    ...(driver === undefined ? {} : { driver }),
    options: raw.options(),
    probe: raw.probe(),
  };
}

/** Reads one field after the other and puts its name before what is wrong. */
class Fields {
  readonly #raw: Readonly<Record<string, unknown>>;
  readonly #labels: Readonly<Partial<Record<SpecField, string>>>;

  constructor(raw: Readonly<Record<string, unknown>>, context: SpecContext) {
    this.#raw = raw;
    this.#labels = context.labels ?? {};
  }

  required<T>(field: SpecField, read: (text: string) => T): T {
    const value = this.optional(field, read);
    if (value === undefined) {
      throw invalid(`${this.#label(field)} is missing: say where to connect to, as user@host`);
    }
    return value;
  }

  optional<T>(field: SpecField, read: (text: string) => T): T | undefined {
    const value = this.#own(field);
    return value === undefined ? undefined : this.#read(this.#label(field), value, read);
  }

  /** A list of texts, or one text (`identity` of an earlier form, and a single forward). */
  list<T>(field: SpecField, flag: ForwardKind | 'i', read: (text: string) => T): readonly T[] {
    const value = this.#own(field);
    if (value === undefined) return [];
    const label = this.#label(field);
    if (!Array.isArray(value)) {
      if (typeof value !== 'string') throw invalid(`${label} must be a list of texts, as of ssh -${flag}`);
      return [this.#read(label, value, read)];
    }
    if (value.length > LIMITS.tunnelForwardsMax) {
      throw invalid(`${label} has ${value.length} entries; at most ${LIMITS.tunnelForwardsMax} are allowed`);
    }
    return value.map((item, index) => this.#read(`${label}[${index}]`, item, read));
  }

  checkForwards(forward: readonly Forward[], reverse: readonly Forward[]): void {
    const count = forward.length + reverse.length;
    const names = `${this.#label('forward')} and ${this.#label('reverse')}`;
    if (count > LIMITS.tunnelForwardsMax) {
      throw invalid(
        `${names} have ${count} entries; at most ${LIMITS.tunnelForwardsMax} are allowed together`,
      );
    }
    if (count === 0)
      throw invalid(`${names} are both missing: without a forward it leads nowhere${this.#typo()}`);
    for (const [field, list] of [['forward', forward] as const, ['reverse', reverse] as const]) {
      const twice = list.find((one, index) => list.findIndex((other) => sameForward(one, other)) < index);
      if (twice !== undefined) throw invalid(`${this.#label(field)} has "${twice.text}" twice; remove one`);
    }
  }

  driver(): DriverName | undefined {
    const value = this.#own('driver');
    if (value === undefined || value === 'openssh' || value === 'ssh2') return value;
    throw invalid(`${this.#label('driver')} must be "openssh" or "ssh2"`);
  }

  probe(): boolean {
    const value = this.#own('probe');
    if (value === undefined) return true;
    if (typeof value === 'boolean') return value;
    throw invalid(`${this.#label('probe')} must be true or false`);
  }

  options(): Readonly<Record<string, string>> {
    const value = this.#own('options');
    if (value === undefined) return {};
    const label = this.#label('options');
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw invalid(`${label} must be an object such as {"ServerAliveInterval": 10}`);
    }
    const checked = new Map<string, string>();
    for (const [name, given] of Object.entries(value)) {
      if (!['string', 'number', 'boolean'].includes(typeof given)) {
        throw invalid(`${label}: ${printable(name, 60)} must be a text, a number, or true or false`);
      }
      const text = typeof given === 'boolean' ? (given ? 'yes' : 'no') : String(given);
      const [spelling, kept] = within(`${label}: ${printable(name, 60)}`, () => checkOption(name, text));
      if (checked.has(spelling)) throw invalid(`${label} has ${spelling} twice; remove one`);
      checked.set(spelling, kept);
    }
    return Object.fromEntries(checked);
  }

  #read<T>(label: string, value: unknown, read: (text: string) => T): T {
    if (typeof value !== 'string') throw invalid(`${label} must be a text`);
    return within(label, () => read(value));
  }

  #own(field: SpecField): unknown {
    return Object.hasOwn(this.#raw, field) ? this.#raw[field] : undefined;
  }

  #label(field: SpecField): string {
    return this.#labels[field] ?? `"${field}"`;
  }

  #typo(): string {
    for (const key of Object.keys(this.#raw)) {
      const near = closest(key, SPEC_FIELDS);
      if (near !== undefined && near !== key) return `; "${printable(key, 40)}" looks like "${near}"`;
    }
    return '';
  }
}

function notThrownAway(text: string): string {
  if (text === '/dev/null' || text === 'none') {
    throw new ExoError(
      'tunnel-spec-invalid',
      `"${text}" would make every host unknown; write a known_hosts file, or leave it out for the usual ones`,
    );
  }
  return text;
}

function specName(name: string): string {
  const fault = idFault(name);
  if (fault !== undefined) throw invalid(`the name of the tunnel: it ${fault}`);
  return name;
}

function within<T>(label: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    const { code, message } = toExoError(error);
    throw code === 'tunnel-spec-invalid' ? invalid(`${label}: ${message}`) : error;
  }
}

function invalid(message: string): ExoError {
  return new ExoError('tunnel-spec-invalid', message);
}
