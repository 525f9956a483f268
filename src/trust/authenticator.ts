/**
 * Proves who this node is, and judges what others prove: asks the methods, remembers what follows, and says who gets which mesh keys.
 * The node asks it between hello and peer; the bytes on the wire are the protocol's. See `handshake.ts` for what each call promises.
 */
import { type Clock, ExoError, LIMITS, type Logger, printable, toExoError } from '../shared/index.js';
import type { Authenticator, HandshakeFacts, KeyUpdate, Proof, ProofMethod, Verdict } from './handshake.js';
import type { KeyListWatch } from './key-list-watch.js';
import type { MeshKeys } from './mesh-keys.js';
import { InvitationMethod } from './methods/invitation.js';
import { MeshKeyMethod } from './methods/mesh-key.js';
import { type Finding, Meeting, type Method } from './methods/method.js';
import { PinnedMethod } from './methods/pinned.js';
import { SshKeyMethod, type SshKeyMethodOptions } from './methods/ssh-key.js';
import type { KnownNode } from './trust-file.js';
import { identityChanged, type TrustStore } from './trust-store.js';

/** What decides besides keys and trust. */
export interface AuthenticatorOptions {
  /** Only trusted peers may join, also without a mesh key. @default false */
  readonly requireTrust?: boolean;
  readonly ssh?: SshKeyMethodOptions;
}

/** What it works with. All are started and stopped by their owner. */
export interface AuthenticatorComponents {
  readonly keys: MeshKeys;
  readonly store: TrustStore;
  /** Tells when authorized_keys lists others than before. Absent where there is none: then what it let in stays. */
  readonly keyListWatch?: KeyListWatch | undefined;
  readonly clock: Clock;
  readonly log: Logger;
}

type Trusted = Verdict & { readonly trusted: true };
type Refused = Verdict & { readonly trusted: false };

/** What is behind a verdict and is not said in it. */
interface Ground {
  readonly provenKeyIds: ReadonlySet<string>;
  /** The other end came by an invitation of this node and has no mesh key yet. */
  readonly isInvited: boolean;
  /** This node came by an invitation of the other end. */
  readonly hasInvited: boolean;
}

/** A proof that was right. */
interface Good {
  readonly method: ProofMethod;
  readonly why: string;
  readonly id: string | undefined;
}

/** The one authenticator of a node. */
export function createAuthenticator(
  options: AuthenticatorOptions,
  components: AuthenticatorComponents,
): Authenticator {
  return new MethodAuthenticator(options, components);
}

class MethodAuthenticator implements Authenticator {
  readonly #options: AuthenticatorOptions;
  readonly #keys: MeshKeys;
  readonly #store: TrustStore;
  readonly #keyListWatch: KeyListWatch | undefined;
  readonly #log: Logger;
  /** In the order in which they are tried. */
  readonly #methods: readonly Method[];
  readonly #grounds = new WeakMap<Verdict, Ground>();

  constructor(options: AuthenticatorOptions, components: AuthenticatorComponents) {
    const { keys, store, clock, log } = components;
    this.#options = options;
    this.#keys = keys;
    this.#store = store;
    this.#keyListWatch = components.keyListWatch;
    this.#log = log;
    this.#methods = [
      new MeshKeyMethod(keys),
      new PinnedMethod(store),
      new InvitationMethod(store, clock),
      new SshKeyMethod(options.ssh ?? { signers: undefined, authorizedKeys: undefined }, components),
    ];
  }

  get requiresTrust(): boolean {
    return this.#options.requireTrust === true || this.#keys.current !== undefined;
  }

  get hasMeans(): boolean {
    return this.#methods.some((method) => method.hasMeans);
  }

  isPinned(nodeId: string): boolean {
    return this.#store.get(nodeId) !== undefined;
  }

  async prove(facts: HandshakeFacts): Promise<readonly Proof[]> {
    const proofs: Proof[] = [];
    try {
      const meeting = new Meeting(facts);
      // Whoever is not who it was hears nothing of us.
      if (this.#identityFault(meeting) !== undefined) return [];
      for (const method of this.#methods) {
        try {
          // An agent may ask a person each time; where something else proves, it is left alone.
          if (method.name === 'ssh-key' && proofs.length > 0) continue;
          proofs.push(...(await method.prove(meeting)));
        } catch (error) {
          this.#log.warn('proof-not-made', { method: method.name, error });
        }
      }
    } catch (error) {
      this.#log.warn('handshake-without-sense', { error });
    }
    return proofs.slice(0, LIMITS.authProofsMax);
  }

  async judge(facts: HandshakeFacts, proofs: readonly Proof[]): Promise<Verdict> {
    try {
      return await this.#judge(new Meeting(facts), proofs);
    } catch (error) {
      return refused('auth-failed', toExoError(error).message);
    }
  }

  keysFor(verdict: Trusted): KeyUpdate | undefined {
    const ground = this.#grounds.get(verdict);
    const current = this.#keys.current;
    if (ground === undefined || current === undefined || ground.provenKeyIds.has(current.id))
      return undefined;
    return ground.isInvited || ground.provenKeyIds.size > 0 ? this.#keys.toUpdate() : undefined;
  }

  async takeKeys(verdict: Trusted, update: KeyUpdate): Promise<boolean> {
    const ground = this.#grounds.get(verdict);
    if (ground === undefined || !(ground.provenKeyIds.size > 0 || ground.hasInvited)) {
      throw new ExoError(
        'auth-failed',
        `a node that is trusted by ${verdict.method} has no mesh keys to give`,
      );
    }
    const isNew = await this.#keys.take(update);
    if (isNew) this.#log.info('mesh-keys-taken', { current: this.#keys.current?.id });
    return isNew;
  }

  onChange(listener: () => void): () => void {
    let before = this.#snapshot();
    const offKeys = this.#keys.onChange(listener);
    const offStore = this.#store.onChange(() => {
      const now = this.#snapshot();
      const changes = changesVerdicts(before, now);
      before = now;
      if (changes) listener();
    });
    const offList = this.#keyListWatch?.onChange(listener);
    return () => {
      offKeys();
      offList?.();
      offStore();
    };
  }

  async #judge(meeting: Meeting, proofs: readonly Proof[]): Promise<Verdict> {
    const fault = this.#identityFault(meeting);
    if (fault !== undefined) return fault;
    const good: Good[] = [];
    const provenKeyIds = new Set<string>();
    const wrong: string[] = [];
    for (const method of this.#methods) {
      const findings = await this.#findings(method, meeting, proofs);
      for (const finding of findings) {
        if (!finding.good) wrong.push(finding.why);
        else {
          good.push({ method: method.name, why: finding.why, id: finding.id });
          if (method.name === 'mesh-key' && finding.id !== undefined) provenKeyIds.add(finding.id);
        }
      }
    }
    // An invitation is not used up where something else will do.
    const best = good.find(({ method }) => method !== 'invitation') ?? good[0];
    if (best === undefined) {
      // That a node trusts us proves nothing of it, and is no attempt to.
      const hasTried = proofs.some(
        ({ method }) => method !== 'pinned' && this.#methods.some(({ name }) => name === method),
      );
      const why = wrong.map((each) => printable(each, 160)).join('; ');
      return hasTried ? refused('auth-failed', why) : refused('auth-required', why || 'it proved nothing');
    }
    const failure = await this.#remember(meeting, best);
    if (failure !== undefined) return failure;
    const verdict: Trusted = { trusted: true, method: best.method, why: best.why };
    const isInvited = this.#isInvited(meeting, best.method);
    const hasInvited = this.#store.get(meeting.other.nodeId)?.learnt === 'joined';
    this.#grounds.set(verdict, { provenKeyIds, isInvited, hasInvited });
    return verdict;
  }

  /** Judges every proof of a method: how many there are and which is right must not show in the time that it takes. */
  async #findings(method: Method, meeting: Meeting, proofs: readonly Proof[]): Promise<readonly Finding[]> {
    const findings: Finding[] = [];
    for (const proof of proofs.slice(0, LIMITS.authProofsMax)) {
      if (proof.method !== method.name) continue;
      try {
        findings.push(await method.judge(meeting, proof));
      } catch (error) {
        findings.push({ good: false, why: toExoError(error).message });
      }
    }
    const known = method.know?.(meeting);
    return known === undefined ? findings : [known, ...findings];
  }

  /** Writes down what follows from a good proof. The refusal, where something else was quicker. */
  async #remember(meeting: Meeting, { method, id }: Good): Promise<Refused | undefined> {
    const { fingerprint, other, facts } = meeting;
    if (method === 'pinned') return undefined;
    if (method === 'invitation' && facts.role === 'acceptor') {
      const isSpent = id !== undefined && (await this.#store.spend(id, other.nodeId, fingerprint));
      return isSpent
        ? undefined
        : refused('auth-failed', 'the invitation was used by somebody else just now');
    }
    try {
      const isRemembered =
        method === 'invitation'
          ? await this.#store.joined(other.nodeId, fingerprint)
          : await this.#store.pin(other.nodeId, fingerprint, method);
      return isRemembered ? undefined : this.#identityFault(meeting);
    } catch (error) {
      // A full disk must not end a mesh; it is trusted for this connection.
      this.#log.warn('trust-not-written', { node: other.nodeId, error });
      return undefined;
    }
  }

  /** The other end shows a key that its id does not have, or our own. */
  #identityFault(meeting: Meeting): Refused | undefined {
    const { own, other, fingerprint } = meeting;
    if (own.publicKey.equals(other.publicKey)) {
      return refused(
        'identity-changed',
        'it shows the key of this node: the folder of one of the two is a copy',
      );
    }
    const known = this.#store.get(other.nodeId);
    if (known === undefined || known.fingerprint === fingerprint) return undefined;
    return refused('identity-changed', identityChanged(known, fingerprint).message);
  }

  #isInvited(meeting: Meeting, method: ProofMethod): boolean {
    if (method === 'invitation') return meeting.facts.role === 'acceptor';
    const known = this.#store.get(meeting.other.nodeId);
    return method === 'pinned' && known?.trust === 'invited' && known.learnt === 'invitation';
  }

  #snapshot(): Snapshot {
    return {
      nodes: new Map(this.#store.list().map((node) => [node.id, node])),
      held: this.#store.held().length,
    };
  }
}

interface Snapshot {
  readonly nodes: ReadonlyMap<string, KnownNode>;
  readonly held: number;
}

/** Whether a connection may be judged differently now. A new pin, or an invitation that was made or used, changes nothing. */
function changesVerdicts(before: Snapshot, now: Snapshot): boolean {
  const isTrusted = (node: KnownNode | undefined): boolean => node !== undefined && node.trust !== 'pin';
  for (const node of before.nodes.values()) {
    const kept = now.nodes.get(node.id);
    if (kept?.fingerprint !== node.fingerprint) return true;
    // One that was invited and is a pin now has just proven the mesh key.
    if (node.trust === 'trusted' && !isTrusted(kept)) return true;
  }
  for (const node of now.nodes.values()) {
    if (node.trust === 'trusted' && !isTrusted(before.nodes.get(node.id))) return true;
  }
  return now.held > before.held;
}

function refused(code: Refused['code'], why: string): Refused {
  return { trusted: false, code, why };
}
