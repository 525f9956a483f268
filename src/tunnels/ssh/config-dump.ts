/**
 * What `ssh -G` prints: the settings of one host after all of the user's configuration, one `name value` a line, names
 * in lower case, values without their quotes. Pure; route.ts asks for it, openssh/ssh-config.ts writes it out
 * again, ssh2/hop-settings.ts follows it.
 */

/** Values by name (lower case), in the order of the lines; most names have one. */
export type ConfigDump = ReadonlyMap<string, readonly string[]>;

/** Reads the output of `ssh -G`. Lines of another form are left out. */
export function parseConfigDump(text: string): ConfigDump {
  const dump = new Map<string, string[]>();
  for (const line of text.split('\n')) {
    const match = /^([A-Za-z0-9]+) (.*?)\r?$/s.exec(line);
    const name = match?.[1]?.toLowerCase();
    const value = match?.[2];
    if (name === undefined || value === undefined) continue;
    const values = dump.get(name);
    if (values === undefined) dump.set(name, [value]);
    else values.push(value);
  }
  return dump;
}

/** The first value of a name; undefined where there is none, and for `none` where that is how ssh says so. */
export function dumped(dump: ConfigDump, name: string): string | undefined {
  const value = dump.get(name)?.[0];
  return value === undefined || value === 'none' || value === '' ? undefined : value;
}

/** `ssh -G` prints several files with blanks between them and no quotes: a new one begins where a path can begin. */
export function splitFiles(text: string): string[] {
  return text.split(/ +(?=[/~%$]|none$)/).filter((file) => file !== '');
}
