/**
 * What a round of probes over all forwards says about a tunnel, in one verdict and in words. Pure; called by the
 * supervisor after every round.
 */
import { formatEndpoint } from '../description/endpoint-text.js';
import type { Forward, TunnelSpec } from '../description/tunnel-spec.js';
import type { ProbeResult } from './supervisor-events.js';

/** The verdict of a round. `answered`: something came back through ssh, so the path to the server works. */
export type Judgement =
  | { readonly proven: true; readonly answered: boolean }
  | {
      readonly proven: false;
      readonly answered: true;
      readonly code: 'remote-node-down' | 'port-mismatch';
      readonly reason: string;
    }
  | { readonly proven: false; readonly answered: false; readonly reason: string };

/** The forwards in the order of all results: `-L` first. */
export function forwardsOf(spec: TunnelSpec): ReadonlyArray<{ kind: 'L' | 'R'; forward: Forward }> {
  return [
    ...spec.forward.map((forward) => ({ kind: 'L' as const, forward })),
    ...spec.reverse.map((forward) => ({ kind: 'R' as const, forward })),
  ];
}

/** One result per forward, in the order of `forwardsOf`. Forwards that could not be tested do not speak. */
export function judge(spec: TunnelSpec, results: readonly ProbeResult[]): Judgement {
  const of = (verdict: ProbeResult['verdict']) => results.findIndex((result) => result.verdict === verdict);
  const [mismatch, closed, silent] = [of('not-exo'), of('closed'), of('silent')];
  const answered = results.some(({ verdict }) => verdict !== 'silent' && verdict !== 'untested');
  if (mismatch >= 0) {
    const reason = `what answers at ${target(spec, mismatch)} is no exo node (${results[mismatch]!.detail}): correct the port, or start exo with --node-port there`;
    return { proven: false, answered: true, code: 'port-mismatch', reason };
  }
  if (closed >= 0) {
    const reason = `ssh works, and nothing listens at ${target(spec, closed)}: start exo there`;
    return { proven: false, answered: true, code: 'remote-node-down', reason };
  }
  if (silent < 0) return { proven: true, answered };
  if (answered) {
    const reason = `ssh works, and what listens at ${target(spec, silent)} does not answer: it hangs, or is cut off`;
    return { proven: false, answered: true, code: 'remote-node-down', reason };
  }
  return { proven: false, answered: false, reason: results[silent]!.detail };
}

/** `localhost:50051 on the far machine (-L 50052:localhost:50051)`. */
export function target(spec: TunnelSpec, index: number): string {
  const { kind, forward } = forwardsOf(spec)[index]!;
  const where = kind === 'L' ? 'as the far machine sees it' : 'on this machine';
  return `${formatEndpoint(forward.target)} ${where} (-${kind} ${forward.text})`;
}
