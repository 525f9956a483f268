/**
 * A small state that a node and the commands of its owner share through a file: read whole, changed under a lock, written in one
 * step, looked at every second while a node runs. Without a file it lives in memory (simulation, tests). What the state is:
 * `mesh-keys.ts`, `trust-store.ts`.
 */
import { statSync } from 'node:fs';
import {
  type Clock,
  LIMITS,
  type Logger,
  type Random,
  type Startable,
  type TimerHandle,
} from '../shared/index.js';
import { withFileLock } from './file-lock.js';
import { readPrivateFile, unusable, writePrivateFile } from './private-file.js';

/** What is kept, and how it is written. */
export interface KeptStateOptions<T> {
  /** Null: in memory. */
  readonly file: string | null;
  readonly empty: T;
  /** Throws for a text that it did not print; the message must not show secrets. */
  parse(text: string): T;
  print(value: T): string;
}

/** What a state works with. */
export interface KeptStateComponents {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

/** The state; `value` is what was read or written last. Immutable values only. */
export class KeptState<T> implements Startable {
  readonly #options: KeptStateOptions<T>;
  readonly #components: KeptStateComponents;
  readonly #listeners = new Set<() => void>();
  #value: T;
  #signature = '';
  /** Of a version that could not be read, so that it is logged once. */
  #refused = '';
  #changes: Promise<unknown> = Promise.resolve();
  #timer: TimerHandle | undefined;

  /** Reads the file. Throws `trust-file-invalid`. */
  constructor(options: KeptStateOptions<T>, components: KeptStateComponents) {
    this.#options = options;
    this.#components = components;
    this.#value = options.empty;
    this.#read();
  }

  get value(): T {
    return this.#value;
  }

  /** Where it is kept, for messages. */
  get name(): string {
    return this.#options.file ?? 'memory';
  }

  /**
   * Changes the newest state: `edit` gets what the file holds now, and is called once. Where it returns the same value nothing is
   * written. Throws what `edit` throws, `trust-file-invalid`, `state-unwritable` or `overloaded`; then nothing has changed.
   */
  change<R>(edit: (value: T) => { readonly value: T; readonly result: R }): Promise<R> {
    const { file, print } = this.#options;
    const work = (): R => {
      const before = this.#value;
      this.#read();
      const { value, result } = edit(this.#value);
      if (value !== this.#value) {
        if (file !== null) writePrivateFile(file, print(value));
        this.#value = value;
        this.#signature = this.#look();
      }
      if (this.#value !== before) this.#tell();
      return result;
    };
    const done = this.#changes.then(() =>
      file === null ? work() : withFileLock(file, work, this.#components),
    );
    this.#changes = done.catch(() => undefined);
    return done;
  }

  /** Calls `listener` after every change, also one of another process (while started). Returns the unsubscribe function. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Begins to look whether another process changed the file. */
  start(): Promise<void> {
    this.#timer ??= this.#components.clock.every(LIMITS.trustPollMs, () => this.reload());
    return Promise.resolve();
  }

  /** Resolves when the last change is written. */
  async stop(): Promise<void> {
    this.#timer?.cancel();
    this.#timer = undefined;
    await this.#changes;
  }

  /** Looks now. A file that cannot be used is logged once, and what was known stays. */
  reload(): void {
    const signature = this.#look();
    if (signature === this.#signature || signature === this.#refused) return;
    const before = this.#value;
    try {
      this.#read();
    } catch (error) {
      this.#refused = signature;
      this.#components.log.warn('trust-file-not-reloaded', { error });
      return;
    }
    if (this.#value !== before) this.#tell();
  }

  #read(): void {
    const { file, empty, parse } = this.#options;
    if (file === null) return;
    const signature = this.#look();
    if (signature === this.#signature) return;
    const text = readPrivateFile(file, { bytesMax: LIMITS.trustFileBytesMax });
    let value = empty;
    try {
      if (text !== undefined) value = parse(text);
    } catch (error) {
      throw unusable(
        file,
        `is damaged (${(error as Error).message}); put it back from a backup, or move it away`,
      );
    }
    this.#value = value;
    this.#signature = signature;
  }

  /** Tells one version of the file from the next: every write makes a new file. */
  #look(): string {
    const { file } = this.#options;
    if (file === null) return '';
    try {
      const stats = statSync(file, { bigint: true, throwIfNoEntry: false });
      return stats === undefined ? 'none' : `${stats.ino}:${stats.mtimeNs}:${stats.ctimeNs}:${stats.size}`;
    } catch {
      // Reading it will say why.
      return 'unreadable';
    }
  }

  #tell(): void {
    for (const listener of [...this.#listeners]) listener();
  }
}
