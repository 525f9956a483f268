/**
 * A program of its own: outlives the node by a moment. Reads lines of JSON from its input, `{"hold": id, "pid", "mark",
 * "folders", "sockets"}` and `{"drop": id}`; when the input ends, which it does in whatever way the node dies, it ends the processes
 * that are still held, removes their folders and ends itself. `guard.ts` starts it.
 */
import { rmSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { systemClock } from '../../shared/index.js';
import { clearSocketFile } from '../ssh/socket-file.js';
import type { GuardLine, HoldLine } from './guard.js';
import { endMarked } from './process-line.js';

// A signal to the group of the node, or to everything of the user at log-out, must not end it before its work is done.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined);

const held = new Map<string, HoldLine>();

for await (const text of createInterface({ input: process.stdin })) {
  const line = readLine(text);
  if (line === undefined) continue;
  if ('hold' in line) held.set(line.hold, line);
  else held.delete(line.drop);
}

await Promise.all(
  [...held.values()].map(async ({ pid, mark, folders, sockets }) => {
    await endMarked(pid, mark, systemClock);
    for (const folder of folders) rmSync(folder, { recursive: true, force: true });
    await Promise.all(sockets.map(clearSocketFile));
  }),
);

/** The last line is cut short when the node dies while it writes. */
function readLine(text: string): GuardLine | undefined {
  try {
    return JSON.parse(text) as GuardLine;
  } catch {
    return undefined;
  }
}
