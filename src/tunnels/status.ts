/** What a tunnel shows of itself: its supervisor's view and what the runner knows, in the public shape. Pure. */

import { formatEndpoint } from './description/endpoint-text.js';
import type { DriverName, TunnelSpec } from './description/tunnel-spec.js';
import { forwardsOf } from './supervisor/judgement.js';
import type { SupervisorView } from './supervisor/supervisor-events.js';
import type { ForwardStatus, TunnelStatus } from './tunnel-status.js';

/** What the runner adds. */
export interface StatusExtras {
  readonly nowMs: number;
  readonly driver: DriverName | null;
  readonly sinceAtMs: number;
  readonly upSinceAtMs: number | null;
  readonly bytes: { readonly in: number; readonly out: number } | undefined;
  readonly notes: readonly string[];
}

/** The status of one tunnel. */
export function statusOf(spec: TunnelSpec, view: SupervisorView, extras: StatusExtras): TunnelStatus {
  const { facts, tryAtMs } = view;
  return {
    name: spec.name,
    source: spec.source,
    peer: spec.peer ?? null,
    destination: spec.destination.text,
    driver: extras.driver,
    state: view.state,
    reason: view.reason,
    code: view.code,
    sinceAtMs: extras.sinceAtMs,
    upSinceAtMs: extras.upSinceAtMs,
    restarts: view.restarts,
    nextTryInMs: tryAtMs === undefined ? null : Math.max(0, Math.round(tryAtMs - extras.nowMs)),
    bytesIn: extras.bytes?.in ?? null,
    bytesOut: extras.bytes?.out ?? null,
    rttMs: view.rttMs ?? null,
    forwards: forwardsOf(spec).map((_, index) => forwardStatus(spec, view, index)),
    pid: facts?.pid ?? null,
    cipher: facts?.cipher ?? null,
    notes: view.note === undefined ? extras.notes : [...extras.notes, view.note],
  };
}

function forwardStatus(spec: TunnelSpec, view: SupervisorView, index: number): ForwardStatus {
  const { kind, forward } = forwardsOf(spec)[index]!;
  const result = view.results[index];
  const ports = kind === 'L' ? view.facts?.forwardPorts : view.facts?.reversePorts;
  const port = ports?.[kind === 'L' ? index : index - spec.forward.length];
  const listen =
    forward.listen.kind === 'tcp' && port !== undefined ? { ...forward.listen, port } : forward.listen;
  return {
    kind,
    text: forward.text,
    listen: formatEndpoint(listen),
    target: formatEndpoint(forward.target),
    verdict: result?.verdict ?? 'untested',
    rttMs: result?.rttMs ?? null,
  };
}
