/** Keys and trust of a running node, over the owner's API. Every call rejects with what the node said. */
import type { Clock } from '../../shared/index.js';
import { type ApiCall, callApi } from '../api-client.js';
import type { ApiTarget } from '../target.js';
import type {
  InvitationJson,
  JoinedJson,
  KeyJson,
  ShownKeyJson,
  TrustDesk,
  TrustedJson,
  TrustListJson,
} from './shapes.js';

/** A join dials another machine and proves itself there. */
const JOIN_TIMEOUT_MS = 30_000;

/** The desk of one running node. */
export class RemoteDesk implements TrustDesk {
  readonly running: string;
  readonly #clock: Clock;
  readonly #target: ApiTarget;

  constructor(clock: Clock, target: ApiTarget, name: string) {
    this.#clock = clock;
    this.#target = target;
    this.running = name;
  }

  async keys(): Promise<readonly KeyJson[]> {
    return (await this.#call<{ keys: KeyJson[] }>('GET', '/v1/keys')).keys;
  }

  async showKeys(): Promise<readonly ShownKeyJson[]> {
    return (await this.#call<{ keys: ShownKeyJson[] }>('POST', '/v1/keys/show', {})).keys;
  }

  async newKey(): Promise<KeyJson> {
    return (await this.#call<{ key: KeyJson }>('POST', '/v1/keys/new', {})).key;
  }

  async joinKey(key: string, replace: boolean): Promise<KeyJson> {
    return (await this.#call<{ key: KeyJson }>('POST', '/v1/keys/join', { key, replace })).key;
  }

  async rotateKey(graceMs: number | undefined): Promise<KeyJson> {
    const body = graceMs === undefined ? {} : { grace_ms: graceMs };
    return (await this.#call<{ key: KeyJson }>('POST', '/v1/keys/rotate', body)).key;
  }

  async forgetKey(id: string): Promise<void> {
    await this.#call('DELETE', `/v1/keys/${encodeURIComponent(id)}`);
  }

  async invite(address: string | undefined): Promise<InvitationJson> {
    const { line, expires_at_ms } = await this.#call<InvitationJson>(
      'POST',
      '/v1/keys/invite',
      address === undefined ? {} : { address },
    );
    return { line, expires_at_ms };
  }

  async join(invitation: string): Promise<JoinedJson> {
    const { id, fingerprint, address, key_id } = await this.#call<JoinedJson>(
      'POST',
      '/v1/trust/join',
      { invitation },
      JOIN_TIMEOUT_MS,
    );
    return { id, fingerprint, address, key_id };
  }

  async list(): Promise<TrustListJson> {
    const { self, trusted } = await this.#call<TrustListJson>('GET', '/v1/trust');
    return { self, trusted };
  }

  async trust(id: string, fingerprint: string, how?: 'connect'): Promise<TrustedJson> {
    const body = { id, fingerprint, ...(how === undefined ? {} : { how }) };
    return (await this.#call<{ node: TrustedJson }>('POST', '/v1/trust', body)).node;
  }

  async distrust(id: string, how?: 'connect'): Promise<TrustedJson> {
    const path = `/v1/trust/${encodeURIComponent(id)}${how === undefined ? '' : `?how=${how}`}`;
    return (await this.#call<{ node: TrustedJson }>('DELETE', path)).node;
  }

  #call<T>(method: ApiCall['method'], path: string, body?: object, timeoutMs?: number): Promise<T> {
    return callApi<T>(this.#clock, this.#target, {
      method,
      path,
      ...(body === undefined ? {} : { body }),
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
    });
  }
}
