/** The program behind `tunnel-watch.ts`: asks a node for its tunnels and reports what changed. It ends with its parent. */
import { setTimeout as delay } from 'node:timers/promises';
import { type SeenTunnel, type TunnelReport, WATCHED, type WatchedField } from './tunnel-watch.js';

const TIMEOUT_MS = 2_000;
const { url, everyMs } = JSON.parse(process.argv[2] ?? '') as { url: string; everyMs: number };
process.on('disconnect', () => process.exit(0));

/** Figures change with every look; what counts is the rest. */
function essence(tunnel: Record<string, unknown>): SeenTunnel {
  return Object.fromEntries(WATCHED.map((field) => [field, tunnel[field]])) as Record<
    WatchedField,
    unknown
  > as SeenTunnel;
}

let last = '';
for (;;) {
  const askedAtMs = Date.now();
  let tunnels: SeenTunnel[] | null = null;
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(TIMEOUT_MS) });
    const body = (await response.json()) as { tunnels: Array<Record<string, unknown>> };
    tunnels = body.tunnels.map(essence);
  } catch {
    // The node does not run, or does not answer.
  }
  const text = JSON.stringify(tunnels);
  if (text !== last && process.connected) {
    process.send?.({ askedAtMs, answeredAtMs: Date.now(), tunnels } satisfies TunnelReport);
  }
  last = text;
  await delay(everyMs);
}
