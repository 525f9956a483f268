/**
 * The mesh keys of this account: a file that all its nodes and commands share, and the one that `EXO_AUTH_TOKEN` or
 * `--auth-token-file` gives to this process. Who asks: the authenticator (which keys count), `exo key` (new, join, rotate, forget).
 *
 * A given token wins over a file of another mesh, which is then left alone. Once the mesh has changed its key, the file holds the
 * given one with an end beside the newer one.
 */
import {
  type Clock,
  ExoError,
  LIMITS,
  type Logger,
  type Random,
  type Startable,
  type TimerHandle,
} from '../shared/index.js';
import type { KeyUpdate } from './handshake.js';
import { KeptState } from './kept-state.js';
import { type MeshKey, newMeshKey, parseToken } from './mesh-key.js';
import {
  fromUpdate,
  keepNewest,
  type MeshKeyList,
  mergeKeys,
  parseKeys,
  printKeys,
  sameKeys,
  toUpdate,
  validKeys,
} from './mesh-key-list.js';
import { readPrivateFile } from './private-file.js';

/** Where keys come from. */
export interface MeshKeysOptions {
  /** `$EXO_HOME/mesh-keys.json`; null: in memory. */
  readonly file: string | null;
  /** `EXO_AUTH_TOKEN`. Empty counts as not set. */
  readonly environmentToken?: string | undefined;
  /** `--auth-token-file`; wins over the environment. */
  readonly tokenFile?: string | undefined;
}

/** What they work with. */
export interface MeshKeysComponents {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

/** An end is looked for at least this often: timers of weeks do not exist. */
const LOOK_MS_MAX = 60 * 60 * 1000;

/** Reads the keys. Throws `trust-file-invalid` or `option-invalid`; no message shows a secret. */
export async function openMeshKeys(
  options: MeshKeysOptions,
  components: MeshKeysComponents,
): Promise<MeshKeys> {
  return new MeshKeys(options.file, await givenKey(options), components);
}

/** The keys; see the head of the file. */
export class MeshKeys implements Startable {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #state: KeptState<MeshKeyList>;
  readonly #given: MeshKey | undefined;
  /** Successors of a given key, where the file belongs to another mesh. */
  #beside: MeshKeyList = [];
  /** Ends of keys that were known before they came; at most `meshKeysMax`, as the list. */
  #announced: ReadonlyMap<string, number> = new Map();
  readonly #listeners = new Set<() => void>();
  #told: MeshKeyList;
  #timer: TimerHandle | undefined;
  #unsubscribe: (() => void) | undefined;

  constructor(file: string | null, given: MeshKey | undefined, components: MeshKeysComponents) {
    this.#clock = components.clock;
    this.#random = components.random;
    this.#given = given;
    this.#state = new KeptState<MeshKeyList>(
      { file, empty: [], parse: parseKeys, print: printKeys },
      components,
    );
    if (this.#isOfOtherMesh(this.#state.value)) {
      components.log.warn('mesh-key-file-not-used', {
        file: this.#state.name,
        why: 'EXO_AUTH_TOKEN or --auth-token-file names the key of another mesh',
      });
    }
    this.#told = this.valid;
    this.#announced = this.#announcedWith(this.#told);
  }

  /** Those that are accepted now, newest first. */
  get valid(): MeshKeyList {
    return validKeys(this.all, this.#clock.wall());
  }

  /** Id of the one that EXO_AUTH_TOKEN or --auth-token-file gave, also after the mesh has changed its key. */
  get givenId(): string | undefined {
    return this.#given?.id;
  }

  /** The one to use; undefined: no mesh key is set. */
  get current(): MeshKey | undefined {
    return this.valid[0];
  }

  /** Also those that have ended. */
  get all(): MeshKeyList {
    return this.#all(this.#state.value);
  }

  /** Whether it is accepted now. */
  isValid(key: MeshKey): boolean {
    return validKeys([key], this.#clock.wall()).length > 0;
  }

  /**
   * Whether a key has ended at the time that was known while it was still accepted: then connections that it has proven may stay.
   * One that was ended at once is one that somebody must not have.
   */
  hasEndedAsAnnounced({ id, untilMs }: MeshKey): boolean {
    return untilMs !== undefined && this.#announced.get(id) === untilMs;
  }

  /** Makes the first key of a mesh. Throws `option-conflict` where there is one. */
  async create(): Promise<MeshKey> {
    const key = newMeshKey(this.#random, this.#clock.wall());
    await this.#change((keys) => {
      const current = this.#valid(keys)[0];
      if (current === undefined) return keepNewest(mergeKeys(keys, [key]), undefined);
      throw new ExoError(
        'option-conflict',
        `this machine has the mesh key ${current.id} already; exo key show prints it, exo key rotate replaces it`,
      );
    });
    return key;
  }

  /**
   * Takes a key that was made on another machine: `exo1-…` or a token in words. Throws `option-invalid`, or `option-conflict` where
   * this machine has one of another mesh and it is not to be replaced.
   */
  async join(text: string, options: { readonly replace?: boolean } = {}): Promise<MeshKey> {
    const key = await parseToken(text, 'the mesh key');
    await this.#change((keys) => {
      const valid = this.#valid(keys);
      if (valid.some(({ id }) => id === key.id)) return keys;
      if (valid.length === 0 || options.replace === true) return [key];
      throw new ExoError(
        'option-conflict',
        `this machine has the mesh key ${valid[0]!.id}; exo key join --replace puts ${key.id} in its place`,
      );
    });
    return key;
  }

  /**
   * Makes a new key in the place of the current one, which is accepted for `graceMs` more. Connected nodes are told; whoever was
   * away longer must join again. Throws `mesh-key-unknown` where there is none.
   */
  async rotate(graceMs: number = LIMITS.meshKeyGraceMs): Promise<MeshKey> {
    let next: MeshKey | undefined;
    await this.#change((keys) => {
      const nowMs = this.#clock.wall();
      const valid = this.#valid(keys);
      if (valid.length === 0) {
        throw new ExoError('mesh-key-unknown', 'this machine has no mesh key; exo key new makes one');
      }
      // Newer than the newest, also where that was made on a machine whose clock is ahead.
      next = newMeshKey(this.#random, Math.max(nowMs, valid[0]!.createdAtMs + 1));
      const ending = valid.map((key) => ({
        ...key,
        untilMs: Math.min(key.untilMs ?? Infinity, nowMs + graceMs),
      }));
      return keepNewest(mergeKeys(mergeKeys(this.#all(keys), ending), [next]), this.#given?.id);
    });
    return next!;
  }

  /** Removes a key from this machine only. Throws `mesh-key-unknown`, or `option-conflict` for a given one. */
  async forget(id: string): Promise<void> {
    await this.#change((keys) => {
      if (id === this.#given?.id) {
        throw new ExoError(
          'option-conflict',
          `the mesh key ${id} comes from EXO_AUTH_TOKEN or --auth-token-file; unset that`,
        );
      }
      const rest = keys.filter((key) => key.id !== id);
      if (rest.length < keys.length) return rest;
      throw new ExoError(
        'mesh-key-unknown',
        `this machine has no mesh key of that id; exo key show lists them`,
      );
    });
  }

  /** Keys that a trusted node brought. Whether anything was new. Throws `auth-failed` when they make no sense here. */
  async take(update: KeyUpdate): Promise<boolean> {
    const theirs = fromUpdate(update, this.#clock.wall());
    return this.#change((keys) => {
      const mine = this.#all(keys);
      if (mine.length > 0 && !theirs.some(({ secret }) => mine.some((key) => key.secret.equals(secret)))) {
        throw new ExoError('auth-failed', 'the other node sent keys of another mesh; they are not taken');
      }
      const merged = keepNewest(mergeKeys(mine, theirs), this.#given?.id);
      if (validKeys(merged, this.#clock.wall()).length === 0) {
        throw new ExoError('auth-failed', 'the other node sent mesh keys that have all ended');
      }
      return sameKeys(merged, mine) ? keys : merged;
    });
  }

  /** The valid keys, to be handed to a trusted node. */
  toUpdate(): KeyUpdate {
    return toUpdate(this.valid);
  }

  /** Calls `listener` when other keys are accepted than before. Returns the unsubscribe function. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Begins to look for changes by other processes and for keys that end. */
  async start(): Promise<void> {
    this.#unsubscribe ??= this.#state.onChange(() => this.#look());
    await this.#state.start();
    this.#look();
  }

  async stop(): Promise<void> {
    this.#unsubscribe?.();
    this.#unsubscribe = undefined;
    this.#timer?.cancel();
    this.#timer = undefined;
    await this.#state.stop();
  }

  /** What the file and the given key make together. */
  #all(kept: MeshKeyList): MeshKeyList {
    if (this.#given === undefined) return kept;
    return mergeKeys(this.#isOfOtherMesh(kept) ? this.#beside : kept, [this.#given]);
  }

  #valid(kept: MeshKeyList): MeshKeyList {
    return validKeys(this.#all(kept), this.#clock.wall());
  }

  #isOfOtherMesh(kept: MeshKeyList): boolean {
    return this.#given !== undefined && kept.length > 0 && !kept.some(({ id }) => id === this.#given?.id);
  }

  /** Writes what `edit` makes of the kept keys; returns whether that is anything else. */
  async #change(edit: (kept: MeshKeyList) => MeshKeyList): Promise<boolean> {
    const changed = await this.#state.change((kept) => {
      const value = edit(kept);
      if (value === kept) return { value: kept, result: false };
      // The file of another mesh is not written over: what follows the given key lives as long as the process.
      if (this.#isOfOtherMesh(kept) && value.some(({ id }) => id === this.#given?.id)) {
        this.#beside = value;
        return { value: kept, result: true };
      }
      return { value, result: true };
    });
    this.#look();
    return changed;
  }

  #announcedWith(valid: MeshKeyList): ReadonlyMap<string, number> {
    const announced = new Map<string, number>();
    for (const { id, untilMs } of this.all) {
      const isRunning = valid.some((key) => key.id === id);
      if (untilMs !== undefined && (isRunning || this.#announced.get(id) === untilMs))
        announced.set(id, untilMs);
    }
    return announced;
  }

  /** Tells when other keys count than before, and looks again when the next one ends. */
  #look(): void {
    const valid = this.valid;
    this.#announced = this.#announcedWith(valid);
    if (this.#unsubscribe !== undefined) {
      this.#timer?.cancel();
      const nowMs = this.#clock.wall();
      const nextMs = Math.min(...valid.map(({ untilMs }) => (untilMs ?? Infinity) - nowMs), LOOK_MS_MAX);
      this.#timer = this.#clock.after(Math.max(1, Math.ceil(nextMs)), () => this.#look());
    }
    if (sameKeys(valid, this.#told)) return;
    this.#told = valid;
    for (const listener of [...this.#listeners]) listener();
  }
}

async function givenKey(options: MeshKeysOptions): Promise<MeshKey | undefined> {
  const { environmentToken, tokenFile } = options;
  if (tokenFile !== undefined) {
    const text = readPrivateFile(tokenFile, { bytesMax: LIMITS.tokenFileBytesMax, mayBeRoots: true });
    if (text === undefined)
      throw new ExoError('option-invalid', `--auth-token-file ${tokenFile}: there is no such file`);
    return parseToken(text, tokenFile);
  }
  if (environmentToken === undefined || environmentToken.trim() === '') return undefined;
  return parseToken(environmentToken, 'EXO_AUTH_TOKEN');
}
