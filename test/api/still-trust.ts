/** Sessions and keys that stand still, exactly the two ports that the API has for trust. Not a test. */
import type {
  Invitation,
  Joined,
  KeySummary,
  ShownKey,
  SshAnswer,
  SshSession,
  SshSessions,
  TrustControl,
  TrustedNode,
} from '../../src/api/index.js';
import { ExoError } from '../../src/shared/index.js';

/** Challenges are numbered; the signature `good` opens a session, everything else is refused. */
export class StillSessions implements SshSessions {
  readonly #tokens: Set<string>;
  readonly #open = new Map<string, string>();
  readonly answers: SshAnswer[] = [];
  #count = 0;

  constructor(tokens: readonly string[] = []) {
    this.#tokens = new Set(tokens);
  }

  challenge(publicKey: string) {
    if (!publicKey.startsWith('ssh-')) throw new ExoError('http-invalid', 'this is no ssh public key');
    this.#count += 1;
    const challenge = Buffer.from(`challenge ${this.#count}`).toString('base64');
    this.#open.set(challenge, publicKey);
    return { challenge, expiresAtMs: 1_700_000_300_000 };
  }

  async connect(answer: SshAnswer): Promise<SshSession> {
    this.answers.push(answer);
    const key = this.#open.get(answer.challenge);
    this.#open.delete(answer.challenge);
    if (key !== answer.publicKey || answer.signature !== 'good') {
      throw new ExoError('auth-failed', 'the signature is not that of a listed key');
    }
    const token = `session-${this.#count}`;
    this.#tokens.add(token);
    return { token, expiresAtMs: 1_700_086_400_000 };
  }

  check(token: string): boolean {
    return this.#tokens.has(token);
  }

  disconnect(token: string): boolean {
    return this.#tokens.delete(token);
  }
}

const KEY: KeySummary = { id: '1f2e3d4c', source: 'file', createdAtMs: 1, untilMs: null, current: true };

/** Notes what is called, and answers as after it. */
export class StillControl implements TrustControl {
  readonly calls: unknown[][] = [];
  nodes: TrustedNode[] = [
    { id: 'b', fingerprint: `SHA256:${'b'.repeat(43)}`, trust: 'invited', how: 'invitation', sinceMs: 2 },
  ];

  keys(): readonly KeySummary[] {
    return [KEY];
  }

  showKeys(): readonly ShownKey[] {
    this.calls.push(['show']);
    return [{ ...KEY, key: 'exo1-the-secret', apiToken: 'exoapi-the-token' }];
  }

  async newKey(): Promise<KeySummary> {
    throw new ExoError('option-conflict', 'a mesh key is there already');
  }

  async joinKey(key: string, { replace }: { replace: boolean }): Promise<KeySummary> {
    this.calls.push(['join-key', key, replace]);
    return KEY;
  }

  async forgetKey(id: string): Promise<void> {
    this.calls.push(['forget', id]);
  }

  async rotateKey(graceMs?: number): Promise<KeySummary> {
    this.calls.push(['rotate', graceMs]);
    return KEY;
  }

  async invite(address?: string): Promise<Invitation> {
    this.calls.push(['invite', address]);
    return { line: `exo join ${address ?? '10.0.0.1:50051'} SHA256:x secret`, expiresAtMs: 3 };
  }

  async join(invitation: string): Promise<Joined> {
    this.calls.push(['join', invitation]);
    return { id: 'c', fingerprint: `SHA256:${'c'.repeat(43)}`, address: '10.0.0.3:50051', keyId: '1f2e3d4c' };
  }

  self() {
    return { id: 'a', fingerprint: `SHA256:${'a'.repeat(43)}` };
  }

  trusted(): readonly TrustedNode[] {
    return this.nodes;
  }

  async trust(id: string, fingerprint: string): Promise<TrustedNode> {
    this.calls.push(['trust', id, fingerprint]);
    return { id, fingerprint, trust: 'trusted', how: 'by-hand', sinceMs: 4 };
  }

  async distrust(id: string, how?: 'connect'): Promise<TrustedNode> {
    const node = this.nodes.find((each) => each.id === id);
    if (node === undefined) throw new ExoError('peer-unknown', `no trusted node is called "${id}"`);
    this.calls.push(['distrust', id, ...(how === undefined ? [] : [how])]);
    return node;
  }
}
