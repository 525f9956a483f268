/**
 * A program of its own inside a host: asks the node there for chats, whole and streamed, sends it tensors of 8 KiB as an old peer
 * does, and looks at its view. Reports every request with its end, and every look. It judges only what an answer says; whether an
 * end may look like that is judged by `verdict.ts`, which knows what was done to the node.
 */
import http from 'node:http';
import net from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { MessageDecoder } from '../../src/protocol/index.js';
import { baseFrame, collectingDecoder } from '../support/frames.js';

/** What it is to do. */
export interface AgentJob {
  readonly apiPort: number;
  readonly nodePort: number;
  /** Between two requests on average; half of them chats, a quarter streams, a quarter tensors. */
  readonly everyMs: number;
  /** After which a request is given up as one without an end. */
  readonly giveUpMs: number;
}

/** How a request ended: `answered` exactly, with a typed `error`, `broken` by its connection, `wrong`, or `endless`. */
export type Outcome = 'answered' | 'error' | 'broken' | 'wrong' | 'endless';

/** One request, over. */
export interface RequestReport {
  readonly type: 'request';
  readonly kind: 'chat' | 'stream' | 'tensor' | 'probe';
  /** Milliseconds since the epoch, as all times here. */
  readonly startedAtMs: number;
  readonly endedAtMs: number;
  readonly outcome: Outcome;
  readonly detail: string;
}

/** One look at the view; `view` is undefined where the node did not answer. */
export interface ViewReport {
  readonly type: 'view';
  readonly startedAtMs: number;
  readonly view: string | undefined;
  /** Peers that the node itself calls anything but alive. */
  readonly unsure: readonly string[];
}

export type AgentReport = RequestReport | ViewReport;

const ANSWER = 'dummy'.repeat(10);
const LOOK_EVERY_MS = 250;
const LOOK_TIMEOUT_MS = 2_000;
const IN_FLIGHT_MAX = 16;
const TENSOR_BYTES = 8 * 1024;

const job = JSON.parse(process.argv[2] ?? '{}') as AgentJob;
let paused = true;
let inFlight = 0;

const report = (message: AgentReport) => process.send?.(message);

interface Answer {
  readonly status: number;
  readonly text: string;
}

/** One HTTP request on a connection of its own. Rejects with the error of the socket. */
function ask(path: string, body: string | undefined, timeoutMs: number): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = http.request({
      host: '127.0.0.1',
      port: job.apiPort,
      path,
      agent: false,
      method: body === undefined ? 'GET' : 'POST',
      headers: { 'content-type': 'application/json' },
      signal: AbortSignal.timeout(timeoutMs),
    });
    request.on('error', reject);
    request.on('response', (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => {
        text += part;
      });
      response.on('error', reject);
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
    });
    request.end(body);
  });
}

type Judged = readonly [Outcome, string];

function errorCode(text: string): string | undefined {
  try {
    const { error } = JSON.parse(text) as { error?: { code?: unknown } };
    return typeof error?.code === 'string' ? error.code : undefined;
  } catch {
    return undefined;
  }
}

function judgeWhole({ status, text }: Answer): Judged {
  if (status !== 200) {
    const code = errorCode(text);
    return code === undefined ? ['wrong', `${status} ${text.slice(0, 200)}`] : ['error', code];
  }
  const { choices } = JSON.parse(text) as { choices: Array<{ message: { content: string } }> };
  const content = choices[0]?.message.content;
  return content === ANSWER ? ['answered', ''] : ['wrong', `${content}`];
}

function judgeStream({ status, text }: Answer): Judged {
  if (status !== 200) return judgeWhole({ status, text });
  const events = text
    .split('\n\n')
    .filter((event) => event.startsWith('data: '))
    .map((event) => event.slice('data: '.length));
  if (events.at(-1) !== '[DONE]') return ['wrong', `a stream without an end: ${text.slice(-200)}`];
  let content = '';
  for (const event of events.slice(0, -1)) {
    const code = errorCode(event);
    if (code !== undefined) {
      return ANSWER.startsWith(content) ? ['error', code] : ['wrong', `${content} before ${code}`];
    }
    const { choices } = JSON.parse(event) as { choices: Array<{ delta: { content?: string } }> };
    content += choices[0]?.delta.content ?? '';
  }
  return content === ANSWER ? ['answered', ''] : ['wrong', content];
}

async function chat(stream: boolean): Promise<Judged> {
  const messages = [{ role: 'user', content: 'Who are you?' }];
  const body = JSON.stringify({ model: 'dummy', messages, stream });
  const answer = await ask('/v1/chat/completions', body, job.giveUpMs);
  return stream ? judgeStream(answer) : judgeWhole(answer);
}

/** A tensor for a model that nobody has, as an old peer sends it: the exact answer is "no tensor". */
function tensor(): Promise<Judged> {
  const shard = { modelId: 'nobody-has-it', startLayer: 0, endLayer: 7, nLayers: 8 };
  const frame = baseFrame({
    kind: 'tensor-request',
    shard,
    tensor: { shape: [1, TENSOR_BYTES / 4], dtype: 'float32', data: Buffer.alloc(TENSOR_BYTES, 7) },
    requestId: null,
    inferenceState: null,
  });
  return new Promise((resolve, reject) => {
    const { decoder, frames } = collectingDecoder();
    const socket = net.connect(job.nodePort, '127.0.0.1', () => socket.write(frame));
    socket.setTimeout(job.giveUpMs, () => socket.destroy(new DOMException('', 'TimeoutError')));
    socket.on('error', reject);
    socket.on('close', () => reject(new Error('closed before an answer')));
    socket.on('data', (bytes) => {
      decoder.push(bytes);
      const [first] = frames;
      if (first === undefined) return;
      const message = new MessageDecoder().decode(first.type, first.body);
      const right = message.kind === 'tensor-response' && message.tensor === null;
      resolve(right ? ['answered', ''] : ['wrong', message.kind]);
      socket.destroy();
    });
  });
}

async function run(kind: RequestReport['kind'], work: () => Promise<Judged>): Promise<void> {
  inFlight += 1;
  const startedAtMs = Date.now();
  let judged: Judged;
  try {
    judged = await work();
  } catch (error) {
    const { name, message } = error as Error;
    const endless = name === 'TimeoutError' || name === 'AbortError';
    judged = [endless ? 'endless' : 'broken', message];
  } finally {
    inFlight -= 1;
  }
  const [outcome, detail] = judged;
  report({ type: 'request', kind, startedAtMs, endedAtMs: Date.now(), outcome, detail });
}

function one(): Promise<void> {
  const dice = Math.random();
  if (dice < 0.5) return run('chat', () => chat(false));
  if (dice < 0.75) return run('stream', () => chat(true));
  return run('tensor', tensor);
}

interface View {
  readonly nodes: object;
  readonly peer_graph: Record<string, ReadonlyArray<{ readonly from_id: string; readonly to_id: string }>>;
}

interface Status {
  readonly peers: ReadonlyArray<{ readonly id: string; readonly state: string }>;
}

async function get<T>(path: string): Promise<T> {
  const { status, text } = await ask(path, undefined, LOOK_TIMEOUT_MS);
  if (status !== 200) throw new Error(`${path}: ${status}`);
  return JSON.parse(text) as T;
}

/** Ids and edges of the view, sorted, and what the node thinks of its own peers. */
async function look(): Promise<Omit<ViewReport, 'startedAtMs'>> {
  try {
    const { nodes, peer_graph } = await get<View>('/topology');
    const { peers } = await get<Status>('/v1/status');
    const edges = Object.values(peer_graph).flat();
    const words = edges.map(({ from_id, to_id }) => `${from_id}>${to_id}`).sort();
    const unsure = peers.filter(({ state }) => state !== 'alive').map(({ id, state }) => `${id} ${state}`);
    return { type: 'view', view: `${Object.keys(nodes).sort().join()} ${words.join()}`, unsure };
  } catch {
    return { type: 'view', view: undefined, unsure: [] };
  }
}

process.on('disconnect', () => process.exit());
process.on('message', (message) => {
  if (message === 'probe') void run('probe', () => chat(false));
  else paused = message === 'pause';
});

const traffic = async () => {
  for (;;) {
    await delay(job.everyMs * (0.5 + Math.random()));
    if (!paused && inFlight < IN_FLIGHT_MAX) void one();
  }
};
const looking = async () => {
  for (;;) {
    const startedAtMs = Date.now();
    report({ ...(await look()), startedAtMs });
    await delay(LOOK_EVERY_MS);
  }
};
await Promise.all([traffic(), looking()]);
