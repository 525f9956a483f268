/** Proofs that are wrong in different ways: the answer and its time must not tell which, and no number of them may keep others out. */
import '../support/leaks.js';
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { performance } from 'node:perf_hooks';
import { describe, test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { HandshakeFacts } from '../../src/trust/index.js';
import { type MeshKey, macOf, meshKeyOf } from '../../src/trust/mesh-key.js';
import { statementOf, transcriptOf } from '../../src/trust/transcript.js';
import { eventually } from '../support/eventually.js';
import { percentile } from '../support/half-open.js';
import { alive } from '../support/memory-mesh.js';
import { Cleanup } from '../support/processes.js';
import { promise } from '../support/promise.js';
import { repeats } from '../support/repeats.js';
import { tlsCredentials } from '../support/tls-credentials.js';
import { trustingNode } from '../support/trusting-node.js';
import { attack, type Fortress, KEY, stateOf } from './fortress.js';
import { knock } from './intruder.js';

/** Of the promise. */
const TRIES = repeats(600, 10_000);
/** So many of each kind are timed, one kind after the other. */
const TIMED = repeats(60, 400);
const AT_ONCE = 4;
const HONEST_EVERY = TRIES / 3;
/** An honest node that joins amid the tries. */
const JOIN_MS_MAX = 5_000;
/** A median of so many differs from another of the same kind by at most this many standard errors of a median. */
const STANDARD_ERRORS = 5;
/** The test's own discovery keeps a line about each that was refused, some 700 bytes. */
const KEPT_BYTES_MAX = 4 * 2 ** 20 + 1_500 * TRIES;
/** Both ends of ten thousand sessions are in this process, and its heap grows a while before it is swept. */
const GROWTH_BYTES_MAX = 256 * 2 ** 20;

type Kind = 'another key' | 'an unknown key' | 'a replay' | 'the proof of another id' | 'garbage';
const KINDS: readonly Kind[] = [
  'another key',
  'an unknown key',
  'a replay',
  'the proof of another id',
  'garbage',
];

/** Who has seen the right key's proofs for another connection or another id: more than a thief on the network can have. */
class Thief {
  readonly #key: MeshKey;
  readonly #other = meshKeyOf(randomBytes(32), 0);
  readonly #earlier: HandshakeFacts;

  constructor(key: MeshKey, earlier: HandshakeFacts) {
    this.#key = key;
    this.#earlier = earlier;
  }

  proof(kind: Kind, facts: HandshakeFacts): { method: string; key: string; mac: string } {
    const key = kind === 'an unknown key' ? this.#other : this.#key;
    return { method: 'mesh-key', key: key.id, mac: this.#mac(kind, facts).toString('base64url') };
  }

  #mac(kind: Kind, facts: HandshakeFacts): Buffer {
    if (kind === 'garbage') return randomBytes(32);
    const isOther = kind === 'another key' || kind === 'an unknown key';
    const swapped = { ...facts, dialler: { ...facts.dialler, nodeId: 'somebody' } };
    const about = kind === 'a replay' ? this.#earlier : kind === 'the proof of another id' ? swapped : facts;
    return macOf(isOther ? this.#other : this.#key, statementOf(transcriptOf(about), 'mesh-key', 'dialler'));
  }
}

describe('wrong proofs', () => {
  test('another key, a replay, another id: one answer in one time, and nobody is locked out', (t) =>
    attack(
      t,
      async (fortress) => {
        const { cleanup, port, target } = fortress;
        const credentials = await tlsCredentials();
        const { facts: earlier, intruder: first } = await knock(cleanup, port, { credentials });
        const thief = new Thief(target.opened.keys.current!, earlier);
        first.end();
        const times = new Map<Kind, number[]>(KINDS.map((kind) => [kind, []]));
        const answers = new Set<string>();
        let tries = 0;
        const attempt = async (kind: Kind): Promise<void> => {
          // Of its own, so that ten thousand connections are not kept to the end.
          const visit = new Cleanup();
          try {
            const { intruder, facts } = await knock(visit, port, { credentials });
            const proofs = [thief.proof(kind, facts)];
            const startedMs = performance.now();
            const answer = await intruder.ask({ kind: 'auth-request', proofs }, 3);
            times.get(kind)!.push(intruder.heardMs - startedMs);
            assert.ok(answer.kind === 'error-response', answer.kind);
            answers.add(`${answer.code}: ${answer.message}`);
          } finally {
            await visit.dispose();
          }
          tries += 1;
        };

        for (let round = 0; round < TIMED; round += 1) {
          // Each kind is at each place as often as the others.
          for (let place = 0; place < KINDS.length; place += 1) {
            await attempt(KINDS[(place + round) % KINDS.length]!);
          }
        }
        const medians = new Map([...times].map(([kind, all]) => [kind, percentile(all, 50)]));
        const noiseMs = Math.max(...[...times.values()].map(standardErrorOfMedian));
        const spreadMs = Math.max(...medians.values()) - Math.min(...medians.values());

        const joins: number[] = [];
        const heapBytes = heapInUse();
        while (tries < TRIES) {
          await Promise.all(Array.from({ length: AT_ONCE }, () => attempt(KINDS[tries % KINDS.length]!)));
          if (tries >= HONEST_EVERY * (joins.length + 1)) joins.push(await join(fortress, joins.length));
        }
        const keptBytes = heapInUse() - heapBytes;
        assert.ok(keptBytes <= KEPT_BYTES_MAX, `${keptBytes} bytes are kept of ${TRIES} tries`);
        assert.deepEqual([...answers].length, 1, [...answers].join(' | '));
        assert.match([...answers][0]!, /^auth-failed/);
        assert.ok(
          spreadMs <= STANDARD_ERRORS * noiseMs,
          `medians ${JSON.stringify([...medians])} ms, noise ${noiseMs} ms`,
        );
        assert.ok(joins.length >= 2 && Math.max(...joins) <= JOIN_MS_MAX, `joined after ${joins} ms`);
        assert.deepEqual(alive(target.node), []);
        const figure =
          `${tries} wrong proofs of ${KINDS.length} kinds: one answer; medians within ${spreadMs.toFixed(3)} ms of each other ` +
          `(noise ${noiseMs.toFixed(3)} ms); honest nodes amid them joined after ≤ ${Math.max(...joins).toFixed(0)} ms; ${(keptBytes / 2 ** 20).toFixed(1)} MiB kept`;
        promise(t, 'H2', figure);
        return figure;
      },
      { growthBytesMax: GROWTH_BYTES_MAX },
    ));
});

/** An honest node joins and leaves; milliseconds that the joining took. */
async function join({ cleanup, port, target }: Fortress, index: number): Promise<number> {
  const id = `late${index}`;
  const honest = await trustingNode(cleanup, { id, token: KEY });
  const startedMs = performance.now();
  honest.dial('target', port);
  await eventually(
    { timeoutMs: 4 * JOIN_MS_MAX, what: 'an honest node joins', everyMs: 10 },
    () => stateOf(target, id) === 'alive' && stateOf(honest, 'target') === 'alive',
  );
  const tookMs = performance.now() - startedMs;
  await honest.stop();
  await eventually(
    { timeoutMs: JOIN_MS_MAX, what: 'it has left', everyMs: 10 },
    () => !alive(target.node).includes(id),
  );
  await target.opened.store.remove(id);
  return tookMs;
}

/** Of times with outliers: from the middle half of them (1.253 σ / √n, σ = the quartiles' distance / 1.349). */
function standardErrorOfMedian(values: readonly number[]): number {
  const sigma = (percentile(values, 75) - percentile(values, 25)) / 1.349;
  return (1.253 * sigma) / Math.sqrt(values.length);
}

/** After a collection. */
function heapInUse(): number {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
  return process.memoryUsage().heapUsed;
}
