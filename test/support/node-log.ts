/** What a node's log says, with the time at which it said it: more exact than asking, and it loads nothing. */
import { eventually, Hopeless } from './eventually.js';
import type { Child } from './processes.js';

/** One line of a node's log. */
export interface LogEvent {
  /** Milliseconds since the Unix epoch. */
  readonly time: number;
  readonly msg: string;
  readonly peer?: string;
  readonly reason?: string;
}

/** Lines of one kind about one peer, from a moment on. */
export function logged(
  child: Child,
  msg: string,
  about: { peer?: string; fromMs?: number } = {},
): LogEvent[] {
  const found: LogEvent[] = [];
  for (const line of child.stderr.split('\n')) {
    if (!line.includes(`"msg":"${msg}"`)) continue;
    const event = JSON.parse(line) as LogEvent;
    if (about.peer !== undefined && event.peer !== about.peer) continue;
    if (event.time >= (about.fromMs ?? 0)) found.push(event);
  }
  return found;
}

/** Waits until a node has said so of every peer; returns when it said it first of each. */
export async function untilLogged(
  child: Child,
  msg: string,
  peers: readonly string[],
  how: { readonly fromMs?: number; readonly timeoutMs: number },
): Promise<number[]> {
  const what = `${child.name} says ${msg} of ${peers.join()}`;
  const { value } = await eventually({ timeoutMs: how.timeoutMs, what, onLate: () => child.output }, () => {
    if (child.exit !== undefined) throw new Hopeless(`it ended (${child.exit})`);
    const times = peers.map((peer) => logged(child, msg, { peer, fromMs: how.fromMs ?? 0 })[0]?.time);
    return times.includes(undefined) ? undefined : (times as number[]);
  });
  return value;
}
