/**
 * The three ways in which a word is quoted on its way through ssh: as a value of ssh_config(5), against its percent
 * tokens, and for the shell that ssh hands a ProxyCommand to.
 */

/** A value of ssh_config: in double quotes where blanks, quotes, a backslash or a `#` would cut it. */
export function configWord(value: string): string {
  if (value !== '' && !/[\s"'\\#]/.test(value)) return value;
  return `"${value.replace(/[\\"]/g, '\\$&')}"`;
}

/** A text that ssh expands and that means itself. */
export function percentFree(value: string): string {
  return value.replaceAll('%', '%%');
}

/** One word of a POSIX shell (also csh and fish, which a user may have as `$SHELL`). */
export function shellWord(value: string): string {
  return `'${value.replaceAll("'", "'\\''")}'`;
}

/** Replaces single percent tokens (`{ n: 'mac2' }`) and leaves all others, and `%%`, as they are. */
export function replaceTokens(value: string, tokens: Readonly<Record<string, string>>): string {
  return value.replace(/%(.)/g, (whole, letter: string) => {
    const text = Object.hasOwn(tokens, letter) ? tokens[letter] : undefined;
    return text === undefined ? whole : percentFree(text);
  });
}
