/**
 * What the other end of a connection may say, from how the connection is secured and what that end proves. Asks the
 * authenticator, grants access, and judges again when keys or trust change. It opens and closes nothing on its own but
 * connections that have lost their right; `introduction.ts` asks it on both sides of a hello.
 */
import {
  type AccessLevel,
  type AuthRequest,
  type AuthResponse,
  type Connection,
  type Hello,
  type KeyUpdate,
  type KeyUpdated,
  reaches,
} from '../protocol/index.js';
import { type Clock, ExoError, LIMITS, type Logger, type Random, type Startable } from '../shared/index.js';
import type { Authenticator, Proof, Verdict } from '../trust/index.js';
import { Encounter } from './encounter.js';
import type { HostList } from './host-list.js';

/** Who this node is by its key, and whom it trusts. */
export interface NodeTrust {
  readonly authenticator: Authenticator;
  /** Raw Ed25519 public key of this node, 32 bytes: that of its TLS certificate. */
  readonly publicKey: Buffer;
  /** Old peers that may speak in plain although only trusted nodes may join. */
  readonly allowLegacy: HostList;
}

/** What an admission needs. */
export interface AdmissionComponents {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly self: { readonly id: string; readonly instance: string };
  /** Absent: there are no keys, and everybody is a member. */
  readonly trust: NodeTrust | undefined;
  /** Keys or trust changed: who was refused may be taken now. */
  onChange(): void;
}

/** The door's memory: one a node. */
export class Admission implements Startable {
  readonly #c: AdmissionComponents;
  readonly #meetings = new WeakMap<Connection, Encounter>();
  readonly #open = new Set<Connection>();
  readonly #unsubscribe: () => void;

  constructor(components: AdmissionComponents) {
    this.#c = components;
    this.#unsubscribe =
      components.trust?.authenticator.onChange(() => this.#judgeAgain()) ?? (() => undefined);
  }

  async start(): Promise<void> {}

  /** Ends what it listens to. */
  async stop(): Promise<void> {
    this.#unsubscribe();
  }

  /** Connections between nodes that are open, whoever dialled and whatever was proven. */
  get connectionCount(): number {
    return this.#open.size;
  }

  /** Whether only trusted nodes may join. */
  get requiresTrust(): boolean {
    return this.#c.trust?.authenticator.requiresTrust === true;
  }

  /** What somebody at `host` may say before anything is proven. */
  initialAccess(host: string): AccessLevel {
    return this.requiresTrust && !this.#isLegacyAllowed(host) ? 'open' : 'member';
  }

  /** Whether a dial is to be encrypted from the start. `ids` are those that may answer there. */
  dialsSecurely(host: string, ids: readonly string[]): boolean {
    const { trust } = this.#c;
    if (trust === undefined) return false;
    if (ids.some((id) => trust.authenticator.isPinned(id))) return true;
    return this.requiresTrust && !this.#isLegacyAllowed(host);
  }

  /** Whether a plain dial that was refused with `tls-required` can be made again encrypted. */
  get canSecure(): boolean {
    return this.#c.trust !== undefined;
  }

  /** A connection exists; it is forgotten when it ends. */
  opened(connection: Connection): void {
    this.#open.add(connection);
    void connection.closed.then(() => this.#forget(connection));
  }

  /** What the own hello says about it: on an encrypted connection the nonce that proofs are bound to. */
  helloAuth(connection: Connection): Pick<Hello, 'auth'> {
    if (this.#c.trust === undefined || connection.secured === undefined) return {};
    return { auth: { nonce: this.#meeting(connection).ownNonce.toString('base64url') } };
  }

  /** Acceptor: throws `tls-required` when this hello must not come in plain, `auth-required` when it has nothing to be bound to. */
  checkHello(connection: Connection, hello: Hello): void {
    const { trust } = this.#c;
    if (trust === undefined) return;
    const { authenticator } = trust;
    if (connection.secured !== undefined) {
      if (hello.auth === undefined && (authenticator.requiresTrust || authenticator.isPinned(hello.nodeId))) {
        throw new ExoError(
          'auth-required',
          'an encrypted connection whose hello has no nonce proves nothing',
        );
      }
      return;
    }
    if (authenticator.isPinned(hello.nodeId)) {
      throw new ExoError('tls-required', `"${hello.nodeId}" is known here by its key: connect encrypted`);
    }
    if (authenticator.requiresTrust && !this.#isLegacyAllowed(connection.remoteHost)) {
      throw new ExoError(
        'tls-required',
        'this mesh has a key: connect encrypted, and prove it ("exo key join" sets it on the other node)',
      );
    }
  }

  /** Acceptor, after its hello: resolves when the dialler's proofs are judged (at once in plain). Rejects with the verdict. */
  async awaitProofs(connection: Connection, hello: Hello): Promise<void> {
    const meeting = this.#begin(connection, hello);
    if (meeting === undefined) return;
    if (connection.state === 'closed') throw ENDED_UNPROVEN;
    meeting.deadline = this.#c.clock.after(LIMITS.handshakeTimeoutMs, () =>
      meeting.settle(
        new ExoError('handshake-timeout', `no proofs within ${LIMITS.handshakeTimeoutMs} ms after the hello`),
      ),
    );
    await meeting.judged;
  }

  /** Acceptor: the dialler's proofs. Throws what the dialler is told: the code, and no more. */
  async onAuth(connection: Connection, { proofs }: AuthRequest): Promise<AuthResponse> {
    const { trust } = this.#c;
    const meeting = this.#meetings.get(connection);
    if (trust === undefined || meeting?.facts === undefined || meeting.proofs !== undefined) {
      throw new ExoError('protocol-violation', 'proofs where none were asked for');
    }
    const { authenticator } = trust;
    const verdict = await this.#judge(connection, meeting, proofs);
    const error = this.#refusal(verdict);
    if (error !== undefined) {
      meeting.settle(error);
      throw new ExoError(error.code, WHAT_STRANGERS_HEAR);
    }
    const own = await authenticator.prove(meeting.facts);
    const update = verdict.trusted ? authenticator.keysFor(verdict) : undefined;
    meeting.settle();
    return { kind: 'auth-response', proofs: own, ...(update && { keys: update.keys }) };
  }

  /** Dialler, after the hellos: proves, and judges the answer. Rejects when this end or the other is not content. */
  async prove(connection: Connection, hello: Hello, signal: AbortSignal): Promise<void> {
    const { trust } = this.#c;
    if (trust === undefined) return;
    const { authenticator } = trust;
    if (connection.secured === undefined) {
      if (authenticator.isPinned(hello.nodeId) || !reaches(connection.access, 'member')) {
        throw new ExoError('tls-required', `"${hello.nodeId}" answers in plain and proves nothing`);
      }
      return;
    }
    const meeting = this.#begin(connection, hello);
    if (meeting?.facts === undefined) {
      throw new ExoError('auth-required', `"${hello.nodeId}" has an encrypted connection but proves nothing`);
    }
    const own = await authenticator.prove(meeting.facts);
    const answer = await connection.request(
      { kind: 'auth-request', proofs: own },
      { timeoutMs: LIMITS.handshakeTimeoutMs, signal },
    );
    if (answer.kind !== 'auth-response') throw new ExoError('protocol-violation', 'no proofs in the answer');
    const verdict = await this.#judge(connection, meeting, answer.proofs);
    const error = this.#refusal(verdict);
    meeting.settle(error);
    if (error !== undefined) throw error;
    if (!verdict.trusted) return;
    if (answer.keys !== undefined) await authenticator.takeKeys(verdict, { keys: answer.keys });
    this.#sendKeys(connection, meeting);
  }

  /** Dialler: the acceptor has taken this end in already and is told why it leaves again. */
  tellRefused(connection: Connection, error: unknown): void {
    if (this.#meetings.get(connection)?.verdict?.trusted !== false || !(error instanceof ExoError)) return;
    connection.notify({ kind: 'notice', code: error.code, message: WHAT_STRANGERS_HEAR });
  }

  /** Whether what it tells the operator is to be shown: at once, or when it has been judged. */
  isHeard(connection: Connection): true | Promise<boolean> {
    const isMember = () => reaches(connection.access, 'member');
    if (isMember()) return true;
    const judged = this.#meetings.get(connection)?.judged ?? Promise.resolve();
    return judged.then(isMember, () => false);
  }

  /** A trusted peer brought mesh keys. Throws `auth-failed` where it is not one that may. */
  async onKeys(connection: Connection, update: KeyUpdate): Promise<KeyUpdated> {
    const verdict = this.#meetings.get(connection)?.verdict;
    if (verdict?.trusted === true) await this.#c.trust?.authenticator.takeKeys(verdict, update);
    return { kind: 'key-updated' };
  }

  /** How the other end is trusted, in words; undefined when it is not. */
  trustOf(connection: Connection): string | undefined {
    const verdict = this.#meetings.get(connection)?.verdict;
    return verdict?.trusted === true ? verdict.why : undefined;
  }

  // ---------------------------------------------------------------- inside

  #isLegacyAllowed(host: string): boolean {
    return this.#c.trust?.allowLegacy.has(host) === true;
  }

  #meeting(connection: Connection): Encounter {
    const known = this.#meetings.get(connection);
    if (known !== undefined) return known;
    const meeting = new Encounter(this.#c.random);
    this.#meetings.set(connection, meeting);
    return meeting;
  }

  /** Both hellos are there: what proofs are bound to. Undefined in plain, or where the other end offers none. */
  #begin(connection: Connection, hello: Hello): Encounter | undefined {
    const { trust, self } = this.#c;
    const { secured } = connection;
    if (trust === undefined || secured === undefined || hello.auth === undefined) return undefined;
    const meeting = this.#meeting(connection);
    meeting.begin(connection.role, { ...self, publicKey: trust.publicKey }, hello, secured);
    return meeting;
  }

  async #judge(connection: Connection, meeting: Encounter, proofs: readonly Proof[]): Promise<Verdict> {
    meeting.proofs = proofs;
    // One after the other: what is granted last is what was judged last.
    const verdict = await meeting.inTurn(() => this.#c.trust!.authenticator.judge(meeting.facts!, proofs));
    meeting.verdict = verdict;
    connection.grant(verdict.trusted ? 'trusted' : this.initialAccess(connection.remoteHost));
    if (!verdict.trusted) {
      this.#c.logger.debug('peer-not-trusted', {
        from: connection.remote,
        code: verdict.code,
        why: verdict.why,
      });
    }
    return verdict;
  }

  /** Why a verdict keeps the other end out; in a mesh without a key only a wrong identity does. */
  #refusal(verdict: Verdict): ExoError | undefined {
    if (verdict.trusted) return undefined;
    if (!this.requiresTrust && verdict.code !== 'identity-changed') return undefined;
    const advice = verdict.code === 'identity-changed' ? '' : `; ${WHAT_LETS_IT_IN}`;
    return new ExoError(verdict.code, `${verdict.why}${advice}`);
  }

  #forget(connection: Connection): void {
    this.#meetings.get(connection)?.settle(ENDED_UNPROVEN);
    this.#open.delete(connection);
  }

  #sendKeys(connection: Connection, meeting: Encounter): void {
    const { verdict } = meeting;
    if (verdict?.trusted !== true) return;
    const update = this.#c.trust?.authenticator.keysFor(verdict);
    if (update === undefined) return;
    connection
      .request({ kind: 'key-update', keys: update.keys })
      .catch((error: unknown) => this.#c.logger.debug('keys-not-sent', { to: connection.remote, error }));
  }

  /** Keys or trust changed: whoever has lost its right goes, and who is trusted hears of new keys. */
  #judgeAgain(): void {
    for (const connection of this.#open) void this.#judgeOne(connection);
    this.#c.onChange();
  }

  async #judgeOne(connection: Connection): Promise<void> {
    const meeting = this.#meetings.get(connection);
    if (meeting?.proofs === undefined) {
      // Its proofs are on their way, and will be judged by what is known then.
      if (meeting?.facts !== undefined) return;
      const access = this.initialAccess(connection.remoteHost);
      const pinned = this.#c.trust?.authenticator.isPinned(connection.hello?.nodeId ?? '') === true;
      if (reaches(access, 'member') && !pinned) return;
      connection.grant('open');
      this.#dismiss(connection, new ExoError('tls-required', 'this node asks for encrypted connections now'));
      return;
    }
    const wasTrusted = meeting.verdict?.trusted === true;
    const verdict = await this.#judge(connection, meeting, meeting.proofs);
    const error = this.#refusal(verdict) ?? (wasTrusted && !verdict.trusted ? NO_LONGER_TRUSTED : undefined);
    if (error !== undefined) this.#dismiss(connection, error);
    else this.#sendKeys(connection, meeting);
  }

  #dismiss(connection: Connection, error: ExoError): void {
    if (connection.state === 'fresh') return;
    this.#c.logger.warn('peer-dismissed', { from: connection.remote, code: error.code, why: error.message });
    void connection.close({ by: 'local', error });
  }
}

/** Which of its proofs was wrong is not a stranger's business. */
const WHAT_STRANGERS_HEAR =
  'this node does not trust the other end: set the same mesh key on both ("exo key join"), or trust its key ("exo trust add")';

const WHAT_LETS_IT_IN =
  'give it the mesh key ("exo key join" there) or an invitation ("exo key invite" here), or trust its key ("exo trust add" here)';

const ENDED_UNPROVEN = new ExoError('connection-closed', 'the connection ended before its proofs came');
const NO_LONGER_TRUSTED = new ExoError('auth-failed', 'it is not trusted any more');
