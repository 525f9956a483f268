/**
 * One direction of a stream of the in-memory network: what waits at the sender, what is on its way, and when it is
 * delivered. Behaves as TCP does: order is kept, a window bounds what is on its way, a cut holds bytes back, a reset
 * arrives after what was sent before it. Acknowledgements take no time; congestion is not modelled.
 */
import type { TimerHandle } from '../../shared/index.js';
import { type KeepaliveAnswer, MemoryKeepalive } from './memory-keepalive.js';
import type { LinkUser, MemoryLink } from './memory-link.js';
import type { PipeEnd } from './memory-pipe-end.js';
import type { MemoryScheduler, Runnable } from './memory-scheduler.js';

/** What can be seen on its arrival. */
export type PipeEvent = 'open' | 'data' | 'fin' | 'reset';

interface Segment {
  readonly kind: 'open' | 'data' | 'fin';
  readonly bytes: Buffer;
  atMs: number;
  /** `open` only: the other end comes into being, or never will. */
  readonly opened?: (alive: boolean) => void;
}

/** What a pipe stands between. */
export interface PipeEnds {
  readonly source: PipeEnd;
  readonly target: PipeEnd;
  readonly link: MemoryLink;
  /** The other direction's link: it carries the acknowledgements. */
  readonly backLink: MemoryLink;
  readonly onEvent?: (kind: PipeEvent, bytes: number) => void;
}

const NO_BYTES = Buffer.alloc(0);
/** Pieces on their way: tiny ones cost more than their bytes. */
const SEGMENTS_MAX = 1_024;

/** One direction. */
export class MemoryPipe implements Runnable, LinkUser {
  /** Written and not yet taken by the link. */
  pendingBytes = 0;
  readonly #scheduler: MemoryScheduler;
  readonly #ends: PipeEnds;
  #back: MemoryPipe | undefined;
  #pending: Uint8Array[] = [];
  #flight: Segment[] = [];
  /** Taken and not yet acknowledged: bounded by the link's window. */
  #unackedBytes = 0;
  /** Delivered while the way back was cut. */
  #owedBytes = 0;
  #lastArrivalMs = 0;
  #finWanted = false;
  #finTaken = false;
  #resetAtMs: number | undefined;
  #lifeBytes: number;
  #over = false;
  #queued = false;
  #timer: { readonly atMs: number; readonly handle: TimerHandle } | undefined;
  #keepalive: MemoryKeepalive | undefined;

  constructor(scheduler: MemoryScheduler, ends: PipeEnds) {
    this.#scheduler = scheduler;
    this.#ends = ends;
    this.#lifeBytes = ends.link.lifeBytes();
    ends.link.pipes.add(this);
  }

  /** Ties the two directions of a stream together. */
  join(back: MemoryPipe): void {
    this.#back = back;
  }

  /** The first thing to travel: the other end comes into being when it arrives. */
  open(opened: (alive: boolean) => void): void {
    this.#send({ kind: 'open', bytes: NO_BYTES, opened, atMs: 0 });
  }

  /** The sender's bytes; kept, not copied, until the link takes them. */
  add(chunks: readonly Uint8Array[]): void {
    if (this.#ends.source.dead) return;
    for (const chunk of chunks) {
      if (chunk.length === 0) continue;
      this.#pending.push(chunk);
      this.pendingBytes += chunk.length;
    }
    this.wake();
  }

  /** FIN after everything that was added. */
  end(): void {
    this.#finWanted = true;
    this.wake();
  }

  /** RST: what the link has not taken is lost, what it has taken arrives before. */
  reset(): void {
    if (this.#ends.source.dead) return;
    this.#clearPending();
    const nowMs = this.#scheduler.clock.now();
    this.#resetAtMs ??= Math.max(this.#lastArrivalMs, this.#ends.link.arrivalMs(nowMs, 0));
    this.wake();
  }

  /** RST from the path or from a machine that does not know the stream: nothing arrives before it. */
  breakNow(): void {
    this.#clearPending();
    this.#clearFlight();
    this.#resetAtMs = this.#scheduler.clock.now();
    this.wake();
  }

  /** The sender is gone, or was told RST: what is on its way still arrives, the rest is lost. */
  silence(): void {
    this.#clearPending();
  }

  /** The sender's machine lost its power: nothing arrives any more, and nobody is told. */
  lose(): void {
    this.#clearPending();
    this.#clearFlight();
    this.#resetAtMs = undefined;
    // The other end went down before: no machine knows the stream any more.
    if (this.#ends.target.dead) {
      this.drop();
      this.#back?.drop();
      return;
    }
    const end = () => {
      this.#back?.drop();
      this.breakNow();
    };
    this.#keepalive ??= new MemoryKeepalive(this.#scheduler.clock, () => this.#back!.#probe(), end);
  }

  /** The sender asks whether the other machine, which lost its power, still knows the stream. */
  #probe(): KeepaliveAnswer {
    const { target, link, backLink } = this.#ends;
    if (this.#flight.length > 0 || this.pendingBytes > 0) return 'busy';
    return target.host.up && !link.cut && !backLink.cut ? 'unknown' : 'none';
  }

  /** The receiver is gone. */
  drop(): void {
    this.#over = true;
    this.#clearPending();
    this.#clearFlight();
    this.#timer?.handle.cancel();
    this.#timer = undefined;
    this.#keepalive?.cancel();
    this.#ends.link.pipes.delete(this);
  }

  /** The path is open again: everything on its way sets out anew, as TCP sends again what was not acknowledged. */
  restart(): void {
    const nowMs = this.#scheduler.clock.now();
    this.#lastArrivalMs = 0;
    for (const segment of this.#flight) segment.atMs = this.#arrivalMs(nowMs, segment);
    if (this.#resetAtMs !== undefined) {
      this.#resetAtMs = Math.max(this.#lastArrivalMs, this.#ends.link.arrivalMs(nowMs, 0));
    }
    this.wake();
  }

  /** The way back is open again: late acknowledgements arrive. */
  settle(): void {
    this.#unackedBytes -= this.#owedBytes;
    this.#owedBytes = 0;
    this.wake();
  }

  /** Looks soon at what can be taken and delivered. */
  wake(): void {
    if (this.#queued || this.#over) return;
    this.#queued = true;
    this.#scheduler.soon(this);
  }

  run(): void {
    this.#queued = false;
    if (this.#over) return;
    this.#take();
    this.#deliver();
    if (!this.#over) this.#arm();
  }

  /** The link takes what fits into the window. */
  #take(): void {
    const { source, link } = this.#ends;
    if (source.host.frozen || source.dead || this.#resetAtMs !== undefined) return;
    let takenBytes = 0;
    while (this.pendingBytes > 0 && takenBytes < link.windowBytes && this.#flight.length < SEGMENTS_MAX) {
      const bytes = link.pieceBytes(
        Math.min(
          this.pendingBytes,
          link.windowBytes - this.#unackedBytes,
          this.#scheduler.scratch.length,
          this.#lifeBytes,
        ),
      );
      if (bytes <= 0) break;
      takenBytes += bytes;
      this.#lifeBytes -= bytes;
      this.#unackedBytes += bytes;
      this.#send({ kind: 'data', bytes: this.#gather(bytes), atMs: 0 });
    }
    if (this.#lifeBytes <= 0) {
      this.#breakPath();
    } else if (this.#finWanted && !this.#finTaken && this.pendingBytes === 0) {
      this.#finTaken = true;
      this.#send({ kind: 'fin', bytes: NO_BYTES, atMs: 0 });
      source.taken(true);
    }
    if (takenBytes > 0) source.taken(false);
    // The window was used up in one go: others get their turn, then this goes on.
    if (takenBytes > 0 && this.pendingBytes > 0) this.wake();
  }

  #deliver(): void {
    const { target } = this.#ends;
    while (this.#flight.length > 0 && this.#canArrive()) {
      const segment = this.#flight[0]!;
      if (segment.atMs > this.#scheduler.clock.now()) break;
      if (segment.kind !== 'open' && target.held) break;
      if (segment.kind !== 'open' && target.paused) break;
      this.#flight.shift();
      this.#arrived(segment);
    }
    if (this.#resetAtMs === undefined || this.#resetAtMs > this.#scheduler.clock.now()) return;
    if (this.#over || !this.#canArrive() || target.held) return;
    this.#ends.onEvent?.('reset', 0);
    target.receiveReset();
  }

  #arrived(segment: Segment): void {
    const { target } = this.#ends;
    this.#ends.onEvent?.(segment.kind, segment.bytes.length);
    if (segment.kind === 'open') {
      segment.opened?.(true);
    } else if (segment.kind === 'fin') {
      target.receiveEnd();
    } else {
      this.#acknowledge(segment.bytes.length);
      const { scratch } = this.#scheduler;
      segment.bytes.copy(scratch);
      target.receive(scratch.subarray(0, segment.bytes.length));
    }
  }

  /** False while the path or the other side lets nothing through. A machine that was restarted answers RST. */
  #canArrive(): boolean {
    const { target, link } = this.#ends;
    if (this.#over || link.cut || !target.host.up) return false;
    if (target.dead) {
      this.drop();
      this.#back?.breakNow();
      return false;
    }
    return !target.host.frozen;
  }

  #acknowledge(bytes: number): void {
    if (this.#ends.backLink.cut) {
      this.#owedBytes += bytes;
      return;
    }
    this.#unackedBytes -= bytes;
    if (this.pendingBytes > 0) this.wake();
  }

  /** The path itself breaks the stream, as a router without memory does: both ends get RST. */
  #breakPath(): void {
    this.#clearPending();
    this.#resetAtMs = this.#lastArrivalMs;
    this.#back?.breakNow();
  }

  #send(segment: Segment): void {
    segment.atMs = this.#arrivalMs(this.#scheduler.clock.now(), segment);
    this.#flight.push(segment);
    this.wake();
  }

  #arrivalMs(nowMs: number, segment: Segment): number {
    const { link } = this.#ends;
    const delayMs = segment.kind === 'fin' ? (link.profile.closeDelayMs ?? 0) : 0;
    const atMs = Math.max(this.#lastArrivalMs, link.arrivalMs(nowMs, segment.bytes.length) + delayMs);
    this.#lastArrivalMs = atMs;
    return atMs;
  }

  /** A copy of the next `bytes`: from here on the sender may reuse its memory. */
  #gather(bytes: number): Buffer {
    const out = Buffer.allocUnsafe(bytes);
    let filled = 0;
    let used = 0;
    while (filled < bytes) {
      const chunk = this.#pending[used]!;
      const part = Math.min(chunk.length, bytes - filled);
      out.set(part === chunk.length ? chunk : chunk.subarray(0, part), filled);
      filled += part;
      if (part === chunk.length) used += 1;
      else this.#pending[used] = chunk.subarray(part);
    }
    this.#pending.splice(0, used);
    this.pendingBytes -= bytes;
    return out;
  }

  #clearPending(): void {
    this.#pending = [];
    this.pendingBytes = 0;
    this.#finWanted = false;
  }

  #clearFlight(): void {
    const lost = this.#flight;
    this.#flight = [];
    for (const segment of lost) segment.opened?.(false);
  }

  /** A timer for what arrives next, unless something other than time holds it back. */
  #arm(): void {
    const nextMs = this.#nextMs();
    if (this.#timer?.atMs === nextMs) return;
    this.#timer?.handle.cancel();
    this.#timer = undefined;
    const waitMs = nextMs - this.#scheduler.clock.now();
    if (waitMs === Number.POSITIVE_INFINITY) return;
    if (waitMs <= 0) {
      // On a real clock it fell due since `deliver` looked.
      this.wake();
      return;
    }
    const handle = this.#scheduler.clock.after(waitMs, () => {
      this.#timer = undefined;
      this.wake();
    });
    this.#timer = { atMs: nextMs, handle };
  }

  #nextMs(): number {
    const { target, link } = this.#ends;
    if (link.cut || target.host.frozen || !target.host.up) return Number.POSITIVE_INFINITY;
    const head = this.#flight[0];
    if (head?.kind === 'open') return head.atMs;
    if (target.held) return Number.POSITIVE_INFINITY;
    const headMs = head === undefined || target.paused ? Number.POSITIVE_INFINITY : head.atMs;
    return Math.min(headMs, this.#resetAtMs ?? Number.POSITIVE_INFINITY);
  }
}
