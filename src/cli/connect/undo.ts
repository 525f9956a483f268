/** What has to be undone when a later step fails: in reverse order, every part of it, each named where it fails. */
import { toExoError } from '../../shared/index.js';

interface Undoing {
  readonly what: string;
  run(): unknown;
}

/** A stack of things to undo. */
export class Undo {
  readonly #steps: Undoing[] = [];
  readonly #stays: string[] = [];

  /** @param what what remains if undoing fails: "the entry mac2 in /home/me/peers.json" */
  push(what: string, run: () => unknown): void {
    this.#steps.push({ what, run });
  }

  /** Something that is not undone, and is named in the end. */
  stays(what: string): void {
    this.#stays.push(what);
  }

  /** Everything stays as it is now. */
  keep(): void {
    this.#steps.splice(0);
    this.#stays.splice(0);
  }

  /** Undoes everything; never rejects. Resolves with what remains, in words. */
  async run(): Promise<string[]> {
    const remains = this.#stays.splice(0);
    for (const { what, run } of this.#steps.splice(0).reverse()) {
      try {
        await run();
      } catch (error) {
        remains.push(`${what} (${toExoError(error).message})`);
      }
    }
    return remains;
  }
}
