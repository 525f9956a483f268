/** A hub to which there is no way: whoever waits hears it at once, and one that was there before is waited for. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { silenceError } from '../../src/models/hub/failure.js';
import { Hub, Retries } from '../../src/models/index.js';
import { type ExoError, LIMITS, seededRandom, systemClock, VirtualClock } from '../../src/shared/index.js';
import { inTime } from '../support/eventually.js';
import { freePorts } from '../support/ports.js';

const never = new AbortController().signal;
const retries = (clock = systemClock) => new Retries({ clock, random: seededRandom(1) });

test('a hub to which there is no way is asked twice at most, and the way out is named', async () => {
  const [port] = await freePorts(1);
  // Nobody there; no such name; a port that fetch asks nobody at.
  const endpoints = [`http://127.0.0.1:${port}`, 'http://no-such-hub.invalid', 'http://127.0.0.1:9'];
  for (const endpoint of endpoints) {
    const hub = new Hub({ endpoint, token: undefined }, { clock: systemClock });
    let tries = 0;
    const startMs = performance.now();
    const asked = retries().run(never, () => {
      tries += 1;
      return hub.search('demo', 1, never);
    });
    await assert.rejects(asked, (error: ExoError) => {
      assert.equal(error.code, 'hub-unreachable');
      assert.match(error.message, /HF_ENDPOINT.*--offline.*given up after (?:one try|2 tries)/);
      return true;
    });
    assert.ok(tries <= 2, `${tries} tries`);
    const tookMs = performance.now() - startMs;
    assert.ok(endpoint.includes('invalid') || tookMs < inTime(5_000), `${tookMs} ms`);
  }
});

test('a first try that took long is the only one', async () => {
  const clock = new VirtualClock();
  let tries = 0;
  const asked = retries(clock).run(never, async () => {
    tries += 1;
    await clock.advance(9_000);
    throw silenceError('hub.example', 'EAI_AGAIN');
  });
  await assert.rejects(asked, /given up after one try/);
  assert.equal(tries, 1);
});

test('a hub that has answered is waited for when the way to it is gone', async () => {
  const clock = new VirtualClock();
  const shared = retries(clock);
  await shared.run(never, async () => 'an answer');
  let tries = 0;
  const asked = shared.run(never, async () => {
    tries += 1;
    throw silenceError('hub.example', 'ECONNREFUSED');
  });
  const refused = assert.rejects(asked, { code: 'hub-unreachable' });
  for (let step = 0; step < LIMITS.hubFailuresMax; step += 1)
    await clock.advance(LIMITS.hubRetryCeilingMsMax);
  await refused;
  assert.equal(tries, LIMITS.hubFailuresMax);
});
