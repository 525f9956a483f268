/**
 * Keys and trusted nodes as the API and the commands see them, over the two stores of `trust`. A running node hands it to
 * its API, with the stores that its own authenticator reads; `local-desk.ts` makes one where no node runs.
 */
import {
  apiTokenOf,
  type Invitation,
  type Joined,
  type KeySummary,
  type ShownKey,
  type TrustControl,
  type TrustedNode,
} from '../../api/index.js';
import {
  type Address,
  type Clock,
  ExoError,
  formatAddress,
  LIMITS,
  parseAddress,
} from '../../shared/index.js';
import {
  type KnownNode,
  type MeshKey,
  type MeshKeys,
  parseInvitation,
  printInvitation,
  printMeshKey,
  type TrustStore,
} from '../../trust/index.js';

/** What it works with. */
export interface TrustControlComponents {
  readonly clock: Clock;
  readonly keys: MeshKeys;
  readonly store: TrustStore;
  readonly self: { readonly id: string; readonly fingerprint: string };
  /** Where others reach this node; throws `option-missing` where that cannot be told. */
  address(): Address;
  /** Id of the key that EXO_AUTH_TOKEN or --auth-token-file gave to this process. */
  readonly givenKeyId?: string;
  /**
   * Dials the node that invited and resolves with its id once it is trusted. Absent where no node runs: the invitation
   * then waits in the store.
   */
  dial?(invited: { readonly address: Address; readonly fingerprint: string }): Promise<string>;
}

/** The implementation of the API's port. */
export class StoredTrust implements TrustControl {
  readonly #c: TrustControlComponents;

  constructor(components: TrustControlComponents) {
    this.#c = components;
  }

  keys(): readonly KeySummary[] {
    return this.#c.keys.valid.map((key) => this.#summary(key));
  }

  showKeys(): readonly ShownKey[] {
    return this.#c.keys.valid.map((key) => ({
      ...this.#summary(key),
      key: printMeshKey(key),
      apiToken: apiTokenOf(key.secret),
    }));
  }

  async newKey(): Promise<KeySummary> {
    return this.#summary(await this.#c.keys.create());
  }

  async joinKey(key: string, options: { readonly replace: boolean }): Promise<KeySummary> {
    return this.#summary(await this.#c.keys.join(key, options));
  }

  async rotateKey(graceMs: number = LIMITS.meshKeyGraceMs): Promise<KeySummary> {
    return this.#summary(await this.#c.keys.rotate(graceMs));
  }

  async forgetKey(id: string): Promise<void> {
    await this.#c.keys.forget(id);
  }

  async invite(address?: string): Promise<Invitation> {
    const at = address === undefined ? this.#c.address() : readAddress(address);
    const { secret, record } = await this.#c.store.invite();
    const { fingerprint } = this.#c.self;
    return { line: printInvitation({ address: at, fingerprint, secret }), expiresAtMs: record.untilMs };
  }

  async join(invitation: string): Promise<Joined> {
    const { address, fingerprint, secret } = parseInvitation(wordsOf(invitation));
    if (fingerprint === this.#c.self.fingerprint) {
      throw new ExoError(
        'option-invalid',
        'this is the node that invited; run the line on the other machine',
      );
    }
    const untilMs = this.#c.clock.wall() + LIMITS.invitationMs;
    await this.#c.store.hold({ fingerprint, secret, untilMs });
    const id = (await this.#c.dial?.({ address, fingerprint })) ?? null;
    const keyId = id === null ? null : (this.#c.keys.current?.id ?? null);
    return { id, fingerprint, address: formatAddress(address), keyId };
  }

  self(): { readonly id: string; readonly fingerprint: string } {
    return this.#c.self;
  }

  trusted(): readonly TrustedNode[] {
    return this.#c.store.list().map(known);
  }

  async trust(id: string, fingerprint: string, how?: 'connect'): Promise<TrustedNode> {
    return known(await this.#c.store.trust({ id, fingerprint, learnt: how ?? 'by-hand' }));
  }

  async distrust(id: string, how?: 'connect'): Promise<TrustedNode> {
    const { store } = this.#c;
    return known(await (how === 'connect' ? store.part(id) : store.remove(id)));
  }

  #summary({ id, createdAtMs, untilMs }: MeshKey): KeySummary {
    return {
      id,
      source: id === this.#c.givenKeyId ? 'given' : 'file',
      createdAtMs: createdAtMs === 0 ? null : createdAtMs,
      untilMs: untilMs ?? null,
      current: id === this.#c.keys.current?.id,
    };
  }
}

/** The words behind `exo join`; the whole line as it was copied is taken too. */
function wordsOf(text: string): string[] {
  const words = text.trim().split(/\s+/);
  return words[0] === 'exo' && words[1] === 'join' ? words.slice(2) : words;
}

function readAddress(text: string): Address {
  try {
    return parseAddress(text);
  } catch (error) {
    throw new ExoError('option-invalid', `--address: ${(error as Error).message}`);
  }
}

function known({ id, fingerprint, trust, learnt, sinceMs }: KnownNode): TrustedNode {
  return { id, fingerprint, trust, how: learnt, sinceMs };
}
