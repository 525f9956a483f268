/**
 * The two commands that we run on the far machine, and what they say. The *anchor* is the session of a connection: it
 * reports the pid of the sshd that serves it and does nothing until the connection ends. *Evict* ends the sshd of an
 * anchor that a cut has left behind. Pure text; both need a shell and the `ps` of POSIX, and are harmless without.
 *
 * They are fixed words, one argument of `exec sh -c` in single quotes (the same in sh, bash, zsh, fish and csh). What is
 * put in is a label of hexadecimal digits, a number, and paths of plain characters only.
 */
import { createHash } from 'node:crypto';
import path from 'node:path';
import { LIMITS } from '../../shared/index.js';
import type { Forward } from '../description/tunnel-spec.js';

const LABEL_HEX_CHARS = 16;
/** No quote, space, backslash or sign that any shell would read. */
const PLAIN_PATH = /^\/[A-Za-z0-9_./@:+,=-]{1,103}$/;

/** Names the anchors of one tunnel of one node; visible in the far machine's process list. */
export function anchorLabel(stateFolder: string, host: string, tunnel: string): string {
  const hash = createHash('sha256').update(JSON.stringify([stateFolder, host, tunnel]));
  return `exo-anchor-${hash.digest('hex').slice(0, LABEL_HEX_CHARS)}`;
}

/**
 * Says `<label> <pid of sshd>`, waits for the end of its input, and then removes the unix sockets of `-R`, which sshd
 * leaves behind. A pty that hangs up is an end of input, so the signal for it is ignored.
 */
export function anchorCommand(label: string, reverse: readonly Forward[]): string {
  const sockets = reverse.flatMap(({ listen }) =>
    listen.kind === 'unix' &&
    PLAIN_PATH.test(listen.path) &&
    path.posix.normalize(listen.path) === listen.path
      ? [listen.path]
      : [],
  );
  const script = [
    `: ${label}`,
    `echo "${label} $PPID"`,
    'trap "" HUP',
    'while read -r _; do :; done',
    'for s do [ -S "$s" ] && rm -f "$s"; done',
    ':',
  ].join('; ');
  return ['exec', 'sh', '-c', `'${script}'`, 'sh', ...sockets].join(' ');
}

/**
 * Ends the process `farPid` if it is an sshd of this account that has an anchor with this label as its child, and says
 * `ended` when it is gone. So a pid that was given out again is never hit.
 */
export function evictCommand(label: string, farPid: number): string {
  const script = [
    // The second form is for the ps of busybox.
    '{ ps -A -ww -o pid= -o ppid= -o user= -o args= || ps -o pid,ppid,user,args; } 2>/dev/null',
    '{ while read -r p q u a',
    'do case $p in "$$") m=$u;; "$1") case $a in *sshd*) s=$u;; esac;; esac',
    'case $q in "$1") case $a in *"$2"*) c=1;; esac;; esac',
    'done',
    '[ -n "$c" ] && [ -n "$s" ] && [ "$s" = "$m" ] && kill "$1" || exit 0',
    'n=0',
    'while kill -0 "$1" 2>/dev/null',
    'do n=$((n+1)); [ $n -eq 10 ] && kill -9 "$1"; [ $n -gt 30 ] && exit 0; sleep 0.1 2>/dev/null || sleep 1',
    'done',
    'echo ended; }',
  ]
    .join('; ')
    .replace('2>/dev/null; { while', '2>/dev/null | { while');
  return ['exec', 'sh', '-c', `'${script}'`, 'sh', String(farPid), label].join(' ');
}

/** Whether the evict command says that it ended something. */
export function saysEnded(output: string): boolean {
  return /^ended\r?$/m.test(output);
}

/** Reads what comes back from an anchor, in any pieces. */
export class AnchorReader {
  readonly #label: string;
  #text = '';
  #done = false;

  constructor(label: string) {
    this.#label = label;
  }

  /** The pid of the far sshd once it has been said. */
  push(text: string): number | undefined {
    if (this.#done) return undefined;
    this.#text += text;
    const pid = new RegExp(`(?:^|\\n)${this.#label} (\\d{1,10})\\r?\\n`).exec(this.#text)?.[1];
    this.#done = pid !== undefined || this.#text.length > LIMITS.sshOutputCharsMax;
    if (this.#done) this.#text = '';
    return pid === undefined ? undefined : Number(pid);
  }
}
