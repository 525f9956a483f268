/**
 * A hub of models on loopback, with the API of the real one: a server that answers and redirects, a second one in the place of its
 * CDN. It does on demand what real ones do at times, and counts every byte that it sends.
 */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';

/** What goes wrong with one request for the bytes of a file. */
export type Fault =
  | { readonly kind: 'status'; readonly status: number; readonly headers?: Readonly<Record<string, string>> }
  /** The connection breaks after so many bytes. */
  | { readonly kind: 'cut'; readonly afterBytes: number }
  /** Nothing comes any more after so many bytes, and the connection stays. */
  | { readonly kind: 'stall'; readonly afterBytes: number }
  /** One byte of what is sent is another. */
  | { readonly kind: 'corrupt' };

/** Bytes of a file that were sent. */
export interface Sent {
  readonly path: string;
  readonly from: number;
  to: number;
}

/** A request that came. */
export interface Seen {
  readonly server: 'hub' | 'cdn';
  readonly method: string;
  readonly url: string;
  readonly range: string | undefined;
  readonly authorization: string | undefined;
}

interface Model {
  readonly files: Map<string, Buffer>;
  commit: string;
  token?: string | undefined;
}

type Json = (value: unknown, headers?: Record<string, string>) => unknown;

/** Small enough that something can happen between two of them. */
const PIECE_BYTES = 16 * 1024;
/** Files up to this are git's own, the others LFS. */
const SMALL_BYTES = 64 * 1024;
const PAGE_FILES = 3;

/** The hub. */
export class MockHub {
  readonly sent: Sent[] = [];
  readonly seen: Seen[] = [];
  /** Whether ranges are understood. */
  takesRanges = true;
  /** Whether small files come packed, as some proxies do it. */
  packsSmall = false;
  /** Called before each piece; resolves when it may be sent. */
  onPiece: (sent: Sent) => void | Promise<void> = () => undefined;
  /** Answers with bytes of files that have neither been sent whole nor been given up by who asked. */
  readonly unfinished = new Set<ServerResponse>();
  readonly #models = new Map<string, Model>();
  readonly #faults = new Map<string, Fault[]>();
  readonly #apiFaults: Fault[] = [];
  readonly #hub: Server;
  readonly #cdn: Server;

  private constructor() {
    this.#hub = createServer((request, response) => this.#answer(request, response));
    this.#cdn = createServer((request, response) => this.#serve(request, response));
  }

  static async start(): Promise<MockHub> {
    const hub = new MockHub();
    for (const server of [hub.#hub, hub.#cdn]) {
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    }
    return hub;
  }

  async stop(): Promise<void> {
    for (const server of [this.#hub, this.#cdn]) {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.#hub.address() as AddressInfo).port}`;
  }

  /** Puts a model there, or another commit of it. `token`: only who has it gets files. */
  put(repository: string, files: Readonly<Record<string, Buffer | string>>, token?: string): void {
    const entries = Object.entries(files).map(([name, bytes]) => [name, Buffer.from(bytes)] as const);
    const commit = createHash('sha1').update(
      JSON.stringify(entries.map(([name, bytes]) => [name, sha256(bytes)])),
    );
    this.#models.set(repository, { files: new Map(entries), commit: commit.digest('hex'), token });
  }

  commitOf(repository: string): string {
    return this.#models.get(repository)!.commit;
  }

  /** The next requests for the bytes of a file go wrong so, one after the other. */
  fail(path: string, ...faults: Fault[]): void {
    this.#faults.set(path, [...(this.#faults.get(path) ?? []), ...faults]);
  }

  /** The next requests of the API go wrong so. */
  failApi(...faults: Fault[]): void {
    this.#apiFaults.push(...faults);
  }

  /** Bytes of a file that were sent, counted as often as they were. */
  bytesSent(path: string, since = 0): number {
    return this.sent
      .slice(since)
      .filter((each) => each.path === path)
      .reduce((total, { from, to }) => total + to - from, 0);
  }

  #note(server: Seen['server'], request: IncomingMessage): void {
    const { method = '', url = '', headers } = request;
    this.seen.push({ server, method, url, range: headers.range, authorization: headers.authorization });
  }

  #answer(request: IncomingMessage, response: ServerResponse): unknown {
    this.#note('hub', request);
    const url = new URL(request.url ?? '/', this.endpoint);
    const end = (status: number, headers: Record<string, string | number> = {}): unknown =>
      response.writeHead(status, headers).end();
    const json: Json = (value, headers = {}) =>
      response.writeHead(200, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(value));
    if (url.pathname === '/api/models') return this.#search(url, json);
    const api = /^\/api\/models\/([^/]+\/[^/]+)\/(revision|tree)\/([^/]+)$/.exec(url.pathname);
    const file = /^\/([^/]+\/[^/]+)\/resolve\/([^/]+)\/(.+)$/.exec(url.pathname);
    const model = this.#models.get(api?.[1] ?? file?.[1] ?? '');
    if (model === undefined) return end(401, { 'x-error-code': 'RepoNotFound' });
    const fault = api === null ? undefined : this.#apiFaults.shift();
    if (fault?.kind === 'status') return end(fault.status, { ...fault.headers });
    if (api !== null) {
      const revision = decodeURIComponent(api[3]!);
      const isKnown = revision === 'main' || revision === model.commit;
      if (!isKnown) return end(404, { 'x-error-code': 'RevisionNotFound' });
      return api[2] === 'revision' ? json({ sha: model.commit }) : this.#tree(model, url, json);
    }
    if (file === null) return end(404);
    const { authorization } = request.headers;
    if (model.token !== undefined && authorization !== `Bearer ${model.token}`) {
      return end(authorization === undefined ? 401 : 403, { 'x-error-code': 'GatedRepo' });
    }
    const bytes = model.files.get(decodeURIComponent(file[3]!));
    if (bytes === undefined || file[2] !== model.commit) return end(404, { 'x-error-code': 'EntryNotFound' });
    if (bytes.length <= SMALL_BYTES) return this.#serve(request, response, true);
    const cdn = (this.#cdn.address() as AddressInfo).port;
    return end(302, { location: `http://127.0.0.1:${cdn}${request.url}`, 'x-linked-size': bytes.length });
  }

  #search(url: URL, json: Json): unknown {
    const words = (url.searchParams.get('search') ?? '').toLowerCase();
    return json(
      [...this.#models]
        .filter(([name]) => name.toLowerCase().includes(words))
        .map(([id, { token }]) => ({
          id,
          downloads: 7,
          likes: 3,
          gated: token === undefined ? false : 'auto',
        })),
    );
  }

  #tree(model: Model, url: URL, json: Json): unknown {
    const from = Number(url.searchParams.get('cursor') ?? 0);
    const all = [...model.files].map(([path, bytes]) => {
      const blob = createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex');
      const isSmall = bytes.length <= SMALL_BYTES;
      return {
        type: 'file',
        path,
        size: bytes.length,
        oid: blob,
        ...(isSmall ? {} : { lfs: { oid: sha256(bytes), size: bytes.length, pointerSize: 130 } }),
      };
    });
    const next = new URL(url);
    next.searchParams.set('cursor', String(from + PAGE_FILES));
    const hasMore = from + PAGE_FILES < all.length;
    return json(
      [
        ...(from === 0 ? [{ type: 'directory', path: 'original', oid: 'x', size: 0 }] : []),
        ...all.slice(from, from + PAGE_FILES),
      ],
      hasMore ? { link: `<${next.href}>; rel="next"` } : {},
    );
  }

  /** The bytes of a file. */
  #serve(request: IncomingMessage, response: ServerResponse, isHub = false): unknown {
    if (!isHub) this.#note('cdn', request);
    const [, repository = '', path = ''] =
      /^\/([^/]+\/[^/]+)\/resolve\/[^/]+\/(.+)$/.exec(decodeURIComponent(request.url ?? '')) ?? [];
    const bytes = this.#models.get(repository)?.files.get(path);
    if (bytes === undefined) return response.writeHead(404).end();
    const fault = this.#faults.get(path)?.shift();
    if (fault?.kind === 'status') return response.writeHead(fault.status, fault.headers ?? {}).end();
    if (isHub && this.packsSmall) {
      this.sent.push({ path, from: 0, to: bytes.length });
      return response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync(bytes));
    }
    const range = this.takesRanges ? /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') : null;
    const from = range === null ? 0 : Number(range[1]);
    const to = range === null ? bytes.length : Math.min(Number(range[2]) + 1, bytes.length);
    response.writeHead(range === null ? 200 : 206, {
      'content-length': to - from,
      ...(range === null ? {} : { 'content-range': `bytes ${from}-${to - 1}/${bytes.length}` }),
    });
    return this.#send(response, path, bytes, from, to, fault).catch(() => response.destroy());
  }

  async #send(
    response: ServerResponse,
    path: string,
    bytes: Buffer,
    from: number,
    to: number,
    fault: Fault | undefined,
  ): Promise<void> {
    const sent: Sent = { path, from, to: from };
    this.sent.push(sent);
    this.unfinished.add(response);
    response.once('close', () => this.unfinished.delete(response));
    const end = fault?.kind === 'cut' || fault?.kind === 'stall' ? Math.min(to, from + fault.afterBytes) : to;
    while (sent.to < end && !response.destroyed) {
      await this.onPiece(sent);
      const until = Math.min(end, sent.to + PIECE_BYTES);
      const piece = Buffer.from(bytes.subarray(sent.to, until));
      if (fault?.kind === 'corrupt' && sent.to === from) piece[0] = piece[0]! ^ 0xff;
      if (response.destroyed) return;
      sent.to = until;
      const isTaken = response.write(piece);
      if (!isTaken) {
        // Whichever comes; neither listener stays.
        const waiting = new AbortController();
        const options = { signal: waiting.signal };
        await Promise.race([once(response, 'drain', options), once(response, 'close', options)]).catch(
          () => undefined,
        );
        waiting.abort();
      }
    }
    if (fault?.kind === 'cut') response.destroy();
    else if (fault?.kind !== 'stall') response.end();
  }
}

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}
