/**
 * A real listening API server over a mesh that stands still and a chat service that answers by script: exactly the
 * two ports that the API has. Not a test.
 */
import { connect } from 'node:net';
import type { TestContext } from 'node:test';
import {
  type ApiServer,
  type ApiServerComponents,
  type ApiServerOptions,
  type ChatModel,
  type ChatRequest,
  type ChatService,
  type ChatToken,
  createApiServer,
  type EncodedChat,
  type Generation,
} from '../../src/api/index.js';
import type { ChatMessage } from '../../src/inference/index.js';
import type { Mesh, PingReply, SelfSummary, TopologySnapshot } from '../../src/node/index.js';
import { type Clock, ExoError, silentLogger, systemClock } from '../../src/shared/index.js';
import { inTime } from '../support/eventually.js';
import { StillTunnels } from './still-tunnels.js';

export const OWNER_TOKEN = 'owner-token-of-the-run-file';

const CAPABILITIES = {
  model: 'Mac Studio',
  chip: 'Apple M2 Ultra',
  memory: 131072,
  flops: { fp32: 26.98, fp16: 53.96, int8: 107.92 },
};

/** Answers with `pieces`, one token each, and does what the fields say. */
export class ScriptedChat implements ChatService {
  readonly defaultModel = 'dummy';
  readonly requests: ChatRequest[] = [];
  list: ChatModel[] = [
    { id: 'dummy', name: 'Dummy', ready: true, nLayers: 8 },
    { id: 'org/later', ready: false, nLayers: 16 },
  ];
  pieces: string[] = Array.from({ length: 10 }, () => 'dummy');
  finishReason: 'stop' | 'length' = 'stop';
  /** `start` waits for it. */
  gate: Promise<void> | undefined;
  /** `start` rejects with it. */
  refusal: Error | undefined;
  /** Thrown after the last piece instead of finishing. */
  failure: Error | undefined;
  /** Never finishes after the last piece; ends only by the signal. */
  endless = false;
  /** Does not even listen to the signal. */
  deaf = false;
  /** Of each token; undefined for none. */
  logprobs: ((index: number) => ChatToken['logprobs']) | undefined;
  /** Tokens handed out. */
  handedOut = 0;

  models(): readonly ChatModel[] {
    return this.list;
  }

  async start(request: ChatRequest): Promise<Generation> {
    this.#assertKnown(request.model);
    this.requests.push(request);
    await this.gate;
    if (this.refusal !== undefined) throw this.refusal;
    let settle: (value: Awaited<Generation['result']>) => void = () => undefined;
    let fail: (error: unknown) => void = () => undefined;
    const result = new Promise<Awaited<Generation['result']>>((resolve, reject) => {
      settle = resolve;
      fail = reject;
    });
    return {
      requestId: 'request-1',
      model: request.model,
      promptTokens: 1,
      tokens: this.#tokens(request.signal, settle, fail),
      result,
    };
  }

  #assertKnown(model: string): void {
    if (this.list.some(({ id }) => id === model)) return;
    const known = this.list.map(({ id }) => id).join(', ');
    throw new ExoError('model-unknown', `Unsupported model: ${model}; known models: ${known}`);
  }

  async encode(model: string, messages: readonly ChatMessage[], _signal: AbortSignal): Promise<EncodedChat> {
    this.#assertKnown(model);
    const prompt = messages.map(({ role, content }) => `<${role}>${content}`).join('');
    return { prompt, tokens: [...prompt].map((char) => char.codePointAt(0) ?? 0) };
  }

  async *#tokens(
    signal: AbortSignal,
    settle: (value: Awaited<Generation['result']>) => void,
    fail: (error: unknown) => void,
  ): AsyncGenerator<ChatToken> {
    try {
      for (const [index, text] of this.pieces.entries()) {
        if (!this.deaf) signal.throwIfAborted();
        this.handedOut += 1;
        const logprobs = this.logprobs?.(index);
        yield { text, token: index + 2, index, ...(logprobs && { logprobs }) };
      }
      if (this.endless) await this.#aborted(signal);
      if (this.failure !== undefined) throw this.failure;
      settle({ finishReason: this.finishReason, completionTokens: this.pieces.length });
    } catch (error) {
      fail(error);
      throw error;
    }
  }

  #aborted(signal: AbortSignal): Promise<never> {
    return new Promise((_resolve, reject) => {
      if (this.deaf) return;
      if (signal.aborted) reject(signal.reason);
      signal.addEventListener('abort', () => reject(signal.reason), { once: true });
    });
  }
}

/** Three nodes: a (this) → b by MAN, b → a, and c without an outgoing edge. */
export class StillMesh implements Mesh {
  readonly #listeners = new Set<() => void>();
  readonly #startedAtMs = systemClock.wall() - 5_000;
  activeNodeId: string | null = null;
  hostileName: string | undefined;
  readonly tunnels = new StillTunnels();
  reloads = 0;
  /** `reload` rejects with it. */
  brokenFile: Error | undefined;

  get listeners(): number {
    return this.#listeners.size;
  }

  change(): void {
    for (const listener of this.#listeners) listener();
  }

  async reload(): Promise<void> {
    this.reloads += 1;
    if (this.brokenFile !== undefined) throw this.brokenFile;
  }

  self(): SelfSummary {
    return {
      id: 'a',
      instance: '00112233aabbccdd',
      version: '0.1.0',
      nodeHost: '127.0.0.1',
      nodePort: 50051,
      startedAtMs: this.#startedAtMs,
      capabilities: CAPABILITIES,
      discovery: [{ module: 'manual', state: 'peers.json: 2 peers' }],
    };
  }

  peers(): ReturnType<Mesh['peers']> {
    return [
      {
        id: this.hostileName ?? 'b',
        aliases: ['remote-node-1'],
        state: 'alive',
        reason: 'answers',
        protocol: 'exo',
        address: '127.0.0.1:50052',
        direction: 'out',
        description: 'MAN',
        encrypted: true,
        trust: 'mesh key 0123abcd',
        rttMs: 0.4,
        bytesPerS: 117_600_000,
        silentMs: 12,
        bytesIn: 100,
        bytesOut: 200,
        capabilities: CAPABILITIES,
        nextDialMs: null,
      },
    ];
  }

  spareAddresses(): ReturnType<Mesh['spareAddresses']> {
    return [];
  }

  refusals(): ReturnType<Mesh['refusals']> {
    return [
      {
        module: 'udp',
        subject: '10.0.0.9:50051',
        code: 'id-filtered',
        reason: 'the id "x" is not in --node-id-filter',
        atMs: 1_700_000_000_000,
      },
    ];
  }

  warnings(): ReturnType<Mesh['warnings']> {
    return [{ code: 'duplicate-id', message: 'two machines use the id "b"', atMs: 1_700_000_000_001 }];
  }

  topology(): TopologySnapshot {
    const b = this.hostileName ?? 'b';
    return {
      nodes: new Map([
        ['a', CAPABILITIES],
        [b, { ...CAPABILITIES, model: this.hostileName ?? 'MacBook Pro', memory: 65536 }],
        ['c', { ...CAPABILITIES, memory: 8192 }],
      ]),
      edges: [
        { fromId: 'a', toId: b, description: 'MAN' },
        { fromId: b, toId: 'a', description: this.hostileName ?? 'Ethernet (eth0)' },
        { fromId: 'a', toId: 'c', description: 'DIRECT (10.0.0.7)' },
      ],
      activeNodeId: this.activeNodeId,
      legacyIds: new Set(['c']),
      digest: '0123456789abcdef',
      partitions: [
        { nodeId: 'a', start: 0, end: 0.64 },
        { nodeId: b, start: 0.64, end: 0.96 },
        { nodeId: 'c', start: 0.96, end: 1 },
      ],
    };
  }

  async ping(node: string): Promise<PingReply> {
    if (node === 'b') return { id: 'b', rttMs: 0.5, address: '127.0.0.1:50052', direction: 'out' };
    if (node === 'slow') throw new ExoError('request-timeout', 'no answer from slow within 5 s');
    throw new ExoError('peer-unknown', `no peer is called "${node}"; known: b, c`);
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async waitForPeers(): Promise<void> {}
}

export interface TestApi {
  readonly url: string;
  readonly port: number;
  readonly chat: ScriptedChat;
  readonly mesh: StillMesh;
  readonly server: ApiServer;
  readonly quits: () => number;
  post(path: string, body: unknown, headers?: Record<string, string>): Promise<Response>;
  get(path: string, headers?: Record<string, string>): Promise<Response>;
}

/** Starts a server on a free port; the test's end stops it. */
export async function startApi(
  t: TestContext,
  options: Partial<ApiServerOptions> & { clock?: Clock } = {},
  components: Pick<Partial<ApiServerComponents>, 'trust' | 'gauges' | 'sheds' | 'log'> = {},
): Promise<TestApi> {
  const { clock = systemClock, ...rest } = options;
  const chat = new ScriptedChat();
  const mesh = new StillMesh();
  let quits = 0;
  const server = createApiServer(
    { host: '127.0.0.1', port: 0, responseTimeoutMs: 30_000, ownerToken: OWNER_TOKEN, ...rest },
    {
      mesh,
      chat,
      clock,
      log: silentLogger,
      ...components,
      quit: () => {
        quits += 1;
      },
    },
  );
  await server.start();
  t.after(() => server.stop());
  const { port, host } = server.address;
  const url = `http://${host}:${port}`;
  return {
    url,
    port,
    chat,
    mesh,
    server,
    quits: () => quits,
    post: (path, body, headers = {}) =>
      fetch(`${url}${path}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body: typeof body === 'string' ? body : JSON.stringify(body),
      }),
    get: (path, headers = {}) => fetch(`${url}${path}`, { headers }),
  };
}

/** An answer's JSON; `error` and `detail` are there only in a failed one. */
export interface Answer {
  readonly error: { message: string; type: string; param: string | null; code: string };
  readonly detail: string;
  readonly choices: { message: { content: string }; finish_reason: string }[];
  readonly [field: string]: unknown;
}

/** The JSON of an answer. */
export async function json(response: Response): Promise<Answer> {
  return (await response.json()) as Answer;
}

/** The `data:` of all events of an answer. */
export async function readEvents(response: Response): Promise<string[]> {
  const text = await response.text();
  return text
    .split('\n\n')
    .filter((event) => event.startsWith('data: '))
    .map((event) => event.slice(6));
}

/** Writes bytes to the port and reads until the other side closes. */
export function rawRequest(port: number, text: string, host = '127.0.0.1'): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port }, () => socket.write(text));
    let received = '';
    socket.setEncoding('utf8');
    socket.on('data', (chunk) => {
      received += chunk;
    });
    socket.on('error', reject);
    socket.on('close', () => resolve(received));
  });
}

/** Resolves when `condition` holds; checks on every turn of the event loop. Fails after `deadlineMs`. */
export async function until(condition: () => boolean, deadlineMs = 5_000): Promise<number> {
  const startMs = performance.now();
  while (!condition()) {
    if (performance.now() - startMs > inTime(deadlineMs))
      throw new Error(`not within ${inTime(deadlineMs)} ms`);
    await new Promise((resolve) => setImmediate(resolve));
  }
  return performance.now() - startMs;
}
