/** The times of one session: those that the description sets in the words of ssh, in seconds, before those of the node. */

import type { TunnelSpec } from '../description/tunnel-spec.js';
import type { SessionOptions } from '../driver.js';

/** What a description may set for itself; times in milliseconds. */
export type SessionTimes = Pick<
  SessionOptions,
  'connectTimeoutMs' | 'keepaliveIntervalMs' | 'keepaliveCountMax'
>;

/** The times that hold for `spec`. A value that is no number above 0 is passed over. */
export function sessionTimes(spec: Pick<TunnelSpec, 'options'>, options: SessionTimes): SessionTimes {
  const set = (name: string): number | undefined => {
    const value = Number(spec.options[name]);
    return Number.isFinite(value) && value > 0 ? value : undefined;
  };
  const milliseconds = (name: string): number | undefined => {
    const seconds = set(name);
    return seconds === undefined ? undefined : seconds * 1_000;
  };
  return {
    connectTimeoutMs: milliseconds('ConnectTimeout') ?? options.connectTimeoutMs,
    keepaliveIntervalMs: milliseconds('ServerAliveInterval') ?? options.keepaliveIntervalMs,
    keepaliveCountMax: set('ServerAliveCountMax') ?? options.keepaliveCountMax,
  };
}
