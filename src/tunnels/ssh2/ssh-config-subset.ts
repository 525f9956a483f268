/**
 * Reads the user's ssh configuration where there is no ssh program to ask: Host blocks with HostName, Port, User, IdentityFile,
 * IdentitiesOnly, IdentityAgent, ProxyJump, UserKnownHostsFile, GlobalKnownHostsFile, HostKeyAlias, BindAddress,
 * AddressFamily and Ciphers; the first value counts, as in ssh. Match and Include are refused by name: what they would add is not known.
 * Answers in the form of `ssh -G`, so that all else is the same code. Pure.
 */
import { globListMatches } from './glob.js';
import { SessionFailed } from './session-failed.js';

/** What is asked: the destination and what stands above the file. */
export interface SubsetQuery {
  readonly host: string;
  readonly settings: ReadonlyArray<readonly [name: string, value: string]>;
}

const UNDERSTOOD = new Set([
  ...[
    'hostname',
    'port',
    'user',
    'identityfile',
    'identitiesonly',
    'identityagent',
    'proxyjump',
    'proxycommand',
  ],
  ...['userknownhostsfile', 'globalknownhostsfile', 'hostkeyalias', 'bindaddress', 'addressfamily'],
  ...['revokedhostkeys', 'knownhostscommand', 'ciphers'],
]);
const DEFAULTS: ReadonlyArray<readonly [string, readonly string[]]> = [
  ['port', ['22']],
  ['identityfile', ['~/.ssh/id_ed25519', '~/.ssh/id_ecdsa', '~/.ssh/id_rsa']],
  ['userknownhostsfile', ['~/.ssh/known_hosts ~/.ssh/known_hosts2']],
  ['globalknownhostsfile', ['/etc/ssh/ssh_known_hosts /etc/ssh/ssh_known_hosts2']],
];

/** The settings of a host, one `name value` a line. Throws `SessionFailed` (`spec-refused`) with the line that is not understood. */
export function answerFromSubset(query: SubsetQuery, text: string, file: string): string {
  const values = new Map<string, string[]>();
  const set = (name: string, value: string): void => {
    if (!UNDERSTOOD.has(name)) return;
    const known = values.get(name);
    if (known === undefined) values.set(name, [value]);
    else if (name === 'identityfile') known.push(value);
  };
  for (const [name, value] of query.settings) set(name.toLowerCase(), value);

  let applies = true;
  text.split('\n').forEach((raw, index) => {
    // Without blanks at its end, so that a long row of them inside is looked at once and not from each of them.
    const match = /^([A-Za-z0-9]+)(?:\s*=\s*|\s+)(.*)$/s.exec(raw.trim());
    if (match === null) return;
    const name = match[1]!.toLowerCase();
    const words = wordsOf(match[2]!);
    if (name === 'match' || name === 'include') {
      throw new SessionFailed(
        'spec-refused',
        `${file} line ${index + 1} has ${match[1]}, which is only understood where the ssh program is installed; install it, or name a plain file with sshConfig`,
      );
    }
    if (name === 'host') applies = globListMatches(words, query.host);
    else if (applies) set(name, printableValue(words.join(' '), `${file} line ${index + 1}`));
  });

  for (const [name, usual] of DEFAULTS) if (!values.has(name)) values.set(name, [...usual]);
  const hostName =
    values.get('hostname')?.[0]?.replaceAll('%h', query.host).replaceAll('%%', '%') ?? query.host;
  values.set('hostname', [hostName]);
  return [...values].flatMap(([name, lines]) => lines.map((value) => `${name} ${value}`)).join('\n');
}

/** The answer has a line for each value, so a carriage return in one would be another line. */
function printableValue(value: string, where: string): string {
  if (!/[\0-\x08\n-\x1f\x7f]/.test(value)) return value;
  throw new SessionFailed('spec-refused', `${where} has a control character; remove it`);
}

/** Words with blanks between them, some in double quotes. */
function wordsOf(text: string): string[] {
  return [...text.matchAll(/"([^"]*)"|(\S+)/g)].map((match) => match[1] ?? match[2] ?? '');
}
