/** Notices that the network changed: an interface or an address came or went. Looks at the list every two seconds. */
import { networkInterfaces } from 'node:os';
import { type Clock, LIMITS, type TimerHandle } from '../shared/index.js';

/** Calls `onChange` when the text is another one than before, until stopped. */
export function watchNetwork(clock: Clock, interfaces: () => string, onChange: () => void): TimerHandle {
  let last = interfaces();
  return clock.every(LIMITS.tunnelNetworkCheckMs, () => {
    const now = interfaces();
    if (now === last) return;
    last = now;
    onChange();
  });
}

/** Names and addresses of all interfaces that are up, as one text. Temporary IPv6 addresses count: they come with a network. */
export function interfacesText(): string {
  return Object.entries(networkInterfaces())
    .flatMap(([name, addresses]) => (addresses ?? []).map(({ address }) => `${name} ${address}`))
    .sort()
    .join('\n');
}
