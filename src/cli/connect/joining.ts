/**
 * The part of `exo connect` that changes things: ports on both sides, an entry in both peers files, the tunnel; again with
 * other ports where one turns out to be taken. What was done is remembered before it is done, and each change has its way
 * back in the caller's `Undo`.
 */
import { ExoError } from '../../shared/index.js';
import type { TunnelJson } from '../api-shapes.js';
import { roundTrip } from '../format/units.js';
import type { CliHost } from '../host.js';
import { type ConnectionRecord, listRecords, removeRecord, saveRecord } from './connection-record.js';
import type { FoundProgram } from './far-program.js';
import type { FarAnswer, FarNode } from './far-protocol.js';
import { fingerprintOf, introduceTo, partFrom } from './introduce.js';
import { reloadPeers } from './local-node.js';
import { choosePort, entryBefore, forwardsOf, type NearEntry, writeNearEntry } from './near-entry.js';
import type { NearNode } from './near-node.js';
import type { WrittenEntry } from './peer-entries.js';
import type { SshWords } from './ssh-words.js';
import type { Steps } from './steps.js';
import type { Undo } from './undo.js';
import { waitForTunnel } from './wait-tunnel.js';

/** Both ends and what is known of them. */
export interface JoiningOptions {
  readonly near: NearNode;
  readonly nearStarted: boolean;
  readonly far: FarNode;
  readonly words: SshWords;
  /** Of the near side. */
  readonly home: string;
  readonly signal: AbortSignal;
}

/** Collaborators of the caller. */
export interface JoiningComponents {
  readonly host: CliHost;
  readonly steps: Steps;
  readonly undo: Undo;
  readonly found: FoundProgram;
  /** Something worth telling, and no fault. */
  note(text: string): void;
}

/** The seed's own number for the far end of `-R`. */
const REVERSE_PORT = 50_060;
/** Ports that turn out to be taken are replaced this often. */
const PORT_TRIES = 4;

/** One joining. */
export class Joining {
  readonly #o: JoiningOptions;
  readonly #c: JoiningComponents;

  constructor(options: JoiningOptions, components: JoiningComponents) {
    this.#o = options;
    this.#c = components;
  }

  /** Resolves when the tunnel is proven. */
  async run(): Promise<NearEntry> {
    const { near, far, words, signal } = this.#o;
    await this.#introduce();
    const taken = { near: new Set<number>(), far: new Set<number>() };
    const before = entryBefore(near, far.id, words);
    let farBefore: WrittenEntry | null | undefined;
    for (let attempt = 1; ; attempt += 1) {
      const entered = await this.#enterThere(taken.far);
      if (farBefore === undefined) farBefore = entered.before;
      const entry = await this.#enterHere(before, farBefore, entered.port, taken.near);
      const outcome = await this.#c.steps.run('tunnel', async (tell) => {
        const value = await waitForTunnel(this.#c.host, near, far.id, signal, tell);
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

  /** Before the entries, so that the first connection between the two is encrypted already. */
  async #introduce(): Promise<void> {
    const { near, far, signal } = this.#o;
    const { host, undo } = this.#c;
    await this.#c.steps.run('trust', async () => {
      const fingerprint = await fingerprintOf(host.clock, near.api);
      const request = { node: far.id, peer: near.id, fingerprint };
      const there = await this.#c.found.client.ask('trust', request, signal);
      const other = { id: far.id, fingerprint: there.fingerprint };
      const here = await introduceTo(host.clock, near.api, other);
      if (here) undo.push(`the key of ${far.id}`, () => partFrom(host.clock, near.api, far.id));
      this.#trust = { here, there: there.added };
      const isNew = here || there.added;
      const what = `${near.id} and ${far.id} know each other’s keys${isNew ? '' : ' (as before)'}, encrypted from now on`;
      return { value: undefined, what };
    });
  }
  #trust = { here: false, there: false };

  async #enterThere(
    avoid: ReadonlySet<number>,
  ): Promise<{ readonly port: number | null; readonly before: WrittenEntry | null }> {
    const { near, far, signal } = this.#o;
    if (far.peersFile === null) {
      this.#c.note(
        `${far.id} runs without manual discovery and does not dial back; it is reached through -L, which is enough`,
      );
      return { port: null, before: null };
    }
    return this.#c.steps.run('entry there', async () => {
      const request = { node: far.id, peer: near.id, prefer: REVERSE_PORT, avoid: [...avoid] };
      const value: FarAnswer<'enter'> = await this.#c.found.client.ask('enter', request, signal);
      if (value.port === null) {
        this.#c.note(value.note ?? '');
        return { value, what: value.note ?? '' };
      }
      const what = `${near.id} at 127.0.0.1:${value.port} in ${far.peersFile}`;
      return { value, what: value.changed ? what : `${what} (as before)` };
    });
  }

  async #enterHere(
    before: WrittenEntry | null,
    farBefore: WrittenEntry | null,
    farPort: number | null,
    avoid: ReadonlySet<number>,
  ): Promise<NearEntry> {
    const { near, far, words } = this.#o;
    const { host, undo } = this.#c;
    return this.#c.steps.run('entry here', async () => {
      const nearPort = await choosePort(near, before, avoid);
      const entry: NearEntry = { far, words, nearPort, farPort };
      // First the record: whatever happens next, it can be undone by name.
      this.#remember(entry, before, farBefore);
      const restore = writeNearEntry(near, entry, before);
      undo.push(`the entry ${far.id} in ${near.peersFile}`, async () => {
        restore();
        await reloadPeers(host, near);
      });
      await reloadPeers(host, near);
      const { forward, reverse } = forwardsOf(near, entry);
      const flags = [...forward.map((each) => `-L ${each}`), ...reverse.map((each) => `-R ${each}`)];
      const what = `${far.id} at 127.0.0.1:${nearPort} in ${near.peersFile}, ${flags.join(' ')}`;
      return { value: entry, what };
    });
  }

  #remember(entry: NearEntry, before: WrittenEntry | null, farBefore: WrittenEntry | null): void {
    const { near, nearStarted, far, home } = this.#o;
    const { program } = this.#c.found;
    const earlier = listRecords(home).find(({ peer }) => peer === far.id);
    const record: ConnectionRecord = {
      version: 1,
      peer: far.id,
      destination: entry.words.ssh,
      ssh: { ...entry.words },
      trust: {
        here: this.#trust.here || earlier?.trust?.here === true,
        there: this.#trust.there || earlier?.trust?.there === true,
      },
      confirmed: false,
      near: {
        node: near.id,
        peersFile: near.peersFile,
        port: entry.nearPort,
        before: earlier === undefined ? before : earlier.near.before,
        started: nearStarted || earlier?.near.started === true,
      },
      far: {
        program: { path: program.path, words: [...program.words] },
        peersFile: far.peersFile,
        port: entry.farPort,
        target: { host: far.nodeHost, port: far.nodePort },
        before: earlier === undefined ? farBefore : earlier.far.before,
        started: far.started || earlier?.far.started === true,
      },
    };
    saveRecord(home, record);
    this.#c.undo.push('the note of this connection', () => {
      if (earlier === undefined) removeRecord(home, far.id);
      else saveRecord(home, earlier);
    });
  }
}

function describeTunnel(tunnel: TunnelJson): string {
  const notes = tunnel.notes.length === 0 ? '' : `; ${tunnel.notes[0]}`;
  return `up, a health check takes ${roundTrip(tunnel.rtt_ms)}${notes}`;
}
