/**
 * A tunnel from the flags of ssh, as on `exo tunnel open -L … -R … user@host`; and the description that the same flags
 * make for the API and for peers.json. Called by the command line. Reading the command line itself is not done here.
 */
import { ExoError } from '../../shared/index.js';
import { formatDestination, parseDestination, parsePort } from './destination.js';
import { parseTunnelSpec, type SpecContext, type SpecField } from './parse-spec.js';
import { optionSpelling } from './ssh-options.js';
import type { Destination, TunnelSpec } from './tunnel-spec.js';

/** The flags of ssh by their letters. */
export interface TunnelFlags {
  readonly destination: string;
  readonly L?: readonly string[];
  readonly R?: readonly string[];
  readonly J?: string;
  readonly i?: readonly string[];
  readonly F?: string;
  /** `Name=value` or `Name value`. */
  readonly o?: readonly string[];
  readonly p?: string | number;
  readonly l?: string;
  readonly name?: string;
  readonly driver?: string;
  readonly probe?: boolean;
}

/** An entry of peers.json, whole: paths are absolute, names are spelled as in ssh_config(5). */
export interface TunnelDescription {
  readonly ssh: string;
  readonly forward?: readonly string[];
  readonly reverse?: readonly string[];
  readonly identity?: readonly string[];
  readonly knownHosts?: string;
  readonly sshConfig?: string;
  readonly jump?: string;
  readonly driver?: string;
  readonly options?: Readonly<Record<string, string>>;
  readonly probe?: boolean;
}

const LABELS: Readonly<Record<SpecField, string>> = {
  ssh: 'destination',
  forward: '-L',
  reverse: '-R',
  identity: '-i',
  knownHosts: '-o UserKnownHostsFile',
  sshConfig: '-F',
  jump: '-J',
  driver: '--driver',
  options: '-o',
  probe: '--no-probe',
};

/** Reads flags. Throws `tunnel-spec-invalid`, which names the flag. */
export function specFromFlags(
  flags: TunnelFlags,
  folders: Pick<SpecContext, 'homeFolder' | 'baseFolder'> = {},
): TunnelSpec {
  const { knownHosts, options } = readOptions(flags.o ?? []);
  return parseTunnelSpec(
    {
      ssh: formatDestination(destinationOf(flags)),
      forward: flags.L ?? [],
      reverse: flags.R ?? [],
      identity: flags.i ?? [],
      options,
      ...defined({ knownHosts, sshConfig: flags.F, jump: flags.J, driver: flags.driver, probe: flags.probe }),
    },
    {
      ...folders,
      source: 'command',
      labels: LABELS,
      ...(flags.name === undefined ? {} : { name: flags.name }),
    },
  );
}

/** What a spec is in peers.json, and in the body of `POST /v1/tunnels`. Empty fields are left out. */
export function describeSpec(spec: TunnelSpec): TunnelDescription {
  const { destination, jump, identity, knownHosts, sshConfig, driver, options, probe } = spec;
  return {
    ssh: destination.text,
    ...(spec.forward.length === 0 ? {} : { forward: spec.forward.map(({ text }) => text) }),
    ...(spec.reverse.length === 0 ? {} : { reverse: spec.reverse.map(({ text }) => text) }),
    ...(identity.length === 0 ? {} : { identity: [...identity] }),
    ...defined({ knownHosts, sshConfig, driver }),
    ...(jump.length === 0 ? {} : { jump: jump.map(({ text }) => text).join(',') }),
    ...(Object.keys(options).length === 0 ? {} : { options: { ...options } }),
    ...(probe ? {} : { probe: false }),
  };
}

/** `-l` and `-p` belong to the destination; said twice they must agree. */
function destinationOf(flags: TunnelFlags): Omit<Destination, 'text'> {
  const { user, host, port } = labelled('destination', () => parseDestination(flags.destination));
  const flagUser = flags.l === undefined ? undefined : labelled('-l', () => userOf(flags.l ?? ''));
  const flagPort = flags.p === undefined ? undefined : labelled('-p', () => parsePort(String(flags.p)));
  agree('-l', flagUser, user);
  agree('-p', flagPort, port);
  return { host, ...defined({ user: user ?? flagUser, port: port ?? flagPort }) };
}

function userOf(user: string): string {
  return parseDestination(`${user}@localhost`).user ?? '';
}

/** `-o` as written; `UserKnownHostsFile` is how ssh spells our `knownHosts`. */
function readOptions(written: readonly string[]): { knownHosts?: string; options: Record<string, string> } {
  const options = new Map<string, string>();
  let knownHosts: string | undefined;
  for (const text of written) {
    const [, name, rest] = /^\s*([A-Za-z0-9]+)\s*[=\s]\s*(.*)$/s.exec(text) ?? [];
    // ssh takes quotes around the whole value.
    const value = rest?.replace(/^"([^"]*)"$/, '$1');
    if (name === undefined || value === undefined) {
      throw new ExoError('tunnel-spec-invalid', '-o: write it as ssh does: -o ServerAliveInterval=10');
    }
    const spelling = optionSpelling(name) ?? name;
    if (spelling === 'UserKnownHostsFile') knownHosts = value;
    // ssh takes the first of several.
    else if (!options.has(spelling)) options.set(spelling, value);
  }
  return { ...defined({ knownHosts }), options: Object.fromEntries(options) };
}

function agree<T>(flag: string, first: T | undefined, second: T | undefined): void {
  if (first === undefined || second === undefined || first === second) return;
  throw new ExoError('tunnel-spec-invalid', `${flag}: the destination says another one; say it once`);
}

function labelled<T>(label: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof ExoError)) throw error;
    throw new ExoError(error.code, `${label}: ${error.message}`);
  }
}

/** Without what is undefined. */
function defined<T extends object>(values: T): { [Key in keyof T]?: Exclude<T[Key], undefined> } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as {
    [Key in keyof T]?: Exclude<T[Key], undefined>;
  };
}
