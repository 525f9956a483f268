/**
 * The first look at the far machine, before anything of ours runs there: where it keeps things, and which exo and Node a
 * person finds who logs in. One fixed script, and the reader of what it prints. Pure.
 */
import { ExoError, printable } from '../../shared/index.js';
import { scriptLine, unquotable } from './shell-words.js';

/** What was found. Paths are absolute. */
export interface Survey {
  readonly home: string;
  readonly user: string;
  /** `Linux`, `Darwin`, … */
  readonly os: string;
  /** The PATH of a login shell, and where Node and exo usually are besides. */
  readonly path: string;
  /** The Node that is first on it. */
  readonly node?: { readonly file: string; readonly version: string };
  /** The exo that is first on it. */
  readonly exo?: string;
  /** The exo that `exo connect` sent earlier. */
  readonly sent?: string;
  readonly tar: boolean;
}

/** Where a sent build goes, below the home folder. */
export const SENT_FOLDER = '.local/share/exo-mesh';
/** Oldest Node that runs exo, as in package.json. */
export const NODE_MIN = '20.12';

const BEGIN = 'exo-survey-1';
const END = 'exo-survey-end';

/** What a login shell prints besides (a greeting) stands outside of the marks. */
const SCRIPT = [
  // Non-interactive ssh has a bare PATH; a person has that of the login shell. Not every shell takes -l with -c.
  's="$SHELL"; [ -n "$s" ] || s=/bin/sh',
  'p=$("$s" -l -c env </dev/null 2>/dev/null | sed -n "s/^PATH=//p" | tail -n 1)',
  '[ -n "$p" ] && PATH="$p:$PATH"',
  'v=""',
  // Version managers set PATH only for interactive shells. Later versions come first.
  'for d in "$HOME"/.volta/bin "$HOME"/.nvm/versions/node/*/bin; do [ -x "$d/node" ] && v="$d:$v"; done',
  'PATH="$PATH:$HOME/.local/bin:/usr/local/bin:/opt/homebrew/bin:/usr/bin:/bin:$v"',
  'export PATH',
  // Behind what a start file has printed without an end of line (the title of a terminal).
  'echo ""',
  `echo ${BEGIN}`,
  'echo "home=$HOME"',
  'echo "user=$(id -un)"',
  'echo "os=$(uname -s)"',
  'echo "path=$PATH"',
  'n=$(command -v node)',
  '[ -n "$n" ] && echo "node=$n" && echo "version=$("$n" --version 2>/dev/null)"',
  'e=$(command -v exo) && echo "exo=$e"',
  `s="$HOME/${SENT_FOLDER}/bin/exo"`,
  '[ -x "$s" ] && echo "sent=$s"',
  't=$(command -v tar) && echo "tar=$t"',
  `echo ${END}`,
].join('; ');

/** The command line that takes the look. */
export function surveyLine(): string {
  return scriptLine(SCRIPT, []);
}

/** Reads what the script printed. Throws `tunnel-failed` for anything else. */
export function readSurvey(output: string): Survey {
  const lines = output.split('\n').map((line) => line.replace(/\r$/, ''));
  const from = lines.lastIndexOf(BEGIN);
  const to = lines.indexOf(END, from);
  if (from < 0 || to < 0) throw unreadable(output);
  const values = new Map<string, string>();
  for (const line of lines.slice(from + 1, to)) {
    const at = line.indexOf('=');
    if (at > 0) values.set(line.slice(0, at), line.slice(at + 1));
  }
  const home = values.get('home') ?? '';
  if (!home.startsWith('/') || unquotable(home) !== undefined) throw unreadable(output);
  const node = absolute(values.get('node'));
  const exo = absolute(values.get('exo'));
  const sent = absolute(values.get('sent'));
  return {
    home,
    user: values.get('user') ?? '',
    os: values.get('os') ?? '',
    path: cleanPath(values.get('path') ?? ''),
    ...(node === undefined ? {} : { node: { file: node, version: values.get('version') ?? '' } }),
    ...(exo === undefined ? {} : { exo }),
    ...(sent === undefined ? {} : { sent }),
    tar: values.has('tar'),
  };
}

/** Whether a Node (`v20.20.2`) runs exo. */
export function nodeIsEnough(version: string): boolean {
  const [, major, minor] = /^v?(\d{1,4})\.(\d{1,4})\./.exec(version) ?? [];
  const [majorMin = 0, minorMin = 0] = NODE_MIN.split('.').map(Number);
  return Number(major) > majorMin || (Number(major) === majorMin && Number(minor) >= minorMin);
}

/** Folders that are absolute and can be quoted, each once. */
function cleanPath(path: string): string {
  const folders = path
    .split(':')
    .filter((folder) => folder.startsWith('/') && unquotable(folder) === undefined);
  return [...new Set(folders)].join(':');
}

/** A shell may answer with an alias or a function; those cannot be run from outside. */
function absolute(file: string | undefined): string | undefined {
  return file?.startsWith('/') === true && unquotable(file) === undefined ? file : undefined;
}

function unreadable(output: string): ExoError {
  const said = output.trim();
  return new ExoError(
    'tunnel-failed',
    `the far shell did not run a plain command${said === '' ? '' : ` (it said: ${printable(said, 200)})`}; does the account allow commands over ssh? Try: ssh … true`,
  );
}
