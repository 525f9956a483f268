/**
 * The far side of `exo connect`: does what the near side asks for, one request after the other, and remembers how to undo
 * it. When the near side goes without having said that it is to stay (an error, Ctrl-C, a cut line), it is undone here.
 */
import { peerAsWritten, readPeersFile, withoutPeer, withPeer } from '../../discovery/index.js';
import { exoHome } from '../../node/home/index.js';
import { ExoError, formatAddress } from '../../shared/index.js';
import type { CliHost } from '../host.js';
import { runningNodes } from '../target.js';
import { version } from '../version.js';
import { startBackgroundNode } from './background-node.js';
import { FAR_SCHEMA, type FarAnswer, type FarOperation, type FarRequest } from './far-protocol.js';
import { fingerprintOf, introduceTo, partFrom, partHere } from './introduce.js';
import { describe, findNode, type LocalNode, quitNode, reloadPeers, waitForIds } from './local-node.js';
import { loopbackPort, portsOf } from './peer-entries.js';
import { editPeersFile, readPeersText, restorePeersFile } from './peers-file-store.js';
import { freePortFrom } from './ports.js';
import { forgetStarted, wasStarted } from './started-nodes.js';
import { Undo } from './undo.js';

/** One session. */
export class FarSession {
  readonly #host: CliHost;
  readonly #signal: AbortSignal;
  readonly #undo = new Undo();

  /** @param signal aborted when the near side is gone */
  constructor(host: CliHost, signal: AbortSignal) {
    this.#host = host;
    this.#signal = signal;
  }

  /** Does one thing. Rejects with what went wrong. */
  async handle(op: FarOperation, body: unknown): Promise<FarAnswer<FarOperation>> {
    switch (op) {
      case 'hello':
        return this.#hello();
      case 'node':
        return this.#node(body as FarRequest<'node'>);
      case 'enter':
        return this.#enter(body as FarRequest<'enter'>);
      case 'trust':
        return this.#trust(body as FarRequest<'trust'>);
      case 'wait':
        return this.#wait(body as FarRequest<'wait'>);
      case 'commit':
        this.#undo.keep();
        return {};
      case 'leave':
        return this.#leave(body as FarRequest<'leave'>);
    }
  }

  /** Undoes what was not committed. */
  async end(): Promise<void> {
    await this.#undo.run();
  }

  #hello(): FarAnswer<'hello'> {
    const { env } = this.#host;
    return {
      schema: FAR_SCHEMA,
      version: version(),
      node: process.version,
      home: exoHome(env),
      running: runningNodes(env).map(({ id }) => id),
    };
  }

  async #node({ node: name }: FarRequest<'node'>): Promise<FarAnswer<'node'>> {
    const found = await findNode(this.#host, name);
    if (found !== undefined) return toAnswer(found, null);
    const started = await startBackgroundNode(this.#host, this.#signal);
    this.#undo.push(`the node ${started.node.id}`, () => started.undo());
    return toAnswer(started.node, started.log);
  }

  async #enter(request: FarRequest<'enter'>): Promise<FarAnswer<'enter'>> {
    const node = await this.#running(request.node);
    const file = node.peersFile;
    if (file === null) throw new ExoError('option-missing', `the node ${node.id} reads no peers file`);
    const avoid = new Set([...request.avoid, node.nodePort, node.api.port]);
    const before = peerAsWritten(readPeersText(file), file, request.peer) ?? null;
    const kept = before === null ? undefined : loopbackPort(before);
    if (before !== null && (kept === undefined || 'tunnel' in before)) {
      const note = `${file} names ${request.peer} already, at ${String(before['address'])}; that stays as it is`;
      return { port: null, before, changed: false, note };
    }
    if (kept !== undefined && !avoid.has(kept)) return { port: kept, before, changed: false, note: null };
    for (const port of portsOf(await readPeersFile(file))) avoid.add(port);
    const port = await freePortFrom(request.prefer, avoid);
    const address = formatAddress({ host: '127.0.0.1', port });
    const edited = editPeersFile(file, (text, name) => withPeer(text, name, request.peer, { address }));
    this.#undo.push(`the entry ${request.peer} in ${file}`, async () => {
      restorePeersFile(file, edited, (text, name) => withoutOurs(text, name, request.peer, before));
      await reloadPeers(this.#host, node).catch(() => undefined);
    });
    await reloadPeers(this.#host, node);
    return { port, before, changed: true, note: null };
  }

  async #trust({ node, peer, fingerprint }: FarRequest<'trust'>): Promise<FarAnswer<'trust'>> {
    const { clock } = this.#host;
    const { api } = await this.#running(node);
    const added = await introduceTo(clock, api, { id: peer, fingerprint });
    if (added) this.#undo.push(`the key of ${peer}`, () => partFrom(clock, api, peer));
    return { fingerprint: await fingerprintOf(clock, api), added };
  }

  async #wait({ node, ids, timeoutMs }: FarRequest<'wait'>): Promise<FarAnswer<'wait'>> {
    const running = await this.#running(node);
    return { missing: await waitForIds(this.#host, running, ids, timeoutMs, this.#signal) };
  }

  async #leave(request: FarRequest<'leave'>): Promise<FarAnswer<'leave'>> {
    const { env } = this.#host;
    const file = request.peersFile;
    if (request.distrust) await partHere(this.#host, request.node, request.peer);
    let removed = false;
    if (file !== null) {
      const { before, after } = editPeersFile(file, (text, name) =>
        withoutOurs(text, name, request.peer, request.before),
      );
      removed = before !== after;
    }
    const reader = runningNodes(env).find(({ peersFile }) => file !== null && peersFile === file);
    if (reader === undefined) return { removed, stopped: null, kept: null };
    const node = await describe(this.#host, reader);
    await reloadPeers(this.#host, node);
    if (!request.stop || !wasStarted(exoHome(env), reader.instance))
      return { removed, stopped: null, kept: null };
    const others = (await readPeersFile(file!)).peers.map(({ id }) => id).filter((id) => id !== node.id);
    if (others.length > 0) {
      return {
        removed,
        stopped: null,
        kept: `${node.id} still has the peers ${others.slice(0, 8).join(', ')}`,
      };
    }
    await quitNode(this.#host, reader);
    forgetStarted(exoHome(env), reader.instance);
    return { removed, stopped: node.id, kept: null };
  }

  async #running(id: string): Promise<LocalNode> {
    const node = await findNode(this.#host, id);
    if (node === undefined) throw new ExoError('api-unreachable', `the node ${id} does not run any more`);
    return node;
  }
}

/** The file as it would be without us: the entry gone, or with the address that it had before. */
function withoutOurs(
  text: string,
  file: string,
  peer: string,
  before: Readonly<Record<string, unknown>> | null,
): string {
  if (before === null) return withoutPeer(text, file, peer);
  const address = before['address'];
  if (typeof address !== 'string' || peerAsWritten(text, file, peer) === undefined) return text;
  return withPeer(text, file, peer, { address });
}

function toAnswer(node: LocalNode, log: string | null): FarAnswer<'node'> {
  return {
    id: node.id,
    instance: node.run.instance,
    nodeHost: node.nodeHost,
    nodePort: node.nodePort,
    apiPort: node.api.port,
    peersFile: node.peersFile,
    started: log !== null,
    log,
  };
}
