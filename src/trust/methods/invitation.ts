/**
 * `invitation`: the dialler has the one-time secret of a line that the acceptor printed. Fields: `invitation` (id) and `signature`. The
 * dialler knows the acceptor by the fingerprint in the line. Using it up is the authenticator's business.
 */
import { type Clock, LIMITS } from '../../shared/index.js';
import type { Proof } from '../handshake.js';
import { isInvitationProof, proveInvitation } from '../invitation.js';
import type { TrustStore } from '../trust-store.js';
import { bytesOf, type Finding, type Meeting, type Method } from './method.js';

export class InvitationMethod implements Method {
  readonly name = 'invitation';
  readonly #store: TrustStore;
  readonly #clock: Clock;
  /** Wrong proofs for open invitations. Their ids follow from their secrets, so nobody else can use up the guesses of one. */
  readonly #guesses = new Map<string, { readonly count: number; readonly lastMs: number }>();

  constructor(store: TrustStore, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
  }

  get hasMeans(): boolean {
    return this.#store.invitations().length > 0 || this.#store.held().length > 0;
  }

  prove(meeting: Meeting): readonly Proof[] {
    const held = meeting.facts.role === 'dialler' ? this.#heldFor(meeting) : undefined;
    if (held === undefined) return [];
    const { id, signature } = proveInvitation(held.secret, meeting.ownStatement(this.name));
    return [{ method: this.name, invitation: id, signature: signature.toString('base64url') }];
  }

  judge(meeting: Meeting, proof: Proof): Finding {
    if (meeting.facts.role !== 'acceptor')
      return { good: false, why: 'only a dialler can use an invitation' };
    const open = this.#store.invitations();
    const record = open.find(({ id }) => id === proof['invitation']);
    const isRight = isInvitationProof(record, meeting.otherStatement(this.name), bytesOf(proof, 'signature'));
    for (const id of this.#guesses.keys()) {
      if (!open.some((each) => each.id === id)) this.#guesses.delete(id);
    }
    if (record === undefined)
      return { good: false, why: 'the invitation was used, is too old, or was never made here' };
    const guesses = this.#guesses.get(record.id) ?? { count: 0, lastMs: 0 };
    const nowMs = this.#clock.now();
    if (
      guesses.count >= LIMITS.invitationGuessesMax &&
      nowMs - guesses.lastMs < LIMITS.invitationGuessRefillMs
    ) {
      return { good: false, why: `too many wrong proofs of the invitation ${record.id}; wait a little` };
    }
    if (!isRight) {
      this.#guesses.set(record.id, { count: guesses.count + 1, lastMs: nowMs });
      return { good: false, why: `the proof of the invitation ${record.id} is wrong` };
    }
    return { good: true, why: `invitation ${record.id}`, id: record.id };
  }

  /** The dialler: the acceptor has the fingerprint of the line that a person copied. */
  know(meeting: Meeting): Finding | undefined {
    if (meeting.facts.role !== 'dialler' || this.#heldFor(meeting) === undefined) return undefined;
    return { good: true, why: 'the key that its invitation names' };
  }

  #heldFor(meeting: Meeting): ReturnType<TrustStore['held']>[number] | undefined {
    return this.#store.held().find(({ fingerprint }) => fingerprint === meeting.fingerprint);
  }
}
