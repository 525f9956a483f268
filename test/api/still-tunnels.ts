/** Tunnels that stand still: what was asked of them is kept. Not a test. */
import { ExoError } from '../../src/shared/index.js';
import type { TunnelEvent, TunnelSpec, TunnelStatus, Tunnels } from '../../src/tunnels/index.js';

/** One that is up; fields as wanted. */
export function tunnelStatus(over: Partial<TunnelStatus> = {}): TunnelStatus {
  return {
    name: 'mac2',
    source: 'peers-file',
    peer: 'mac2',
    destination: 'remoteuser@192.168.2.1',
    driver: 'openssh',
    state: 'up',
    reason: 'a health check came back',
    code: null,
    sinceAtMs: 1_700_000_000_000,
    upSinceAtMs: 1_700_000_000_000,
    restarts: 1,
    nextTryInMs: null,
    bytesIn: 2_048,
    bytesOut: 1_024,
    rttMs: 1.25,
    forwards: [
      {
        kind: 'L',
        text: '50052:localhost:50051',
        listen: '127.0.0.1:50052',
        target: 'localhost:50051',
        verdict: 'ok',
        rttMs: 1.25,
      },
      {
        kind: 'R',
        text: '50060:localhost:50060',
        listen: 'localhost:50060',
        target: 'localhost:50060',
        verdict: 'ok',
        rttMs: 1.5,
      },
    ],
    pid: 4711,
    cipher: 'aes128-gcm@openssh.com',
    notes: [],
    ...over,
  };
}

/** A list of statuses behind the interface of the manager. */
export class StillTunnels implements Tunnels {
  readonly statuses = new Map<string, TunnelStatus>();
  readonly events = new Map<string, readonly TunnelEvent[]>();
  readonly opened: TunnelSpec[] = [];
  readonly closed: string[] = [];
  readonly retried: Array<string | undefined> = [];
  waitedFor = 0;
  /** When what is gone has let go of its ports. */
  releases: Promise<void> = Promise.resolve();

  add(status: TunnelStatus, history: readonly TunnelEvent[] = []): void {
    this.statuses.set(status.name, status);
    this.events.set(status.name, history);
  }

  list(): readonly TunnelStatus[] {
    return [...this.statuses.values()];
  }

  get(name: string): TunnelStatus {
    const status = this.statuses.get(name);
    if (status !== undefined) return status;
    throw new ExoError('tunnel-unknown', `no tunnel is called "${name}"`);
  }

  history(name: string): readonly TunnelEvent[] {
    this.get(name);
    return this.events.get(name) ?? [];
  }

  open(spec: TunnelSpec): TunnelStatus {
    if (this.statuses.has(spec.name)) {
      throw new ExoError('tunnel-exists', `there is a tunnel "${spec.name}" already`);
    }
    this.opened.push(spec);
    const status = tunnelStatus({
      name: spec.name,
      source: spec.source,
      peer: null,
      destination: spec.destination.text,
      state: 'starting',
      reason: 'ssh connects',
      upSinceAtMs: null,
    });
    this.add(status);
    return status;
  }

  async close(name: string): Promise<void> {
    this.get(name);
    this.closed.push(name);
    this.statuses.delete(name);
  }

  retry(name?: string): void {
    if (name !== undefined) this.get(name);
    this.retried.push(name);
  }

  async released(): Promise<void> {
    this.waitedFor += 1;
    await this.releases;
  }

  onChange(): () => void {
    return () => undefined;
  }
}
