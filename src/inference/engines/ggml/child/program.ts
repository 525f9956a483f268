/**
 * The engine's process: a program of its own, because a fault in native code ends the process that it is in. Talks to
 * the node over the pipe that it finds as descriptor 3, and ends when that closes, which it does in whatever way the node
 * ends. `engine-process.ts` starts it.
 */
import { Socket } from 'node:net';
import { ExoError, systemClock, toExoError } from '../../../../shared/index.js';
import { highestOf } from '../../../sampling/index.js';
import { CachePool } from '../cache/cache-pool.js';
import { openDevice } from '../library/index.js';
import { FrameReader, writeFrame } from '../process/frames.js';
import {
  modelOf,
  type ProcessOptions,
  type ProcessReply,
  type ProcessReport,
  type ProcessRequest,
} from '../process/messages.js';
import { MadeFiles } from '../weights/made-files.js';
import { CoreTurns, turnsFile } from './core-turns.js';
import { fillsMachine, freeBytes, freeCores } from './machine.js';
import { ResultPlaces } from './result-places.js';
import { Scheduler } from './scheduler.js';
import { Shards } from './shards.js';
import { Speeds } from './speed.js';

/** Where the node left its end of the pipe. */
const PIPE_FD = 3;
/** And the file of results, if there is one. */
const RESULTS_FD = 4;

/** What runs after `start`. */
interface Engine {
  readonly scheduler: Scheduler;
  readonly shards: Shards;
  readonly speeds: Speeds;
  readonly places: ResultPlaces | undefined;
  readonly made: MadeFiles | undefined;
  readonly turns: CoreTurns;
}

const pipe = new Socket({ fd: PIPE_FD, readable: true, writable: true });
let engine: Engine | undefined;

// Ctrl-C is for the node, which closes the pipe when it is done.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined);
pipe.on('error', end);
pipe.on('close', end);

/** The node has gone, or ends this process. A thread that waits for its turn would be waited for. */
function end(): void {
  if (engine?.turns.isWaiting === true) process.kill(process.pid, 'SIGKILL');
  process.exit(0);
}

function reply(head: ProcessReply, values?: Float32Array): void {
  writeFrame(pipe, head, values && new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
}

async function start(options: ProcessOptions, hasResults: boolean): Promise<ProcessReport> {
  const threads = options.threads ?? (await freeCores(systemClock));
  const device = await openDevice({ device: options.device, threads, quiet: options.quiet });
  const pool = new CachePool(options, { device, clock: systemClock, freeBytes });
  const speeds = new Speeds({ device, clock: systemClock });
  const turns = new CoreTurns(device.isCpu && fillsMachine(threads) ? turnsFile() : undefined, systemClock);
  const scheduler = new Scheduler({
    pool,
    clock: systemClock,
    turns,
    onStep: (shardKey, step) => speeds.note(modelOf(shardKey), step),
  });
  const made = options.madeFiles && new MadeFiles(options.madeFiles);
  const shards = new Shards(options, {
    device,
    made,
    pool,
    freeBytes,
    drained: (shard) => scheduler.drained(shard),
  });
  const places = hasResults ? ResultPlaces.open(RESULTS_FD) : undefined;
  engine = { scheduler, shards, speeds, places, made, turns };
  return { device: device.name, description: device.description, threads };
}

function running(): Engine {
  if (engine === undefined) throw new ExoError('engine-failed', 'the engine has not been started');
  return engine;
}

async function answer(request: ProcessRequest, payload: Buffer): Promise<void> {
  switch (request.op) {
    case 'start':
      return reply({ id: request.id, report: await start(request.options, request.hasResults) });
    case 'load': {
      const { shards, made } = running();
      await shards.load(request.shardKey, request.source);
      const unkept = made?.takeUnkept();
      return reply({ id: request.id, ...(unkept && { unkept }) });
    }
    case 'forward': {
      const { requestId, shardKey, position, isGreedy } = request;
      const { scheduler, shards, places } = running();
      const count = payload.length / 4;
      // The reader gave each payload memory of its own, so that it is aligned.
      const input =
        request.input === 'tokens'
          ? { tokens: new Int32Array(payload.buffer, payload.byteOffset, count) }
          : { hidden: new Float32Array(payload.buffer, payload.byteOffset, count) };
      const shard = shards.get(shardKey);
      if (shard === undefined) return reply({ id: request.id, isUnloaded: true });
      // Logits are written where the node can read them; of a greedy step they are only looked through there.
      const into = shard.isLast ? places?.reserve(requestId, shard.architecture.vocab) : undefined;
      const step = { requestId, shardKey, shard, position, input, ...(into && { into }) };
      const values = await scheduler.submit(step);
      if (isGreedy && shard.isLast) return reply({ id: request.id, token: highestOf(values) });
      const place = places?.put(requestId, values);
      return place === undefined ? reply({ id: request.id }, values) : reply({ id: request.id, place });
    }
    case 'profile': {
      const { scheduler, shards, speeds } = running();
      const { modelId, type } = request;
      const speed = await speeds.of(modelId, type, (work) => scheduler.alone(work));
      return reply({ id: request.id, profile: { memoryBytes: shards.memoryBytes(modelId), ...speed } });
    }
    case 'cancel':
      return engine?.scheduler.cancel(request.requestId);
    case 'release':
      engine?.places?.release(request.requestId);
      return engine?.scheduler.release(request.requestId);
  }
}

const reader = new FrameReader((head, payload) => {
  const request = head as ProcessRequest;
  answer(request, payload).catch((error: unknown) => {
    const { code, message, retryable } = toExoError(error, 'engine-failed');
    if ('id' in request) reply({ id: request.id, error: { code, message, retryable } });
  });
});
pipe.on('data', (chunk) => reader.push(chunk));
