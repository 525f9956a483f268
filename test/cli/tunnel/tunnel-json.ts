/** A tunnel as the API tells it. Not a test. */
import type { ForwardJson, TunnelEventJson, TunnelJson } from '../../../src/cli/api-shapes.js';

export function forward(over: Partial<ForwardJson> = {}): ForwardJson {
  return {
    kind: 'L',
    text: '50052:localhost:50051',
    listen: '127.0.0.1:50052',
    target: 'localhost:50051',
    verdict: 'ok',
    rtt_ms: 1.25,
    ...over,
  };
}

export function tunnel(over: Partial<TunnelJson> = {}): TunnelJson {
  return {
    name: 'mac2',
    source: 'peers-file',
    peer: 'mac2',
    destination: 'remoteuser@192.168.2.1',
    driver: 'openssh',
    state: 'up',
    reason: '',
    code: null,
    since_at_ms: 1_000,
    up_since_at_ms: 1_000,
    restarts: 2,
    next_try_ms: null,
    bytes_in: 2_048,
    bytes_out: 1_024,
    rtt_ms: 1.25,
    forwards: [forward()],
    pid: 4711,
    cipher: 'aes128-gcm@openssh.com',
    notes: [],
    ...over,
  };
}

export function event(over: Partial<TunnelEventJson> = {}): TunnelEventJson {
  return { at_ms: 1_000, from: 'gate', to: 'up', code: null, reason: 'a health check came back', ...over };
}
