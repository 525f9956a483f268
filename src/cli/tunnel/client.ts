/** Tunnels of a running node, over its API. Every call rejects with what the node said, or `api-unreachable`. */
import type { Clock } from '../../shared/index.js';
import { callApi } from '../api-client.js';
import type { TunnelDetailJson, TunnelJson, TunnelRequestJson, TunnelsJson } from '../api-shapes.js';
import type { ApiTarget } from '../target.js';

/** A close waits until ssh is gone; a reload until the file was read, and for the ssh of what it has no more. */
const ACT_TIMEOUT_MS = 15_000;

/** Calls to one node. */
export class TunnelClient {
  readonly #clock: Clock;
  readonly #target: ApiTarget;

  constructor(clock: Clock, target: ApiTarget) {
    this.#clock = clock;
    this.#target = target;
  }

  list(signal?: AbortSignal): Promise<TunnelsJson> {
    return this.#call('GET', '/v1/tunnels', undefined, signal);
  }

  /** Rejects with `tunnel-unknown`. */
  get(name: string, signal?: AbortSignal): Promise<TunnelDetailJson> {
    return this.#call('GET', pathOf(name), undefined, signal);
  }

  /** Opens it and does not wait. Rejects with `tunnel-exists`, `tunnel-clash` or `tunnel-spec-invalid`. */
  async open(request: TunnelRequestJson): Promise<TunnelJson> {
    const { tunnel } = await this.#call<{ tunnel: TunnelJson }>('POST', '/v1/tunnels', request);
    return tunnel;
  }

  /** Resolves with how it was, once its ssh is gone. Rejects with `tunnel-unknown`. */
  async close(name: string): Promise<TunnelJson> {
    return (await this.#call<{ tunnel: TunnelJson }>('DELETE', pathOf(name))).tunnel;
  }

  /** Reads peers.json and tries again what does not stand. Rejects with `tunnel-unknown` or `peers-file-*`. */
  reload(name?: string): Promise<TunnelsJson> {
    return this.#call('POST', '/v1/tunnels/reload', name === undefined ? {} : { name });
  }

  #call<T>(
    method: 'GET' | 'POST' | 'DELETE',
    path: string,
    body?: unknown,
    signal?: AbortSignal,
  ): Promise<T> {
    return callApi<T>(this.#clock, this.#target, {
      method,
      path,
      ...(body === undefined ? {} : { body }),
      ...(method === 'GET' ? {} : { timeoutMs: ACT_TIMEOUT_MS }),
      ...(signal === undefined ? {} : { signal }),
    });
  }
}

function pathOf(name: string): string {
  return `/v1/tunnels/${encodeURIComponent(name)}`;
}
