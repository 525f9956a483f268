/** The HTTP API as tests use it: topology, chat, stream, and what an old peer recorded. Every call has a deadline. */
import { inTime } from './eventually.js';

/** `GET /topology`. */
export interface Topology {
  readonly nodes: Record<string, { readonly memory: number; readonly model: string; readonly chip: string }>;
  readonly peer_graph: Record<
    string,
    ReadonlyArray<{ readonly from_id: string; readonly to_id: string; readonly description: string }>
  >;
  readonly active_node_id: string | null;
}

/** `POST /v1/chat/completions`, not streamed. */
export interface ChatAnswer {
  readonly choices: ReadonlyArray<{
    readonly message: { readonly role: string; readonly content: string };
    readonly finish_reason: string;
  }>;
  readonly usage: {
    readonly prompt_tokens: number;
    readonly completion_tokens: number;
    readonly total_tokens: number;
  };
}

/** What an old peer recorded; type bytes as `0x01`. */
export interface LegacyReport {
  readonly received: Record<string, number>;
  readonly sent: Record<string, number>;
  readonly unsolicited: Record<string, number>;
  readonly unknownTypes: readonly string[];
  readonly badMagic: readonly string[];
  readonly mismatches: readonly string[];
  readonly failures: readonly string[];
  readonly statuses: ReadonlyArray<Record<string, unknown>>;
}

/** GET with a deadline; anything but 200 throws with the body. */
export async function getJson<T>(url: string, timeoutMs = 2_000): Promise<T> {
  const response = await fetch(url, { signal: AbortSignal.timeout(inTime(timeoutMs)) });
  const text = await response.text();
  if (response.status !== 200) throw new Error(`${url}: ${response.status} ${text.slice(0, 300)}`);
  return JSON.parse(text) as T;
}

/** The topology as a node shows it. */
export const topology = (api: string): Promise<Topology> => getJson<Topology>(`${api}/topology`);

/** What an old peer saw. */
export const legacyReport = (api: string): Promise<LegacyReport> => getJson<LegacyReport>(`${api}/frames`);

/** Node ids of a topology, sorted. */
export const nodeIds = (view: Topology): string[] => Object.keys(view.nodes).sort();

/** Edges of a topology as `a->b`, sorted. */
export const edges = (view: Topology): string[] =>
  Object.values(view.peer_graph)
    .flat()
    .map((edge) => `${edge.from_id}->${edge.to_id}`)
    .sort();

/** Every edge of a full mesh of these nodes, in the form of `edges`. */
export function allEdges(ids: readonly string[]): string[] {
  return ids.flatMap((from) => ids.filter((to) => to !== from).map((to) => `${from}->${to}`)).sort();
}

const chatBody = (stream: boolean) =>
  JSON.stringify({ model: 'dummy', messages: [{ role: 'user', content: 'Who are you?' }], stream });

/** A chat request to the dummy model. */
export async function chat(api: string, timeoutMs = 30_000): Promise<ChatAnswer> {
  const response = await fetch(`${api}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: chatBody(false),
    signal: AbortSignal.timeout(inTime(timeoutMs)),
  });
  const text = await response.text();
  if (response.status !== 200) throw new Error(`chat at ${api}: ${response.status} ${text.slice(0, 500)}`);
  return JSON.parse(text) as ChatAnswer;
}

/** The `data:` values of a streamed chat request, in order of arrival. */
export async function chatStream(api: string, timeoutMs = 30_000): Promise<string[]> {
  const response = await fetch(`${api}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: chatBody(true),
    signal: AbortSignal.timeout(inTime(timeoutMs)),
  });
  const text = await response.text();
  if (response.status !== 200) throw new Error(`stream at ${api}: ${response.status} ${text.slice(0, 500)}`);
  return text
    .split('\n\n')
    .filter((event) => event.startsWith('data: '))
    .map((event) => event.slice('data: '.length));
}
