import '../support/leaks.js';
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ByteStream } from '../../src/protocol/index.js';
import { dialInCompany } from '../../src/protocol/transports/dial-company.js';
import { LIMITS } from '../../src/shared/index.js';
import { type Lab, lab, PORT, SECOND_MS } from '../support/memory-lab.js';

interface Company extends Lab {
  /** What came of the dial; undefined while it is under way. */
  outcome: ByteStream | Error | undefined;
  attempts: number;
  accepted: number;
}

/** Dials `b` from `a`; the path is cut when `isCut`. */
async function company(
  options: { isCut?: boolean; isListening?: boolean; sends?: boolean; signal?: AbortSignal } = {},
): Promise<Company> {
  const { isCut = true, isListening = true, sends = true, signal } = options;
  const world: Company = { ...lab({ latencyMs: 5 }), outcome: undefined, attempts: 0, accepted: 0 };
  const { clock, network } = world;
  const onStream = () => {
    world.accepted += 1;
  };
  if (isListening) await network.transport('b').listen({ host: 'b', port: PORT }, onStream).start();
  else network.transport('b');
  if (isCut) network.cut('a', 'b');
  const transport = network.transport('a');
  dialInCompany(
    clock,
    { timeoutMs: LIMITS.connectTimeoutMs, ...(signal === undefined ? {} : { signal }) },
    (each) => {
      world.attempts += 1;
      if (sends) each.onSent();
      return transport.dial({ host: 'b', port: PORT }, each);
    },
  ).then(
    (stream) => {
      world.outcome = stream;
    },
    (error: Error) => {
      world.outcome = error;
    },
  );
  return world;
}

function failure({ outcome }: Company): Error {
  assert.ok(outcome instanceof Error);
  return outcome;
}

describe('a dial in company', () => {
  it('is one attempt where the answer comes at once', async () => {
    const world = await company({ isCut: false });
    await world.clock.advance(LIMITS.connectTimeoutMs);
    assert.ok(world.outcome !== undefined && !(world.outcome instanceof Error));
    assert.deepEqual([world.attempts, world.accepted], [1, 1]);
  });

  it('gets a fresh attempt a second, up to the limit, while nothing answers', async () => {
    const world = await company();
    const seen: number[] = [];
    for (let second = 0; second < 5; second += 1) {
      await world.clock.advance(second === 0 ? SECOND_MS / 2 : SECOND_MS);
      seen.push(world.attempts);
    }
    assert.deepEqual(seen, [1, 2, LIMITS.dialAttemptsMax, LIMITS.dialAttemptsMax, LIMITS.dialAttemptsMax]);
    await world.clock.advance(SECOND_MS);
    assert.match(failure(world).message, /no answer from b:50051 within 5 s/);
    assert.equal(world.clock.pending, 0);
  });

  it('takes one of those that connect, and closes the others', async () => {
    const world = await company();
    await world.clock.advance(2.5 * SECOND_MS);
    assert.equal(world.attempts, 3);
    world.network.heal('a', 'b');
    await world.clock.advance(SECOND_MS);
    assert.ok(world.outcome !== undefined && !(world.outcome instanceof Error));
    assert.equal(world.network.openStreams('a', 'b'), 1);
    await world.clock.advance(LIMITS.connectTimeoutMs);
    assert.equal(world.clock.pending, 0);
  });

  it('ends with the first refusal', async () => {
    const world = await company({ isListening: false });
    await world.clock.advance(1.5 * SECOND_MS);
    assert.equal(world.outcome, undefined);
    world.network.heal('a', 'b');
    await world.clock.advance(SECOND_MS);
    assert.match(failure(world).message, /nothing listens there/);
    assert.equal(world.attempts, 2);
  });

  it('waits with company until a packet has left', async () => {
    const world = await company({ sends: false });
    await world.clock.advance(LIMITS.connectTimeoutMs - 1);
    assert.equal(world.attempts, 1);
    await world.clock.advance(1);
    assert.ok(world.outcome instanceof Error);
  });

  it('is given up as a whole', async () => {
    const controller = new AbortController();
    const world = await company({ signal: controller.signal });
    await world.clock.advance(1.5 * SECOND_MS);
    const reason = new Error('no longer wanted');
    controller.abort(reason);
    await world.clock.advance(0);
    assert.equal(failure(world).cause, reason);
    await world.clock.advance(SECOND_MS);
    assert.deepEqual([world.attempts, world.clock.pending], [2, 0]);
  });
});
