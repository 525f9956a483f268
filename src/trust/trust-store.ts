/**
 * What a node knows of others: which key an id belongs to, who is trusted without the mesh key, which invitations are open. Kept in
 * `trust.json` of the node; the node and `exo trust`, `exo key invite`, `exo join` change it at the same time. It judges nothing:
 * `authenticator.ts` does.
 */
import {
  type Clock,
  ExoError,
  idFault,
  LIMITS,
  printable,
  type Random,
  type Startable,
} from '../shared/index.js';
import { isFingerprint } from './ed25519.js';
import { type InvitationRecord, invitationRecord, newInvitationSecret } from './invitation.js';
import { KeptState, type KeptStateComponents } from './kept-state.js';
import {
  type FormerTrust,
  type HeldInvitation,
  type KnownNode,
  NO_TRUST,
  parseTrust,
  printTrust,
  type TrustState,
} from './trust-file.js';

/** What a change makes of the state, and what its caller gets. */
interface Edit<R> {
  readonly value: TrustState;
  readonly result: R;
}

/** The store of one node. */
export class TrustStore implements Startable {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #state: KeptState<TrustState>;

  /** Reads `file` (null: in memory). Throws `trust-file-invalid`. */
  constructor(file: string | null, components: KeptStateComponents) {
    this.#clock = components.clock;
    this.#random = components.random;
    this.#state = new KeptState<TrustState>(
      { file, empty: NO_TRUST, parse: parseTrust, print: printTrust },
      components,
    );
  }

  get(id: string): KnownNode | undefined {
    return this.#state.value.nodes.get(id);
  }

  /** Known nodes, oldest first. */
  list(): readonly KnownNode[] {
    return [...this.#state.value.nodes.values()];
  }

  /** Invitations that can still be used. */
  invitations(): readonly InvitationRecord[] {
    return this.#open(this.#state.value.invitations);
  }

  /** Invitations that this node was given and can still use. */
  held(): readonly HeldInvitation[] {
    return this.#open(this.#state.value.held);
  }

  /**
   * Trusts a node until it is removed (`exo trust add`, `exo connect`). Throws `identity-changed` where the id belongs to another
   * key, `option-invalid`, or `overloaded`.
   */
  async trust(node: Pick<KnownNode, 'id' | 'fingerprint' | 'learnt'>): Promise<KnownNode> {
    const { id, fingerprint, learnt } = node;
    const fault = idFault(id);
    if (fault !== undefined) throw new ExoError('option-invalid', `the node id ${fault}`);
    if (!isFingerprint(fingerprint)) {
      throw new ExoError(
        'option-invalid',
        'a fingerprint is SHA256: and 43 characters; exo trust list prints it on the other machine',
      );
    }
    return this.#change((state) => {
      const known = state.nodes.get(id);
      if (known !== undefined && known.fingerprint !== fingerprint) throw identityChanged(known, fingerprint);
      const before = learnt === 'connect' && known !== undefined ? formerOf(known) : undefined;
      const entry: KnownNode = {
        ...{ id, fingerprint, trust: 'trusted', learnt, sinceMs: this.#clock.wall() },
        ...(before === undefined ? {} : { before }),
      };
      return { value: withNode(state, entry), result: entry };
    });
  }

  /**
   * Remembers which key an id belongs to, after a proof. False where it belongs to another. One that was invited and has now proven
   * the mesh key is a pin from then on.
   */
  async pin(id: string, fingerprint: string, learnt: KnownNode['learnt']): Promise<boolean> {
    const isSettled = (node: KnownNode): boolean => !(node.trust === 'invited' && learnt === 'mesh-key');
    const known = this.get(id);
    // Most connections change nothing: no lock, no file.
    if (known?.fingerprint === fingerprint && isSettled(known)) return true;
    return this.#change((state) => {
      const kept = state.nodes.get(id);
      if (kept !== undefined && kept.fingerprint !== fingerprint) return { value: state, result: false };
      if (kept !== undefined && isSettled(kept)) return { value: state, result: true };
      const sinceMs = kept?.sinceMs ?? this.#clock.wall();
      return { value: withNode(state, { id, fingerprint, trust: 'pin', learnt, sinceMs }), result: true };
    });
  }

  /**
   * Takes back what `exo connect` gave: the entry is what it was before, or gone where there was none. One that was made otherwise
   * since then stays. Resolves with the entry that was there. Throws `peer-unknown`.
   */
  async part(id: string): Promise<KnownNode> {
    return this.#change((state) => {
      const known = knownIn(state, id);
      if (known.learnt !== 'connect') return { value: state, result: known };
      const { fingerprint, before } = known;
      const nodes = new Map(state.nodes);
      if (before === undefined) nodes.delete(id);
      else nodes.set(id, { id, fingerprint, ...before });
      return { value: { ...state, nodes }, result: known };
    });
  }

  /** Forgets a node. Throws `peer-unknown`. */
  async remove(id: string): Promise<KnownNode> {
    return this.#change((state) => {
      const known = knownIn(state, id);
      const nodes = new Map(state.nodes);
      nodes.delete(id);
      return { value: { ...state, nodes }, result: known };
    });
  }

  /** Opens an invitation; its secret is shown now and never again. Throws `overloaded`. */
  async invite(
    validMs: number = LIMITS.invitationMs,
  ): Promise<{ readonly secret: string; readonly record: InvitationRecord }> {
    const secret = newInvitationSecret(this.#random);
    const record = invitationRecord(secret, this.#clock.wall() + validMs);
    return this.#change((state) => {
      const open = this.#open(state.invitations);
      if (open.length >= LIMITS.invitationsMax) {
        throw new ExoError(
          'overloaded',
          `${open.length} invitations are open; wait until some are used or too old`,
        );
      }
      return { value: { ...state, invitations: [...open, record] }, result: { secret, record } };
    });
  }

  /**
   * Uses an invitation for a node: true for one caller only, whatever happens at the same time. False where it is not open any more
   * or the id belongs to another key.
   */
  async spend(invitationId: string, id: string, fingerprint: string): Promise<boolean> {
    return this.#change((state) => {
      const open = this.#open(state.invitations);
      const rest = open.filter((each) => each.id !== invitationId);
      const known = state.nodes.get(id);
      if (rest.length === open.length || (known !== undefined && known.fingerprint !== fingerprint)) {
        return { value: state, result: false };
      }
      return {
        value: withNode(
          { ...state, invitations: rest },
          this.#invited(known, { id, fingerprint, learnt: 'invitation' }),
        ),
        result: true,
      };
    });
  }

  /** Takes up an invitation of another node: it is proven to whoever has that fingerprint. Throws `option-invalid`. */
  async hold(held: HeldInvitation): Promise<void> {
    // Also checks the form of the secret.
    invitationRecord(held.secret, held.untilMs);
    if (!isFingerprint(held.fingerprint))
      throw new ExoError('option-invalid', 'the invitation has no fingerprint');
    await this.#change((state) => {
      const others = this.#open(state.held).filter(({ fingerprint }) => fingerprint !== held.fingerprint);
      return {
        value: { ...state, held: [...others.slice(-LIMITS.invitationsMax + 1), held] },
        result: undefined,
      };
    });
  }

  /** The node that invited this one has been met: it is trusted as one that was invited. False where the id belongs to another key. */
  async joined(id: string, fingerprint: string): Promise<boolean> {
    return this.#change((state) => {
      const known = state.nodes.get(id);
      if (known !== undefined && known.fingerprint !== fingerprint) return { value: state, result: false };
      const held = state.held.filter((each) => each.fingerprint !== fingerprint);
      return {
        value: withNode({ ...state, held }, this.#invited(known, { id, fingerprint, learnt: 'joined' })),
        result: true,
      };
    });
  }

  /** Calls `listener` after every change, also one by a command (while started). Returns the unsubscribe function. */
  onChange(listener: () => void): () => void {
    return this.#state.onChange(listener);
  }

  start(): Promise<void> {
    return this.#state.start();
  }

  stop(): Promise<void> {
    return this.#state.stop();
  }

  #invited(known: KnownNode | undefined, node: Pick<KnownNode, 'id' | 'fingerprint' | 'learnt'>): KnownNode {
    if (known?.trust === 'trusted') return known;
    return { ...node, trust: 'invited', sinceMs: this.#clock.wall() };
  }

  #open<T extends { readonly untilMs: number }>(entries: readonly T[]): readonly T[] {
    const nowMs = this.#clock.wall();
    return entries.filter(({ untilMs }) => nowMs < untilMs);
  }

  #change<R>(edit: (state: TrustState) => Edit<R>): Promise<R> {
    return this.#state.change(edit);
  }
}

/** With one more node; where the table is full the oldest that is only pinned makes room. Throws `overloaded`. */
function withNode(state: TrustState, node: KnownNode): TrustState {
  const nodes = new Map(state.nodes);
  nodes.delete(node.id);
  if (nodes.size >= LIMITS.trustedNodesMax) {
    const oldest = [...nodes.values()].find(({ trust }) => trust === 'pin');
    if (oldest === undefined) {
      throw new ExoError('overloaded', `${nodes.size} nodes are trusted; remove some with: exo trust remove`);
    }
    nodes.delete(oldest.id);
  }
  return { ...state, nodes: nodes.set(node.id, node) };
}

/** Throws `peer-unknown`. */
function knownIn(state: TrustState, id: string): KnownNode {
  const known = state.nodes.get(id);
  if (known !== undefined) return known;
  throw new ExoError('peer-unknown', `no node ${printable(id, 60)} is known; exo trust list shows who is`);
}

/** What is to come back when what follows now is undone. */
function formerOf({ trust, learnt, sinceMs, before }: KnownNode): FormerTrust | undefined {
  return learnt === 'connect' ? before : { trust, learnt, sinceMs };
}

/** An id shows another key than it is known by. */
export function identityChanged(known: KnownNode, fingerprint: string): ExoError {
  const id = printable(known.id, 60);
  return new ExoError(
    'identity-changed',
    `${id} shows the key ${fingerprint}, but is known by ${known.fingerprint}; if it was set up anew, run: exo trust remove ${id}`,
  );
}
