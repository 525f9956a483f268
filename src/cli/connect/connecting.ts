/**
 * The work of `exo connect` as steps in order: near node, ssh, exo there, far node, ports and entries, tunnel, topologies.
 * Holds what was done so far and how to undo it; `connect.ts` decides which of the two it is.
 */
import { toExoError } from '../../shared/index.js';
import { HintedError } from '../errors.js';
import type { CliHost } from '../host.js';
import type { ApiTarget } from '../target.js';
import { TunnelClient } from '../tunnel/client.js';
import { backgroundPeersFile, startBackgroundNode } from './background-node.js';
import type { ConnectOptions } from './connect-options.js';
import { type ConnectionRecord, confirmRecord, listRecords } from './connection-record.js';
import { describeProgram, type FoundProgram, findFarProgram } from './far-program.js';
import type { FarNode } from './far-protocol.js';
import { Joining } from './joining.js';
import { waitForIds } from './local-node.js';
import { type NearEntry, saysNearEntry } from './near-entry.js';
import { findNearNode, type NearNode, requirePeersFile, requireTwoNodes } from './near-node.js';
import { type Login, openShell } from './open-shell.js';
import type { Steps } from './steps.js';
import { Undo } from './undo.js';
import { look } from './wait-tunnel.js';

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

const LISTED_WITHIN_MS = 30_000;
/** The far side only forgets how to undo. */
const COMMIT_WITHIN_MS = 10_000;

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
  #decided = false;

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
    const { options, home, signal } = this.#o;
    await this.#lookNear();
    const already = await this.#alreadyConnected();
    if (already !== undefined) return already;
    await this.#logIn();
    await this.#findProgram();
    const far = await this.#farNode();
    const near = await this.#startNear(far);
    const joining = new Joining(
      { near, nearStarted: this.#nearStarted, far, words: options.words, home, signal },
      {
        host: this.#host,
        steps: this.#steps,
        undo: this.#undo,
        found: this.#found!,
        note: (text) => this.#note(text),
      },
    );
    const entry = await joining.run();
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

  /** It is to stay: nothing is undone any more. */
  get decided(): boolean {
    return this.#decided;
  }

  /**
   * What was done is to stay, on both sides. Decided here, before the far side is told: whatever becomes of the answer, the
   * note of the connection stands, by which `exo disconnect` finds what there is.
   */
  async keep(farId: string): Promise<void> {
    this.#o.signal.throwIfAborted();
    this.#decided = true;
    this.#undo.keep();
    if (this.#found === undefined) return;
    try {
      await this.#found.client.ask('commit', {}, new AbortController().signal, COMMIT_WITHIN_MS);
    } catch (error) {
      const { code, message } = toExoError(error);
      throw new HintedError(
        code,
        `${farId} has not confirmed that it keeps its part (${message}); the part here stands`,
        `exo disconnect ${farId} undoes what there is of it; then run this again`,
      );
    }
    try {
      confirmRecord(this.#o.home, farId);
    } catch (error) {
      this.#note(`${toExoError(error).message}: the next exo connect looks at all of it again`);
    }
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

  #note(text: string): void {
    if (!this.#notes.includes(text)) this.#notes.push(text);
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
      ({ confirmed, near: at, ssh }) =>
        confirmed && at.peersFile === near?.peersFile && sameWords(ssh, options.words),
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
      if (hostKeyAdded) this.#note(`the host key ${hostKey ?? ''} is now in known_hosts`);
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
        this.#undo.stays(
          `the build that was sent: ${found.program.words[0]} (complete, used by the next try)`,
        );
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
