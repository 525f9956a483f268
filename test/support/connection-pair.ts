/** Two connections over an in-memory stream, and the small things that tests of them need. */
import {
  type AccessLevel,
  type CloseReason,
  type Connection,
  type ConnectionHandlers,
  createConnection,
  createWireShared,
  type Hello,
  type Message,
  type WireShared,
} from '../../src/protocol/index.js';
import { type Clock, type LogFields, type Logger, VirtualClock } from '../../src/shared/index.js';
import { type PairedStream, streamPair } from './stream-pair.js';

/** A hello of a new node. */
export function helloOf(nodeId: string, changes: Partial<Hello> = {}): Hello {
  return {
    versionMax: 1,
    versionMin: 1,
    nodeId,
    instance: '0123456789abcdef',
    epoch: 1,
    features: ['correlated', 'topology'],
    capabilities: { model: 'M', chip: 'C', memory: 1024, flops: { fp32: 1, fp16: 2.5, int8: 4 } },
    nodePort: 50051,
    topologyDigest: '0000000000000000',
    agent: 'exo-mesh test',
    ...changes,
  };
}

/** Remembers the warnings. */
export class WarningLog implements Logger {
  readonly warnings: Array<{ event: string; fields: LogFields | undefined }> = [];
  debug(): void {}
  info(): void {}
  error(event: string, fields?: LogFields): void {
    this.warnings.push({ event, fields });
  }
  warn(event: string, fields?: LogFields): void {
    this.warnings.push({ event, fields });
  }
  child(): Logger {
    return this;
  }
}

/** Handlers with a default for what a test does not care about. */
export function handlersOf(changes: Partial<ConnectionHandlers> = {}): ConnectionHandlers {
  return {
    onHello: () => helloOf('acceptor'),
    onMessage: () => undefined,
    onClose: () => undefined,
    ...changes,
  };
}

/** Both ends, and what stands behind them. */
export interface Pair {
  readonly clock: VirtualClock;
  readonly dialler: Connection;
  readonly acceptor: Connection;
  readonly diallerStream: PairedStream;
  readonly acceptorStream: PairedStream;
  readonly shared: WireShared;
  readonly log: WarningLog;
}

/** What a test may change. */
export interface PairOptions {
  readonly clock?: VirtualClock;
  readonly chunkBytes?: number;
  readonly trusted?: boolean;
  /** Of the acceptor's end. */
  readonly access?: AccessLevel;
  /** Of the dialler's end. */
  readonly diallerAccess?: AccessLevel;
  readonly shared?: WireShared;
  readonly dialler?: Partial<ConnectionHandlers>;
  readonly acceptor?: Partial<ConnectionHandlers>;
}

/** Two connections that face each other; fresh. */
export function connectionPair(options: PairOptions = {}): Pair {
  const clock = options.clock ?? new VirtualClock();
  const shared = options.shared ?? createWireShared();
  const log = new WarningLog();
  const [diallerStream, acceptorStream] = streamPair(options.chunkBytes);
  const common = { ...shared, clock: clock as Clock, logger: log as Logger };
  const trusted = options.trusted ?? true;
  const dialler = createConnection(
    diallerStream,
    { role: 'dialler', trusted, access: options.diallerAccess ?? 'member' },
    { ...common, handlers: handlersOf(options.dialler) },
  );
  const acceptor = createConnection(
    acceptorStream,
    { role: 'acceptor', trusted, access: options.access ?? 'member' },
    { ...common, handlers: handlersOf(options.acceptor) },
  );
  return { clock, dialler, acceptor, diallerStream, acceptorStream, shared, log };
}

/** Two connections that have said hello. */
export async function establishedPair(options: PairOptions = {}): Promise<Pair> {
  const pair = connectionPair(options);
  await pair.dialler.introduce(helloOf('dialler'));
  return pair;
}

/** Closes both ends and waits for it. */
export async function closePair(pair: Pair): Promise<CloseReason[]> {
  await Promise.all([pair.dialler.close(), pair.acceptor.close()]);
  return Promise.all([pair.dialler.closed, pair.acceptor.closed]);
}

/** A prompt, for tests that need any request. */
export function promptOf(prompt: string, requestId = 'r1'): Message {
  return { kind: 'prompt', shard: DUMMY_SHARD, prompt, requestId, inferenceState: null };
}

/** A quarter of the dummy model. */
export const DUMMY_SHARD = { modelId: 'dummy', startLayer: 0, endLayer: 3, nLayers: 8 };
