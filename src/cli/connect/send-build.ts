/**
 * Sends this program to a far machine that has none: packed here, unpacked there by /bin/sh and tar into
 * `~/.local/share/exo-mesh/<version>`, complete or not at all, without root and without npm.
 */
import { spawn } from 'node:child_process';
import { ExoError, printable } from '../../shared/index.js';
import { type Pack, tarArgs } from './pack.js';
import type { RemoteShell } from './remote-shell.js';
import { scriptLine } from './shell-words.js';
import { SENT_FOLDER } from './survey.js';

const DONE = 'exo-sent';
/** Ten megabytes over a slow line. */
const SENT_WITHIN_MS = 300_000;

/** $1: the version. A broken archive (a cut line) ends tar with an error, and what was unpacked goes. */
const SCRIPT = [
  'umask 022',
  `b="$HOME/${SENT_FOLDER}"`,
  't="$b/.new.$$"; o="$b/.old.$$"; l="$b/bin/.exo.$$"',
  'c() { rm -rf "$t" "$o" "$l"; }',
  'trap c EXIT; trap "exit 1" HUP INT TERM PIPE',
  'mkdir -p "$b/bin" "$t" || exit 71',
  'tar -xzf - -C "$t" || exit 72',
  '[ -f "$t/package.json" ] && chmod 755 "$t/dist/cli/main.js" || exit 73',
  '[ -e "$b/$1" ] && mv "$b/$1" "$o"',
  'mv "$t" "$b/$1" || exit 74',
  'ln -s "../$1/dist/cli/main.js" "$l" && mv -f "$l" "$b/bin/exo" || exit 75',
  `echo ${DONE}`,
].join('; ');

/** What was sent. */
export interface SentBuild {
  readonly bytes: number;
  readonly exo: string;
}

/** Sends it; resolves with where exo is there. Rejects with `tunnel-failed`. */
export async function sendBuild(
  shell: RemoteShell,
  pack: Pack,
  home: string,
  signal: AbortSignal,
): Promise<SentBuild> {
  const tar = spawn('tar', tarArgs(pack), {
    stdio: ['ignore', 'pipe', 'pipe'],
    // macOS would add files of its own.
    env: { ...process.env, COPYFILE_DISABLE: '1' },
  });
  let complaint = '';
  tar.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaint = (complaint + text).slice(-2_000);
  });
  const packed = new Promise<void>((resolve, reject) => {
    tar.once('error', (error) => reject(notPacked(error.message)));
    tar.once('close', (code) => (code === 0 ? resolve() : reject(notPacked(complaint.trim()))));
  });
  // Told below, once the far side has ended too.
  packed.catch(() => undefined);
  let bytes = 0;
  tar.stdout.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
  });
  try {
    const result = await shell.run(scriptLine(SCRIPT, [pack.version]), {
      input: tar.stdout,
      timeoutMs: SENT_WITHIN_MS,
      signal,
    });
    if (result.code === 0) await packed;
    if (result.code !== 0 || !result.stdout.split('\n').includes(DONE)) {
      // When the far end gives up (a full disk) tar fails here too, and when tar fails here nothing whole comes there.
      const here = await packed.then(
        () => '',
        () => complaint.trim(),
      );
      throw new ExoError(
        'tunnel-failed',
        `the build could not be unpacked there: ${printable(result.stderr.trim() || `exit code ${result.code}`, 400)}${here === '' ? '' : ` (and tar here: ${printable(here, 200)})`}`,
      );
    }
  } finally {
    tar.kill('SIGKILL');
  }
  return { bytes, exo: `${home}/${SENT_FOLDER}/bin/exo` };
}

function notPacked(why: string): ExoError {
  return new ExoError('internal', `this program could not be packed with tar: ${printable(why, 400)}`);
}
