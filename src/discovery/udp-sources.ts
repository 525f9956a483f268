/**
 * How many datagrams of which source are read. Proven sources have a limiter of their own, so that no number
 * of strangers can evict or starve them. Of fixed size; udp.ts asks it before it parses anything.
 */
import { isLoopback, LIMITS, SourceLimiter } from '../shared/index.js';

/** One per listener. */
export class UdpSources {
  readonly #isProvenHost: (host: string) => boolean;
  readonly #proven = limiter();
  readonly #strangers = limiter();

  constructor(isProvenHost: (host: string) => boolean) {
    this.#isProvenHost = isProvenHost;
  }

  /** Whether one more datagram of this source is read. */
  take(host: string, port: number, nowMs: number): boolean {
    // On one machine every node has the same address; its socket's port tells them apart.
    const source = isLoopback(host) ? `${host}:${port}` : host;
    return (this.#isProvenHost(host) ? this.#proven : this.#strangers).take(source, nowMs);
  }

  /** Sources remembered, for the bound. */
  get size(): number {
    return this.#proven.size + this.#strangers.size;
  }
}

function limiter(): SourceLimiter {
  return new SourceLimiter(
    LIMITS.datagramsPerSecondPerSource,
    LIMITS.datagramBurst,
    LIMITS.datagramSourcesMax,
  );
}
