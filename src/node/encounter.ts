/**
 * One encrypted connection on its way from hello to verdict: the nonce of this end, what proofs are bound to, what the other end
 * proved. Bookkeeping only; `admission.ts` makes one, asks the authenticator, and draws the conclusions.
 */
import type { ConnectionRole, Hello, Secured } from '../protocol/index.js';
import type { ExoError, Random, TimerHandle } from '../shared/index.js';
import type { HandshakeFacts, Party, Proof, Verdict } from '../trust/index.js';

const NONCE_BYTES = 32;

/** What is known of the other end so far. */
export class Encounter {
  /** Of this end, for this connection. */
  readonly ownNonce: Buffer;
  /** Settles when the other end's proofs were judged, or will not be. */
  readonly judged: Promise<void>;
  /** What proofs are bound to; undefined until both hellos are there. */
  facts: HandshakeFacts | undefined;
  proofs: readonly Proof[] | undefined;
  verdict: Verdict | undefined;
  /** When the other end must have proven something. */
  deadline: TimerHandle | undefined;
  #judging: Promise<unknown> = Promise.resolve();
  #resolve: () => void = () => undefined;
  #reject: (error: ExoError) => void = () => undefined;

  constructor(random: Random) {
    this.ownNonce = random.bytes(NONCE_BYTES);
    this.judged = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    // Whoever waits hears of it; a dialler does not wait.
    this.judged.catch(() => undefined);
  }

  /** Both hellos are there. */
  begin(
    role: ConnectionRole,
    self: { readonly id: string; readonly instance: string; readonly publicKey: Buffer },
    hello: Hello,
    secured: Secured,
  ): void {
    const { id: nodeId, instance, publicKey } = self;
    const own: Party = { nodeId, instance, publicKey, nonce: this.ownNonce };
    const theirs: Party = {
      nodeId: hello.nodeId,
      instance: hello.instance,
      publicKey: secured.peerKey,
      nonce: Buffer.from(hello.auth?.nonce ?? '', 'base64url'),
    };
    const { binding } = secured;
    this.facts =
      role === 'dialler'
        ? { role, dialler: own, acceptor: theirs, binding }
        : { role, dialler: theirs, acceptor: own, binding };
  }

  /** Judges when earlier judgements are done. */
  inTurn<T>(judge: () => Promise<T>): Promise<T> {
    const turn = this.#judging.then(judge, judge);
    this.#judging = turn;
    return turn;
  }

  /** The other end was judged; with an error it may not stay. */
  settle(error?: ExoError): void {
    this.deadline?.cancel();
    if (error === undefined) this.#resolve();
    else this.#reject(error);
  }
}
