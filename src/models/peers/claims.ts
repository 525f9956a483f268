/**
 * Which ranges of files this node fetches from the hub, so that no two nodes that share fetch the same one. A node asks all
 * others before it begins: whoever has begun refuses, of two that ask at once the one with the smaller id wins, and the other one
 * takes the bytes from it. Pure; `sharing.ts` asks, `file-server.ts` answers.
 */
import { type ByteRange, common, normalized } from '../download/ranges.js';

/** A range that this node fetches, or is about to. */
export interface Claim {
  readonly file: string;
  readonly range: ByteRange;
}

interface State {
  /** Others were asked, and not all have answered. */
  isAsked: boolean;
  /** Meanwhile another one asked, and goes first. */
  isLost: boolean;
}

/** The name of a file in all claims: of two versions each has its own. */
export function claimName(repository: string, path: string, hash: string): string {
  return `${repository} ${hash} ${path}`;
}

/** The claims of one node. */
export class Claims {
  readonly #own = new Map<Claim, State>();
  #changes = 0;

  /** Rises with every claim that begins or ends. */
  get changes(): number {
    return this.#changes;
  }

  /** The others are about to be asked. */
  begin(file: string, range: ByteRange): Claim {
    const claim = { file, range };
    this.#changes += 1;
    this.#own.set(claim, { isAsked: true, isLost: false });
    return claim;
  }

  /** All others have agreed. False where one went first meanwhile; then the claim is over. */
  hold(claim: Claim): boolean {
    const state = this.#own.get(claim);
    if (state === undefined || state.isLost) {
      this.#own.delete(claim);
      return false;
    }
    state.isAsked = false;
    return true;
  }

  /** Idempotent. */
  release(claim: Claim): void {
    if (this.#own.delete(claim)) this.#changes += 1;
  }

  /** Ranges of a file that are being fetched, normalized. */
  held(file: string): ByteRange[] {
    const claims = [...this.#own].filter(([claim, { isAsked }]) => claim.file === file && !isAsked);
    return normalized(claims.map(([{ range }]) => range));
  }

  /** Another node asks. True: it may fetch the range. */
  grant(selfId: string, nodeId: string, file: string, range: ByteRange): boolean {
    const clashes = [...this.#own].filter(
      ([claim]) => claim.file === file && common([claim.range], [range]).length > 0,
    );
    if (clashes.some(([, { isAsked, isLost }]) => !isLost && (!isAsked || selfId < nodeId))) return false;
    for (const [, state] of clashes) state.isLost = true;
    return true;
  }
}
