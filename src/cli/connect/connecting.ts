/**
 * The work of `exo connect` as steps in order: near node, ssh, exo there, far node, ports and entries, tunnel, topologies.
 * Holds what was done so far and how to undo it; `connect.ts` decides which of the two it is.
 */
import { ExoError, toExoError } from '../../shared/index.js';
import type { TunnelJson } from '../api-shapes.js';
import { HintedError } from '../errors.js';
import { roundTrip } from '../format/units.js';
import type { CliHost } from '../host.js';
import type { ApiTarget } from '../target.js';
import { TunnelClient } from '../tunnel/client.js';
import { backgroundPeersFile, startBackgroundNode } from './background-node.js';
import type { ConnectOptions } from './connect-options.js';
import { type ConnectionRecord, listRecords, removeRecord, saveRecord } from './connection-record.js';
import { describeProgram, type FoundProgram, findFarProgram } from './far-program.js';
import type { FarAnswer, FarNode } from './far-protocol.js';
import { reloadPeers, waitForIds } from './local-node.js';
import {
  choosePort,
  entryBefore,
  forwardsOf,
  type NearEntry,
  saysNearEntry,
  writeNearEntry,
} from './near-entry.js';
import { findNearNode, type NearNode, requirePeersFile, requireTwoNodes } from './near-node.js';
import { type Login, openShell } from './open-shell.js';
import type { WrittenEntry } from './peer-entries.js';
import type { Steps } from './steps.js';
import { Undo } from './undo.js';
import { look, waitForTunnel } from './wait-tunnel.js';

/** What was asked for, and where this machine keeps its state. */
export interface ConnectingOptions {
  readonly options: ConnectOptions;
  readonly home: string;
  readonly signal: AbortSignal;
}

/** What stands at the end. */
export interface Connected {
  readonly near: NearNode;
  readonly nearStarted: boolean;
  readonly entry: NearEntry;
  readonly far: { readonly id: string; readonly peersFile: string | null; readonly started: boolean };
  /** Everything was there already. */
  readonly already: boolean;
  /** Worth telling, and no fault. */
  readonly notes: readonly string[];
}

/** The seed's own number for the far end of `-R`. */
const REVERSE_PORT = 50_060;
/** Ports that turn out to be taken are replaced this often. */
const PORT_TRIES = 4;
const LISTED_WITHIN_MS = 30_000;

/** One run. */
export class Connecting {
  readonly #o: ConnectingOptions;
  readonly #host: CliHost;
  readonly #steps: Steps;
  readonly #undo = new Undo();
  readonly #notes: string[] = [];
  #near: NearNode | undefined;
  #nearStarted = false;
  #login: Login | undefined;
  #found: FoundProgram | undefined;

  constructor(options: ConnectingOptions, components: { readonly host: CliHost; readonly steps: Steps }) {
    this.#o = options;
    this.#host = components.host;
    this.#steps = components.steps;
  }

  /** The near node's API; valid after `run`. */
  get nearApi(): ApiTarget {
    return this.#near!.api;
  }

  /** One more step of the caller's. */
  step<T>(name: string, work: () => Promise<{ readonly value: T; readonly what: string }>): Promise<T> {
    return this.#steps.run(name, work);
  }

  /** Does everything. Rejects at the first step that fails; then `undo`. */
  async run(): Promise<Connected> {
    await this.#lookNear();
    const already = await this.#alreadyConnected();
    if (already !== undefined) return already;
    await this.#logIn();
    await this.#findProgram();
    const far = await this.#farNode();
    const near = await this.#startNear(far);
    const entry = await this.#join(near, far);
    await this.#meet(near, far);
    return {
      near,
      nearStarted: this.#nearStarted,
      entry,
      far: { id: far.id, peersFile: far.peersFile, started: far.started },
      already: false,
      notes: this.#notes,
    };
  }

  /** What was done is to stay, on both sides. */
  async keep(): Promise<void> {
    await this.#found?.client.ask('commit', {}, this.#o.signal);
    this.#undo.keep();
  }

  /** Undoes what this run did, here and there. Resolves with what remains, in words. */
  async undo(): Promise<string[]> {
    const remains = await this.#undo.run();
    await this.close();
    return remains;
  }

  /** Ends the session with the far side, which undoes there what was not kept, and the ssh connection. Idempotent. */
  async close(): Promise<void> {
    await this.#found?.client.close();
    await this.#login?.close();
  }

  async #lookNear(): Promise<void> {
    await this.#steps.run('near node', async () => {
      this.#near = await findNearNode(this.#host, this.#o.options.api);
      const what =
        this.#near === undefined
          ? 'none runs here; one will be started'
          : `${this.#near.id}, port ${this.#near.nodePort}, peers in ${this.#near.peersFile}`;
      return { value: undefined, what };
    });
  }

  /** A finished connection of an earlier run that stands: nothing to do. */
  async #alreadyConnected(): Promise<Connected | undefined> {
    const { home, options, signal } = this.#o;
    const near = this.#near;
    const record = listRecords(home).find(
      ({ near: at, ssh }) => at.peersFile === near?.peersFile && sameWords(ssh, options.words),
    );
    if (near === undefined || record === undefined || record.near.node !== near.id) return undefined;
    const tunnel = await look(new TunnelClient(this.#host.clock, near.api), record.peer, signal);
    if (tunnel?.state !== 'up') return undefined;
    const missing = await waitForIds(this.#host, near, [near.id, record.peer], 0, signal);
    if (missing.length > 0) return undefined;
    const entry = entryOf(record, options.words);
    if (!saysNearEntry(near, entry)) return undefined;
    return {
      near,
      nearStarted: record.near.started,
      entry,
      far: { id: record.peer, peersFile: record.far.peersFile, started: record.far.started },
      already: true,
      notes: [],
    };
  }

  async #logIn(): Promise<void> {
    const { options, signal } = this.#o;
    this.#login = await this.#steps.run('ssh', async () => {
      const login = await openShell(this.#host, options.words, options.acceptNewHostKey, signal);
      const { serverVersion, hostKey, hostKeyAdded } = login.facts;
      if (hostKeyAdded) this.#notes.push(`the host key ${hostKey ?? ''} is now in known_hosts`);
      const what = [
        options.words.ssh,
        ...(serverVersion === undefined ? [] : [serverVersion]),
        ...(hostKey === undefined ? [] : [hostKeyAdded ? `new host key ${hostKey}, added` : hostKey]),
      ];
      return { value: login, what: what.join(', ') };
    });
  }

  async #findProgram(): Promise<void> {
    const { options, signal } = this.#o;
    this.#found = await this.#steps.run('exo there', async (tell) => {
      const found = await findFarProgram(
        this.#host,
        this.#login!,
        {
          send: options.send,
          destination: options.words.ssh,
          ...(options.remoteCommand === undefined ? {} : { command: options.remoteCommand }),
        },
        signal,
        tell,
      );
      if (found.sentBytes !== undefined) {
        // Complete, and of use for the next try: it stays whatever comes.
        this.#undo.push(`the build that was sent, in ${found.program.words[0]} (complete)`, () => {
          throw new ExoError('tunnel-failed', 'kept for the next try');
        });
      }
      return { value: found, what: describeProgram(found) };
    });
  }

  async #farNode(): Promise<FarNode> {
    const { options, signal } = this.#o;
    return this.#steps.run('far node', async (tell) => {
      if (this.#found!.hello.running.length === 0) tell('starting it');
      const request = options.remoteNode === undefined ? {} : { node: options.remoteNode };
      const far = await this.#found!.client.ask('node', request, signal).catch((error: unknown) => {
        throw withNodeOption(error);
      });
      if (this.#near !== undefined) requireTwoNodes(this.#near, far);
      const how = far.started ? `started, log ${far.log}` : 'runs already';
      return { value: far, what: `${far.id}, port ${far.nodePort} (${how})` };
    });
  }

  async #startNear(far: FarNode): Promise<NearNode> {
    if (this.#near !== undefined) return this.#near;
    const near = await this.#steps.run('start here', async () => {
      const appeared = await findNearNode(this.#host, undefined);
      if (appeared !== undefined) {
        requireTwoNodes(appeared, far);
        return { value: appeared, what: `${appeared.id} has been started meanwhile` };
      }
      const started = await startBackgroundNode(this.#host, this.#o.signal);
      this.#undo.push(`the node ${started.node.id} here`, () => started.undo());
      this.#nearStarted = true;
      requireTwoNodes(started.node, far);
      const node = requirePeersFile(started.node, backgroundPeersFile(this.#host.env));
      return { value: node, what: `${node.id}, port ${node.nodePort}, log ${started.log}` };
    });
    this.#near = near;
    return near;
  }

  /** Ports, both entries and the tunnel; again with other ports where one turns out to be taken. */
  async #join(near: NearNode, far: FarNode): Promise<NearEntry> {
    const { words } = this.#o.options;
    const taken = { near: new Set<number>(), far: new Set<number>() };
    const before = entryBefore(near, far.id, words);
    let farBefore: WrittenEntry | null | undefined;
    for (let attempt = 1; ; attempt += 1) {
      const entered = await this.#enterThere(near, far, taken.far);
      farBefore = farBefore === undefined ? entered.before : farBefore;
      const entry = await this.#enterHere(near, far, before, farBefore, entered.port, taken.near);
      const outcome = await this.#steps.run('tunnel', async (tell) => {
        const value = await waitForTunnel(this.#host, near, far.id, this.#o.signal, tell);
        const what =
          value.kind === 'up' ? describeTunnel(value.tunnel) : `${value.reason}; another port is taken`;
        return { value, what };
      });
      if (outcome.kind === 'up') return entry;
      if (attempt === PORT_TRIES) throw new ExoError('port-in-use', `tunnel: ${outcome.reason}`);
      if (outcome.side === 'near') taken.near.add(entry.nearPort);
      else if (entry.farPort !== null) taken.far.add(entry.farPort);
    }
  }

  async #enterThere(
    near: NearNode,
    far: FarNode,
    avoid: ReadonlySet<number>,
  ): Promise<{ readonly port: number | null; readonly before: WrittenEntry | null }> {
    if (far.peersFile === null) {
      const note = `${far.id} runs without manual discovery and does not dial back; it is reached through -L, which is enough`;
      if (!this.#notes.includes(note)) this.#notes.push(note);
      return { port: null, before: null };
    }
    return this.#steps.run('entry there', async () => {
      const request = { node: far.id, peer: near.id, prefer: REVERSE_PORT, avoid: [...avoid] };
      const value: FarAnswer<'enter'> = await this.#found!.client.ask('enter', request, this.#o.signal);
      if (value.note !== null) this.#notes.push(value.note);
      const what =
        value.port === null ? value.note! : `${near.id} at 127.0.0.1:${value.port} in ${far.peersFile}`;
      return { value, what: value.changed || value.port === null ? what : `${what} (as before)` };
    });
  }

  async #enterHere(
    near: NearNode,
    far: FarNode,
    before: WrittenEntry | null,
    farBefore: WrittenEntry | null,
    farPort: number | null,
    avoid: ReadonlySet<number>,
  ): Promise<NearEntry> {
    const { home, options } = this.#o;
    return this.#steps.run('entry here', async () => {
      const nearPort = await choosePort(near, before, avoid);
      const entry: NearEntry = { far, words: options.words, nearPort, farPort };
      // First the record: whatever happens next, it can be undone by name.
      this.#remember(home, near, far, entry, before, farBefore);
      const restore = writeNearEntry(near, entry, before);
      this.#undo.push(`the entry ${far.id} in ${near.peersFile}`, async () => {
        restore();
        await reloadPeers(this.#host, near);
      });
      await reloadPeers(this.#host, near);
      const { forward, reverse } = forwardsOf(near, entry);
      const flags = [...forward.map((each) => `-L ${each}`), ...reverse.map((each) => `-R ${each}`)];
      return {
        value: entry,
        what: `${far.id} at 127.0.0.1:${nearPort} in ${near.peersFile}, ${flags.join(' ')}`,
      };
    });
  }

  #remember(
    home: string,
    near: NearNode,
    far: FarNode,
    entry: NearEntry,
    before: WrittenEntry | null,
    farBefore: WrittenEntry | null,
  ): void {
    const earlier = listRecords(home).find(({ peer }) => peer === far.id);
    const record: ConnectionRecord = {
      version: 1,
      peer: far.id,
      destination: entry.words.ssh,
      ssh: { ...entry.words },
      near: {
        node: near.id,
        peersFile: near.peersFile,
        port: entry.nearPort,
        before: earlier === undefined ? before : earlier.near.before,
        started: this.#nearStarted || earlier?.near.started === true,
      },
      far: {
        program: { path: this.#found!.program.path, words: [...this.#found!.program.words] },
        peersFile: far.peersFile,
        port: entry.farPort,
        target: { host: far.nodeHost, port: far.nodePort },
        before: earlier === undefined ? farBefore : earlier.far.before,
        started: far.started || earlier?.far.started === true,
      },
    };
    saveRecord(home, record);
    this.#undo.push('the note of this connection', () => {
      if (earlier === undefined) removeRecord(home, far.id);
      else saveRecord(home, earlier);
    });
  }

  async #meet(near: NearNode, far: FarNode): Promise<void> {
    const ids = [near.id, far.id];
    const { signal } = this.#o;
    await this.#steps.run('topologies', async (tell) => {
      tell('waiting until both list both');
      const there = this.#found!.client.ask(
        'wait',
        { node: far.id, ids, timeoutMs: LISTED_WITHIN_MS },
        signal,
        LISTED_WITHIN_MS + 5_000,
      );
      const [missingHere, { missing }] = await Promise.all([
        waitForIds(this.#host, near, ids, LISTED_WITHIN_MS, signal),
        there,
      ]);
      const blind = [
        ...(missingHere.length === 0 ? [] : [`${near.id} does not list ${missingHere.join(', ')}`]),
        ...(missing.length === 0 ? [] : [`${far.id} does not list ${missing.join(', ')}`]),
      ];
      if (blind.length > 0) {
        throw new HintedError(
          'request-timeout',
          `after ${LISTED_WITHIN_MS / 1000} s ${blind.join(' and ')}`,
          'exo peers --all says why a peer is not used',
        );
      }
      return { value: undefined, what: `both list ${ids.join(' and ')}` };
    });
  }
}

function describeTunnel(tunnel: TunnelJson): string {
  const notes = tunnel.notes.length === 0 ? '' : `; ${tunnel.notes[0]}`;
  return `up, a health check takes ${roundTrip(tunnel.rtt_ms)}${notes}`;
}

function entryOf(record: ConnectionRecord, words: ConnectOptions['words']): NearEntry {
  const { target } = record.far;
  return {
    far: { id: record.peer, nodeHost: target.host, nodePort: target.port },
    words,
    nearPort: record.near.port,
    farPort: record.far.port,
  };
}

function sameWords(kept: Readonly<Record<string, unknown>>, words: ConnectOptions['words']): boolean {
  return JSON.stringify(kept) === JSON.stringify(words);
}

/** Several nodes there: the list is theirs, the option is ours. */
function withNodeOption(thrown: unknown): unknown {
  const error = toExoError(thrown);
  if (error.code !== 'node-ambiguous') return thrown;
  return new HintedError('node-ambiguous', error.message, 'name one of them with --remote-node <id>');
}
