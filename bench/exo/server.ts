/**
 * Ours, serving: pings (answered inside the session) and tensors (taken over and thrown away, as a shard that is
 * slower than the wire would). Reports resident memory when asked through stdin.
 */
import { serve } from './speaker.js';

await serve((message) =>
  message.kind === 'tensor-request' ? { kind: 'tensor-response', tensor: null } : undefined,
);
process.stdin.on('data', () => console.log(JSON.stringify({ rss: process.memoryUsage.rss() })));
process.stdin.on('end', () => process.exit());
