import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LIMITS, VirtualClock } from '../../src/shared/index.js';
import { candidate, recordingPool } from './fixtures.js';

test('pool tells of a new candidate once and of a repetition as heard', () => {
  const { pool, told } = recordingPool(new VirtualClock());
  pool.offer(candidate());
  pool.offer(candidate());
  assert.equal(told.candidates.length, 1);
  assert.equal(told.heard.length, 1);
  assert.equal(pool.size, 1);
  pool.close();
});

test('pool tells of a known candidate again when its address or description changed', () => {
  const { pool, told } = recordingPool(new VirtualClock());
  const one = candidate({ key: 'manual:b', module: 'manual', configured: true });
  pool.offer(one);
  pool.noteOutcome('manual:b', { ok: true, peerId: 'b-real', rttMs: 3 });
  pool.offer({ ...one, address: { host: '10.0.0.3', port: 1 } });
  assert.equal(told.candidates.length, 2);
  assert.equal(pool.candidates()[0]?.state, 'untried', 'what was known of the old address is forgotten');
  pool.offer({ ...one, address: { host: '10.0.0.3', port: 1 }, description: 'other' });
  assert.equal(told.candidates.length, 3);
  pool.close();
});

test('pool forgets an announced candidate at its deadline, renewed by every hearing', async () => {
  const clock = new VirtualClock();
  const { pool, told } = recordingPool(clock);
  pool.offer(candidate(), { expiresInMs: 30_000 });
  await clock.advance(20_000);
  pool.offer(candidate(), { expiresInMs: 30_000 });
  await clock.advance(29_999);
  assert.deepEqual(told.withdrawn, []);
  await clock.advance(1);
  assert.deepEqual(told.withdrawn, ['udp:b@10.0.0.2:50051']);
  assert.equal(clock.pending, 0, 'no timer stays behind');
  pool.close();
});

test('pool keeps a configured candidate for ever, until it is withdrawn', async () => {
  const clock = new VirtualClock();
  const { pool, told } = recordingPool(clock);
  pool.offer(candidate({ key: 'direct', module: 'direct', configured: true }));
  await clock.advance(86_400_000);
  assert.equal(pool.size, 1);
  pool.withdraw('direct');
  pool.withdraw('direct');
  assert.deepEqual(told.withdrawn, ['direct']);
  pool.close();
});

test('pool says why an announced address that never worked is gone', async () => {
  const clock = new VirtualClock();
  const { pool } = recordingPool(clock);
  pool.offer(candidate(), { expiresInMs: 1_000 });
  pool.noteOutcome('udp:b@10.0.0.2:50051', { ok: false, error: 'connection refused' });
  await clock.advance(1_000);
  const [refusal] = pool.refusals();
  assert.equal(refusal?.code, 'connect-failed');
  assert.match(refusal?.reason ?? '', /connection refused.*--node-port/);
  assert.equal(refusal?.subject, 'b at 10.0.0.2:50051');
  pool.close();
});

test('pool refuses ids outside the id filter in words, but not the alias of a configured peer', () => {
  const { pool, told } = recordingPool(new VirtualClock(), { nodeIdFilter: ['c', 'd'] });
  pool.offer(candidate());
  pool.offer(candidate());
  pool.offer(candidate({ key: 'c', claimedId: 'c' }));
  pool.offer(candidate({ key: 'manual:x', module: 'manual', claimedId: 'x', configured: true }));
  assert.deepEqual(
    told.candidates.map((one) => one.claimedId),
    ['c', 'x'],
  );
  assert.equal(pool.refusals().length, 1, 'the same subject and code is kept once');
  assert.equal(pool.refusals()[0]?.code, 'id-filtered');
  assert.match(pool.refusals()[0]?.reason ?? '', /"b" is not in --node-id-filter/);
  assert.equal(pool.allowsId('c'), true);
  assert.equal(pool.allowsId('b'), false);
  pool.close();
});

test('pool refuses interface types outside the filter in words, whatever their case', () => {
  const { pool, told } = recordingPool(new VirtualClock(), { interfaceTypeFilter: ['ethernet'] });
  pool.offer(candidate({ interfaceType: 'Ethernet' }));
  pool.offer(candidate({ key: 'w', interfaceType: 'WiFi' }));
  pool.offer(candidate({ key: 'm', module: 'tcp' }));
  assert.deepEqual(
    told.candidates.map((one) => one.key),
    ['udp:b@10.0.0.2:50051', 'm'],
  );
  assert.match(pool.refusals()[0]?.reason ?? '', /"WiFi".*--interface-type-filter/);
  pool.close();
});

test('pool refuses another machine with the own id and says so', () => {
  const { pool, told } = recordingPool(new VirtualClock());
  pool.offer(candidate({ claimedId: 'a' }));
  assert.equal(pool.size, 0);
  assert.equal(told.duplicates.length, 1);
  assert.equal(pool.refusals()[0]?.code, 'duplicate-id');
  assert.match(
    pool.refusals()[0]?.reason ?? '',
    /10\.0\.0\.2:50051 announces this node's own id "a".*--node-id/,
  );
  pool.close();
});

test('pool is bounded: the oldest unproven candidate makes room, configured and proven ones stay', async () => {
  const clock = new VirtualClock();
  const { pool, told } = recordingPool(clock);
  pool.offer(candidate({ key: 'manual:m', module: 'manual', configured: true }));
  pool.offer(candidate({ key: 'proven', address: { host: '10.9.9.9', port: 1 } }));
  pool.noteOutcome('proven', { ok: true, peerId: 'p' });
  for (let index = 0; index < LIMITS.candidatesMax + 10; index += 1) {
    const host = `10.${1 + (index >> 8)}.0.${index & 255}`;
    pool.offer(candidate({ key: `tcp:${index}`, module: 'tcp', address: { host, port: 1 } }));
  }
  assert.equal(pool.size, LIMITS.candidatesMax);
  assert.deepEqual(
    told.withdrawn,
    Array.from({ length: 12 }, (_, index) => `tcp:${index}`),
  );
  pool.close();
});

test('pool refuses in words when everything in it is configured', () => {
  const { pool, told } = recordingPool(new VirtualClock());
  for (let index = 0; index <= LIMITS.candidatesMax; index += 1) {
    pool.offer(candidate({ key: `manual:${index}`, module: 'manual', configured: true }));
  }
  assert.equal(told.candidates.length, LIMITS.candidatesMax);
  assert.equal(pool.refusals()[0]?.code, 'overloaded');
  pool.close();
});

test('pool lets one host fill no more than its share', () => {
  const { pool } = recordingPool(new VirtualClock());
  for (let port = 1; port <= LIMITS.candidatesPerHostMax * 2; port += 1) {
    pool.offer(candidate({ key: `tcp:${port}`, module: 'tcp', address: { host: '10.0.0.9', port } }));
  }
  assert.equal(pool.size, LIMITS.candidatesPerHostMax);
  pool.close();
});

test('pool keeps refusals bounded, newest last, and forgets what is all right again', () => {
  const clock = new VirtualClock(1_000);
  const { pool } = recordingPool(clock);
  for (let index = 0; index < LIMITS.refusalsMax + 5; index += 1) {
    pool.refuse({ module: 'inbound', subject: `s${index}`, code: 'self-address', reason: 'r' });
  }
  pool.refuse({ module: 'inbound', subject: 's100', code: 'self-address', reason: 'again' });
  const refusals = pool.refusals();
  assert.equal(refusals.length, LIMITS.refusalsMax);
  assert.equal(refusals.at(-1)?.reason, 'again');
  assert.equal(refusals.at(-1)?.atMs, 1_000);
  pool.unrefuse('s100');
  assert.equal(pool.refusals().length, LIMITS.refusalsMax - 1);
  pool.close();
});

test('pool keeps what the user needs among the refusals, whatever strangers make up', () => {
  const { pool } = recordingPool(new VirtualClock());
  const refuse = (subject: string, source?: string) =>
    pool.refuse({
      module: source === undefined ? 'manual' : 'inbound',
      subject,
      code: 'auth-failed',
      reason: 'r',
      ...(source === undefined ? {} : { source }),
    });
  const kept = (pattern: RegExp) => pool.refusals().filter(({ subject }) => pattern.test(subject)).length;
  pool.offer(
    candidate({
      key: 'manual:mac2',
      module: 'manual',
      configured: true,
      address: { host: '10.0.0.7', port: 1 },
    }),
  );
  refuse('peers.json');
  refuse('mac2 from 10.0.0.7', '10.0.0.7');
  refuse('guest from 10.0.0.8', '10.0.0.8');
  for (let index = 0; index < 1_000; index += 1) refuse(`x${index} from 10.0.0.9`, '10.0.0.9');
  assert.equal(kept(/from 10\.0\.0\.9/), LIMITS.refusalsPerStrangerMax);
  assert.equal(kept(/x999 /), 1, 'the newest of it');
  assert.equal(kept(/peers\.json|mac2|guest/), 3);
  // Strangers from everywhere: those who say most make room, and none for what is configured.
  for (let index = 0; index < 2_000; index += 1) refuse(`y${index}`, `10.1.${index >> 8}.${index & 255}`);
  assert.equal(pool.refusals().length, LIMITS.refusalsMax);
  assert.equal(kept(/y1999/), 1);
  assert.equal(kept(/peers\.json|mac2/), 2);
  // A host where peers are has a greater share, and no more than that.
  for (let index = 0; index < 1_000; index += 1) refuse(`z${index} from 10.0.0.7`, '10.0.0.7');
  assert.equal(kept(/from 10\.0\.0\.7/), LIMITS.refusalsPerKnownHostMax);
  for (let index = 0; index < 2_000; index += 1) refuse(`peers${index}.json`);
  assert.equal(kept(/from/), 0, 'what is configured comes before all');
  assert.equal(pool.refusals().length, LIMITS.refusalsMax);
  pool.close();
});

test('pool counts an announced candidate that is refused to its sender', () => {
  const { pool } = recordingPool(new VirtualClock(), { nodeIdFilter: ['wanted'] });
  for (let index = 0; index < 100; index += 1) {
    pool.offer(candidate({ key: `udp:x${index}`, claimedId: `x${index}` }), { expiresInMs: 30_000 });
  }
  assert.equal(pool.refusals().length, LIMITS.refusalsPerStrangerMax);
  assert.deepEqual(Object.keys(pool.refusals()[0]!).sort(), ['atMs', 'code', 'module', 'reason', 'subject']);
  pool.close();
});

test('pool names the best address of a peer: working, then priority, then round trip', () => {
  const { pool } = recordingPool(new VirtualClock());
  const offer = (key: string, priority: number, claimedId = 'b') =>
    pool.offer(candidate({ key, priority, claimedId, module: 'tcp' }));
  offer('slow', 4);
  offer('fast', 4, 'alias');
  offer('broken', 7);
  offer('wifi', 3);
  offer('other', 7);
  pool.noteOutcome('slow', { ok: true, peerId: 'b', rttMs: 9 });
  pool.noteOutcome('fast', { ok: true, peerId: 'b', rttMs: 1 });
  pool.noteOutcome('broken', { ok: false, error: 'refused' });
  pool.noteOutcome('wifi', { ok: true, peerId: 'b', rttMs: 0.1 });
  pool.noteOutcome('other', { ok: true, peerId: 'c', rttMs: 0.1 });
  assert.deepEqual(
    pool.bestFor('b').map((one) => one.key),
    ['fast', 'slow', 'wifi', 'broken'],
  );
  pool.close();
});

test('pool tells of every address what came of it, in words', () => {
  const { pool } = recordingPool(new VirtualClock());
  pool.offer(candidate({ key: 'new', module: 'tcp' }), { expiresInMs: 5_000 });
  pool.offer(candidate({ key: 'ok', module: 'tcp' }));
  pool.offer(candidate({ key: 'bad', module: 'tcp' }));
  pool.noteOutcome('ok', { ok: true, peerId: 'real', rttMs: 8 });
  pool.noteOutcome('ok', { ok: true, peerId: 'real', rttMs: 16 });
  pool.noteOutcome('bad', { ok: false, error: 'nobody listens there\u001b[31m' });
  pool.noteOutcome('gone', { ok: true });
  const [fresh, ok, bad] = pool.candidates();
  assert.equal(fresh?.reason, 'heard, not dialled yet');
  assert.equal(fresh?.expiresInMs, 5_000);
  assert.deepEqual([ok?.state, ok?.peerId, ok?.rttMs], ['ok', 'real', 9]);
  assert.match(ok?.reason ?? '', /calls itself "real"/);
  assert.deepEqual([bad?.state, bad?.expiresInMs], ['failed', null]);
  assert.equal(bad?.reason, 'nobody listens there\\u001b[31m', 'what came from outside is escaped');
  pool.close();
});

test('pool knows which hosts have led to peers', () => {
  const { pool } = recordingPool(new VirtualClock());
  pool.offer(candidate());
  assert.equal(pool.isProvenHost('10.0.0.2'), false);
  pool.noteOutcome('udp:b@10.0.0.2:50051', { ok: true, peerId: 'b' });
  assert.equal(pool.isProvenHost('10.0.0.2'), true);
  pool.withdraw('udp:b@10.0.0.2:50051');
  assert.equal(pool.isProvenHost('10.0.0.2'), false);
  pool.close();
});

test('pool under a flood of made-up announcements stays bounded and still lets a real one in at its second hearing', async () => {
  const clock = new VirtualClock();
  const { pool, told } = recordingPool(clock);
  let serial = 0;
  const flood = () => {
    for (let count = 0; count < 100; count += 1) {
      serial += 1;
      const host = `10.${(serial >> 16) & 255}.${(serial >> 8) & 255}.${serial & 255}`;
      pool.offer(
        candidate({ key: `udp:x${serial}@${host}:1`, claimedId: `x${serial}`, address: { host, port: 1 } }),
        { expiresInMs: 30_000 },
      );
    }
  };
  const flooding = clock.every(10, flood);
  await clock.advance(2_000);
  const real = candidate({ key: 'udp:real@192.168.0.9:1', claimedId: 'real' });
  const announcing = clock.every(2_500, () => pool.offer(real, { expiresInMs: 30_000 }));
  await clock.advance(10_000);
  flooding.cancel();
  announcing.cancel();
  assert.ok(serial >= 100_000, `${serial} announcements`);
  assert.ok(
    told.candidates.some((one) => one.claimedId === 'real'),
    'the real one was let in',
  );
  assert.ok(
    told.candidates.length <= LIMITS.newcomersBurst + 40,
    `${told.candidates.length} candidates were offered for dialling`,
  );
  assert.ok(pool.size <= LIMITS.candidatesMax);
  assert.equal(pool.refusals().filter((one) => one.code === 'overloaded').length, 1);
  pool.close();
});

test('pool under a flood drops a stranger whose dial failed, so that the dial queue is not held by it', async () => {
  const clock = new VirtualClock();
  const { pool, told } = recordingPool(clock);
  const key = (index: number) => `udp:x${index}@10.0.${index >> 8}.${index & 255}:1`;
  for (let index = 0; index < 500; index += 1) {
    const host = `10.0.${index >> 8}.${index & 255}`;
    pool.offer(candidate({ key: key(index), address: { host, port: 1 } }), { expiresInMs: 30_000 });
  }
  assert.equal(told.candidates.length, LIMITS.newcomersBurst);
  pool.noteOutcome(key(0), { ok: true, peerId: 'b' });
  pool.noteOutcome(key(0), { ok: false, error: 'lost' });
  pool.noteOutcome(key(1), { ok: false, error: 'no route' });
  assert.deepEqual(told.withdrawn, [key(1)]);
  pool.close();
});

test('pool lets newcomers in at once again when a flood is over', async () => {
  const clock = new VirtualClock();
  const { pool, told } = recordingPool(clock);
  for (let index = 0; index < 500; index += 1) pool.offer(candidate({ key: `udp:x${index}` }));
  await clock.advance(10_001);
  const before = told.candidates.length;
  pool.offer(candidate({ key: 'udp:late' }));
  assert.equal(told.candidates.length, before + 1);
  pool.close();
});
