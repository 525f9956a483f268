/**
 * Characters that a word of a tunnel's description must not hold, each by name. ssh hands some of its words to a shell
 * (ProxyCommand), expands others (`%h`, `${HOME}`), and reads a leading `-` as an option; nothing of that may come from
 * a description. Called by the parsers of this folder before they look at the form of a word.
 */
import { ExoError, LIMITS, printable } from '../../shared/index.js';

/** What a word may hold besides the usual. */
export interface TextRules {
  /** File names may. @default false */
  readonly spaces?: boolean;
  /** The zone of an IPv6 address stands behind one. @default false */
  readonly percent?: boolean;
  /** `DOMAIN\user`. @default false */
  readonly backslash?: boolean;
}

const FORBIDDEN: ReadonlyArray<readonly [pattern: RegExp, what: string, allowed?: keyof TextRules]> = [
  [/\0/, 'has a NUL character'],
  [/[\r\n\u0085\u2028\u2029]/, 'has a line break'],
  [/`/, 'has a backtick, which a shell would run'],
  [/\$\(/, 'has "$(", which a shell would run'],
  [/\$/, 'has a "$", which ssh or a shell would expand'],
  [/["']/, 'has a quote'],
  [/[;&|<>(){}]/, 'has a character that means something to a shell (one of ; & | < > ( ) { })'],
  [/%/, 'has a "%", which ssh would expand', 'percent'],
  [/\\/, 'has a backslash', 'backslash'],
  [/\s/, 'has a space', 'spaces'],
];

/** What is wrong with a word, to be read after it ("has a line break"); undefined when nothing is. */
export function textFault(text: string, rules: TextRules = {}): string | undefined {
  if (text === '') return 'is empty';
  if (text.length > LIMITS.tunnelWordCharsMax) {
    return `has ${text.length} characters; at most ${LIMITS.tunnelWordCharsMax} are allowed`;
  }
  if (text.startsWith('-')) return 'begins with "-", which ssh would read as an option';
  for (const [pattern, what, allowed] of FORBIDDEN) {
    if (allowed !== undefined && rules[allowed] === true) continue;
    if (pattern.test(text)) return what;
  }
  return printable(text, text.length) === text ? undefined : 'has characters that cannot be printed';
}

/** A `tunnel-spec-invalid` about one word: what is wrong with it, and what to write. A password is not repeated. */
export function wordRefused(word: string, fault: string, instead: string): ExoError {
  const shown = printable(word.replace(/:(?!\/\/)[^@]*@/g, ':…@'), 80);
  return new ExoError('tunnel-spec-invalid', `"${shown}" ${fault}; ${instead}`);
}
