/** One time of trouble: one to three faults that begin within seconds of each other and have all ended at its end. */
import type { LinkName, LinkProfile } from '../../src/protocol/index.js';
import { type Random, randomInt } from '../../src/shared/index.js';
import { type Action, pairs, pick, type Step } from './plan.js';

/** Where an episode stands in the run. */
export interface EpisodePlace {
  readonly beginsMs: number;
  /** A node that was left down by the episode before; it comes back in this one. */
  readonly down: string | undefined;
}

/** What an episode does. */
export interface Episode {
  readonly steps: readonly Step[];
  readonly endsMs: number;
  /** A node that stays away until the next one. */
  readonly down: string | undefined;
}

const FAULT_MS_MAX = 25_000;
const BEGIN_WITHIN_MS = 4_000;
/** A pause up to here is a slow machine, not an absent one. */
export const SLOW_MS_MAX = 2_000;
const JUMP_MS_MAX = 3 * 60 * 60_000;
const BAD_LINKS: ReadonlyArray<LinkName | LinkProfile> = [
  'weak-4g',
  'slow-3g',
  'congested-cellular',
  'very-bad',
  'satellite',
  { latencyMs: 250, jitterMs: 200 },
  { latencyMs: 20, jitterMs: 5, lossShare: 0.2 },
  { latencyMs: 5, bytesPerSecond: 64 * 1024 },
];
const KINDS = [
  'partition',
  'one-way',
  'isolation',
  'slow',
  'slow',
  'pause',
  'pause',
  'jump',
  'bad-links',
  'bad-links',
  'reset',
  'stop',
  'kill',
  'kill',
  'power',
] as const;
type Kind = (typeof KINDS)[number];

/** Draws an episode. */
export function episode(random: Random, ids: readonly string[], place: EpisodePlace): Episode {
  return new Drawing(random, ids, place).draw();
}

class Drawing {
  readonly #random: Random;
  readonly #ids: readonly string[];
  readonly #place: EpisodePlace;
  readonly #steps: Step[] = [];
  /** Nodes that nothing has been drawn for. */
  readonly #free: Set<string>;
  #isCut = false;
  #endsMs: number;
  #down: string | undefined;

  constructor(random: Random, ids: readonly string[], place: EpisodePlace) {
    this.#random = random;
    this.#ids = ids;
    this.#place = place;
    this.#free = new Set(ids.filter((id) => id !== place.down));
    this.#endsMs = place.beginsMs;
  }

  draw(): Episode {
    const { down } = this.#place;
    if (down !== undefined) this.#add(this.#beginMs(), { kind: 'start', node: down });
    const faults = randomInt(this.#random, 1, 3);
    for (let fault = 0; fault < faults; fault += 1) this.#fault(pick(this.#random, KINDS));
    return { steps: this.#steps, endsMs: this.#endsMs, down: this.#down };
  }

  #fault(kind: Kind): void {
    const random = this.#random;
    const fromMs = this.#beginMs();
    const toMs = fromMs + randomInt(random, 200, random.next() < 0.5 ? 8_000 : FAULT_MS_MAX);
    switch (kind) {
      case 'partition':
        this.#cut(fromMs, toMs, this.#halves());
        break;
      case 'one-way':
        this.#cut(fromMs, toMs, [this.#pair()]);
        break;
      case 'isolation': {
        const node = pick(random, this.#ids);
        const others = this.#ids.filter((id) => id !== node);
        this.#cut(
          fromMs,
          toMs,
          others.flatMap((id) => [[node, id] as const, [id, node] as const]),
        );
        break;
      }
      case 'slow':
        this.#pause(fromMs, randomInt(random, 50, SLOW_MS_MAX - 1));
        break;
      case 'pause':
        this.#pause(fromMs, Math.max(SLOW_MS_MAX, toMs - fromMs));
        break;
      case 'jump': {
        const byMs = Math.round((random.next() * 2 - 1) * (random.next() < 0.5 ? 10_000 : JUMP_MS_MAX));
        this.#add(fromMs, { kind: 'jump', node: pick(random, this.#ids), byMs });
        break;
      }
      case 'bad-links':
        this.#badLinks(fromMs, toMs);
        break;
      case 'reset': {
        const [from, to] = this.#pair();
        this.#add(fromMs, { kind: 'reset', from, to });
        break;
      }
      default:
        this.#end(kind, fromMs, toMs);
        break;
    }
  }

  /** A node ends; it comes back in this episode, or stays away until the next. */
  #end(kind: 'stop' | 'kill' | 'power', fromMs: number, toMs: number): void {
    const node = this.#take();
    if (node === undefined) return;
    this.#add(fromMs, { kind, node });
    if (this.#down === undefined && this.#ids.length > 3 && this.#random.next() < 0.3) this.#down = node;
    else this.#add(toMs, { kind: 'start', node });
  }

  #pause(fromMs: number, forMs: number): void {
    const node = this.#take();
    if (node === undefined) return;
    this.#add(fromMs, { kind: 'pause', node, forMs });
    this.#add(fromMs + forMs, { kind: 'resume', node });
  }

  #badLinks(fromMs: number, toMs: number): void {
    const link = pick(this.#random, BAD_LINKS);
    const node = pick(this.#random, this.#ids);
    const around = pairs(this.#ids).filter((pair) => pair.includes(node));
    for (const [from, to] of this.#random.next() < 0.5 ? around : [this.#pair()]) {
      this.#add(fromMs, { kind: 'link', from, to, link });
      this.#add(toMs, { kind: 'link', from, to });
    }
  }

  /** One cut at a time: where two meet, the end of one would end the other. */
  #cut(fromMs: number, toMs: number, ways: ReadonlyArray<readonly [string, string]>): void {
    if (this.#isCut) return;
    this.#isCut = true;
    for (const [from, to] of ways) {
      this.#add(fromMs, { kind: 'cut', from, to });
      this.#add(toMs, { kind: 'join', from, to });
    }
  }

  #halves(): Array<readonly [string, string]> {
    const isLeft = new Map(this.#ids.map((id) => [id, this.#random.next() < 0.5]));
    return this.#ids.flatMap((a) =>
      this.#ids.filter((b) => isLeft.get(a) !== isLeft.get(b)).map((b) => [a, b] as const),
    );
  }

  #pair(): readonly [string, string] {
    const from = pick(this.#random, this.#ids);
    return [
      from,
      pick(
        this.#random,
        this.#ids.filter((id) => id !== from),
      ),
    ];
  }

  #take(): string | undefined {
    if (this.#free.size === 0) return undefined;
    const node = pick(this.#random, [...this.#free]);
    this.#free.delete(node);
    return node;
  }

  #beginMs(): number {
    return this.#place.beginsMs + randomInt(this.#random, 1, BEGIN_WITHIN_MS);
  }

  #add(atMs: number, action: Action): void {
    this.#steps.push({ atMs, action });
    this.#endsMs = Math.max(this.#endsMs, atMs);
  }
}
