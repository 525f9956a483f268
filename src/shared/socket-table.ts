/** The kernel's tables of TCP sockets, as Linux prints them in /proc/net/tcp and /proc/net/tcp6. Pure. */

/** State of a socket that somebody listens with. */
export const TCP_LISTEN = '0A';

/**
 * The states of all sockets that have a port of this machine, at any address. A row begins with its number, local address, remote
 * address and state, in hexadecimal; what a cut leaves of the last one is passed over (proc(5)).
 * @param table the text, cut anywhere
 */
export async function statesOfPort(table: AsyncIterable<string>, port: number): Promise<string[]> {
  const hex = port.toString(16).toUpperCase().padStart(4, '0');
  const row = new RegExp(`^ *\\d+: [0-9A-F]+:${hex} [0-9A-F]+:[0-9A-F]{4} ([0-9A-F]{2}) `);
  const states: string[] = [];
  let rest = '';
  for await (const chunk of table) {
    const lines = `${rest}${chunk}`.split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) states.push(...(row.exec(line)?.slice(1) ?? []));
  }
  return states;
}
