/**
 * A client of its own that says whether a port answers a health check end to end: a raw socket, the golden frame, nothing
 * of our connection code. Run as a program it asks some ports all the time and reports every attempt to its parent:
 * `health-watch.ts` starts it.
 */
import net from 'node:net';
import { performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { GOLDEN_FRAMES } from './golden-frames.js';

const REQUEST = Buffer.from(GOLDEN_FRAMES.healthRequest, 'hex');
/** Magic and type of the answer. */
const ANSWER = Buffer.from(GOLDEN_FRAMES.healthResponse.slice(0, 10), 'hex');
const HEADER_BYTES = 9;
const ANSWER_BYTES_MAX = 64 * 1024;

/**
 * Connects, sends one health check and resolves with the milliseconds from the first attempt to connect until a whole
 * answer was there that says healthy. Rejects with what came instead, or after `timeoutMs`.
 */
export function askHealth(port: number, timeoutMs: number, host = '127.0.0.1'): Promise<number> {
  return new Promise((resolve, reject) => {
    const startedAt = performance.now();
    let received = Buffer.alloc(0);
    const socket = net.connect({ port, host }, () => socket.write(REQUEST));
    const finish = (error?: Error) => {
      clearTimeout(timer);
      socket.destroy();
      if (error === undefined) resolve(performance.now() - startedAt);
      else reject(error);
    };
    const timer = setTimeout(() => finish(new Error(`nothing within ${timeoutMs} ms`)), timeoutMs);
    socket.on('error', finish);
    socket.on('close', () => finish(new Error(`closed after ${received.length} bytes`)));
    socket.on('data', (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      if (received.length < HEADER_BYTES) return;
      const total = HEADER_BYTES + received.readUInt32BE(HEADER_BYTES - 4);
      if (!received.subarray(0, ANSWER.length).equals(ANSWER) || total > ANSWER_BYTES_MAX) {
        finish(new Error(`not a health answer: ${received.toString('latin1', 0, 40)}`));
      } else if (received.length >= total) {
        const text = received.toString('utf8', HEADER_BYTES, total);
        const healthy = (JSON.parse(text) as { is_healthy?: unknown }).is_healthy === true;
        finish(healthy ? undefined : new Error(`not healthy: ${text}`));
      }
    });
  });
}

/** What the client process is told, as JSON in its first argument. */
export interface WatchJob {
  readonly ports: readonly number[];
  readonly address: string;
  readonly everyMs: number;
  readonly timeoutMs: number;
}

/** One attempt; times in milliseconds since the Unix epoch. */
export interface Attempt {
  readonly port: number;
  readonly startedAtMs: number;
  readonly endedAtMs: number;
  /** Absent: it was answered. */
  readonly error?: string;
}

/** The client process. It ends with its parent. */
async function main(): Promise<void> {
  const { ports, address, everyMs, timeoutMs } = JSON.parse(process.argv[2] ?? '') as WatchJob;
  let paused = false;
  process.on('disconnect', () => process.exit(0));
  process.on('message', (message) => {
    paused = message === 'pause';
  });
  for (;;) {
    for (const port of paused ? [] : ports) void attempt(port, address, timeoutMs);
    await delay(everyMs);
  }
}

async function attempt(port: number, address: string, timeoutMs: number): Promise<void> {
  const startedAtMs = Date.now();
  let error: string | undefined;
  try {
    await askHealth(port, timeoutMs, address);
  } catch (failure) {
    error = failure instanceof Error ? failure.message : String(failure);
  }
  const seen: Attempt = {
    port,
    startedAtMs,
    endedAtMs: Date.now(),
    ...(error === undefined ? {} : { error }),
  };
  if (process.connected) process.send?.(seen);
}

if (process.argv[1] === import.meta.filename) await main();
