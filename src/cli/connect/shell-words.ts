/**
 * What a remote shell gets to read. Scripts are fixed texts of ours and run under /bin/sh; everything that varies is an
 * argument behind the script, quoted here and nowhere else. The login shell that reads the line may be sh, bash, zsh, fish
 * or csh: they agree on single quotes, and differ on what is refused here. Pure.
 */
import { ExoError, isPrintable, LIMITS, printable } from '../../shared/index.js';

/** Why a text cannot be quoted for every shell; undefined when it can. */
export function unquotable(word: string): string | undefined {
  if (!isPrintable(word)) return 'has characters that cannot be printed';
  const bad = /['\\!]/.exec(word)?.[0];
  return bad === undefined ? undefined : `has the character ${bad}, which shells read in different ways`;
}

/** One word in single quotes. Throws `option-invalid` for what no quoting protects in every shell. */
export function quoteWord(word: string): string {
  const fault = unquotable(word);
  if (fault !== undefined) {
    throw new ExoError('option-invalid', `"${printable(word, 80)}" ${fault}; use a path without it`);
  }
  return `'${word}'`;
}

/**
 * The command line that runs one of our scripts with arguments (`$1`, `$2`, …).
 * @param script fixed text: one line, without single quotes, backslashes and exclamation marks
 */
export function scriptLine(script: string, args: readonly string[]): string {
  // `exec`: no second shell waits beside it. /bin/sh is there on every system that runs sshd.
  const line = ['exec /bin/sh -c', quoteWord(script), 'exo', ...args.map(quoteWord)].join(' ');
  if (line.length > LIMITS.shellLineCharsMax) {
    throw new ExoError('option-invalid', `a remote command of ${line.length} characters is too long`);
  }
  return line;
}

/**
 * `--remote-command` as words: a program and its first arguments, separated by spaces. `~/` stays for the far side.
 * Throws `option-invalid`.
 */
export function remoteCommandWords(text: string): readonly string[] {
  const words = text.trim().split(/ +/);
  for (const word of words) {
    const fault = word === '' ? 'is empty' : unquotable(word);
    if (fault !== undefined) {
      throw new ExoError(
        'option-invalid',
        `--remote-command: "${printable(word, 80)}" ${fault}; give the path of exo on the far machine, for example /usr/local/bin/exo`,
      );
    }
  }
  if (words[0]!.startsWith('-')) {
    throw new ExoError(
      'option-invalid',
      `--remote-command: "${printable(words[0]!, 80)}" is not the name of a program`,
    );
  }
  return words;
}
