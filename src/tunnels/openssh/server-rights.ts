/**
 * What a server allowed when it was last asked: a pty, a command, or no session at all. So that a server that refuses
 * costs a second login once and not at every start, and one whose shell is slow (or whose forced command says nothing) is
 * waited for once. The driver keeps one for all its sessions; pure.
 */
import { BoundedMap, type Clock, LIMITS } from '../../shared/index.js';
import type { TunnelSpec } from '../description/tunnel-spec.js';

/** How the session of a connection is held, best first. */
export type SessionMode = 'pty' | 'command' | 'none';

/** After this the server is asked again: its configuration may have been mended. */
const FORGET_AFTER_MS = 10 * 60_000;
/** From standing forwards to the anchor's word: a shell's start, several times over. */
const ANCHOR_WAIT_MS = 3_000;
/** Where it was later than that the last time. */
const ANCHOR_WAIT_AGAIN_MS = 250;

/** By destination. */
export class ServerRights {
  readonly #clock: Clock;
  readonly #refused = new BoundedMap<string, { readonly mode: SessionMode; readonly atMs: number }>(
    LIMITS.tunnelsMax,
  );
  /** When the anchor of a tunnel was late. */
  readonly #late = new BoundedMap<string, number>(LIMITS.tunnelsMax);

  constructor(components: { readonly clock: Clock }) {
    this.#clock = components.clock;
  }

  /** The best mode that is worth a try, at most `wanted`. */
  modeFor(spec: TunnelSpec, wanted: SessionMode): SessionMode {
    const key = keyOf(spec);
    const known = this.#refused.get(key);
    if (known === undefined) return wanted;
    if (this.#clock.now() - known.atMs > FORGET_AFTER_MS) {
      this.#refused.delete(key);
      return wanted;
    }
    const plainer = plainerThan(known.mode);
    return rank(plainer) > rank(wanted) ? plainer : wanted;
  }

  /** How long the anchor's word is waited for, milliseconds. */
  anchorWaitMs(spec: TunnelSpec): number {
    const lateAtMs = this.#late.get(keyOf(spec)) ?? Number.NEGATIVE_INFINITY;
    return this.#clock.now() - lateAtMs > FORGET_AFTER_MS ? ANCHOR_WAIT_MS : ANCHOR_WAIT_AGAIN_MS;
  }

  /** The anchor has spoken in time, or has not. */
  anchored(spec: TunnelSpec, when: 'held' | 'late'): void {
    if (when === 'late') this.#late.set(keyOf(spec), this.#clock.now());
    else this.#late.delete(keyOf(spec));
  }

  /** The server refused `mode`. */
  refused(spec: TunnelSpec, mode: SessionMode): void {
    if (mode !== 'none') this.#refused.set(keyOf(spec), { mode, atMs: this.#clock.now() });
  }
}

/** The next plainer mode. */
export function plainerThan(mode: SessionMode): SessionMode {
  return mode === 'pty' ? 'command' : 'none';
}

function rank(mode: SessionMode): number {
  return ['pty', 'command', 'none'].indexOf(mode);
}

/** One entry per tunnel: what is refused may depend on the key. */
function keyOf(spec: TunnelSpec): string {
  return spec.name;
}
