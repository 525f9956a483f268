/** Nodes that fetch one model from each other before they go to the hub, and go there once for all. */
import assert from 'node:assert/strict';
import { readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import type { DownloadProgress } from '../../src/models/index.js';
import { Claims } from '../../src/models/peers/claims.js';
import { ExoError } from '../../src/shared/index.js';
import { brisk, fetchFrom, MemorySharers, REPOSITORY, startHub, WEIGHTS } from '../support/fetching.js';
import type { MockHub } from '../support/mock-hub.js';
import { shardedModel, singleFileModel } from '../support/model-files.js';
import { Cleanup } from '../support/processes.js';
import { promise } from '../support/promise.js';
import { repeats } from '../support/repeats.js';
import '../support/leaks.js';

let cleanup: Cleanup;
let hub: MockHub;
let sharers: MemorySharers;

beforeEach(async () => {
  cleanup = new Cleanup();
  hub = await startHub(cleanup);
  sharers = new MemorySharers();
  for (const id of ['a', 'b', 'c']) sharers.add(id, cleanup.folder());
});
afterEach(() => cleanup.dispose());

const fetchOn = (
  nodeId: string,
  options: Parameters<typeof fetchFrom>[2] = {},
  from: MockHub | undefined = hub,
) =>
  fetchFrom(from, sharers.directory(nodeId), {
    sharing: sharers.sharing(nodeId),
    ...options,
    request: { settled: true, ...options.request },
  });

const bytesOf = (nodeId: string, name: string) => readFileSync(path.join(sharers.directory(nodeId), name));

function assertFiles(nodeId: string, files: Readonly<Record<string, Buffer | string>>): void {
  for (const [name, bytes] of Object.entries(files)) {
    if (/\.(md|bin)$/.test(name)) continue;
    assert.ok(bytesOf(nodeId, name).equals(Buffer.from(bytes)), `${name} of ${nodeId}`);
  }
}

/** Bytes that the hub sent beyond one of each. */
function sentTwice(files: Readonly<Record<string, Buffer | string>>): Record<string, number> {
  return Object.fromEntries(
    Object.entries(files)
      .map(([name, bytes]) => [name, hub.bytesSent(name) - Buffer.from(bytes).length] as const)
      .filter(([, more]) => more > 0),
  );
}

function assertSteady(reports: readonly DownloadProgress[]): void {
  let share = 0;
  for (const { downloadedBytes, totalBytes } of reports) {
    assert.ok(
      downloadedBytes <= totalBytes && downloadedBytes / totalBytes >= share,
      'above 100 or backwards',
    );
    share = downloadedBytes / totalBytes;
  }
  assert.equal(share, 1);
}

test('what a node has comes from it, and the hub is asked for no byte; also where no hub may be asked', async () => {
  const files = singleFileModel(4, 400_000);
  hub.put(REPOSITORY, files);
  await fetchOn('a');
  const before = hub.sent.length;
  const { reports } = await fetchOn('b');
  assert.equal(hub.sent.length, before);
  assertFiles('b', files);
  assertSteady(reports);
  const asked = hub.seen.length;
  await fetchFrom(undefined, sharers.directory('c'), { sharing: sharers.sharing('c') });
  assert.equal(hub.seen.length, asked);
  assertFiles('c', files);
});

test('R6 nodes that begin at once fetch each byte from the hub once, two and three of them', async (t) => {
  const rounds = repeats(3, 20);
  for (let round = 0; round < rounds; round += 1) {
    const nodes = round % 2 === 0 ? ['a', 'b'] : ['a', 'b', 'c'];
    sharers = new MemorySharers();
    for (const id of nodes) sharers.add(id, cleanup.folder());
    const files = round % 3 === 0 ? shardedModel(6, 2, 500_000 + round) : singleFileModel(4, 600_000 + round);
    hub.put(REPOSITORY, files);
    hub.sent.length = 0;
    const done = await Promise.all(nodes.map((id) => fetchOn(id)));
    for (const id of nodes) assertFiles(id, files);
    for (const { reports } of done) assertSteady(reports);
    assert.deepEqual(sentTwice(files), {});
  }
  promise(t, 'R6', `${rounds} × two or three nodes at once: every byte from the hub once`);
});

test('nodes with other layers share the ranges that both need', async () => {
  const files = singleFileModel(8, 300_000);
  hub.put(REPOSITORY, files);
  await Promise.all([
    fetchOn('a', { request: { shard: { startLayer: 0, endLayer: 4, layers: 8 } } }),
    fetchOn('b', { request: { shard: { startLayer: 3, endLayer: 7, layers: 8 } } }),
  ]);
  assert.deepEqual(sentTwice(files), {});
  // The rest of it comes from the other one.
  const before = hub.sent.length;
  await Promise.all([fetchOn('a'), fetchOn('b')]);
  assertFiles('a', files);
  assertFiles('b', files);
  assert.equal(hub.sent.length, before);
});

test('wrong bytes of a node are found by the hash, and the hub counts', async () => {
  const files = singleFileModel(4, 400_000);
  hub.put(REPOSITORY, files);
  await fetchOn('a');
  sharers.onRead = (_from, _to, bytes) => {
    const wrong = Buffer.from(bytes);
    wrong[7] = wrong[7]! ^ 1;
    return wrong;
  };
  const { reports } = await fetchOn('b');
  assertFiles('b', files);
  assertSteady(reports);
});

test('wrong bytes of one node, no hub: another node is taken; none: an error, and nothing wrong is kept', async () => {
  const files = singleFileModel(2, 200_000);
  hub.put(REPOSITORY, files);
  await fetchOn('a');
  sharers.onRead = (_from, _to, bytes) => Buffer.alloc(bytes.length, 1);
  await assert.rejects(fetchFrom(undefined, sharers.directory('b'), { sharing: sharers.sharing('b') }), {
    code: 'model-absent',
  });
  assert.throws(() => bytesOf('b', WEIGHTS), { code: 'ENOENT' });
});

test('a node that goes in mid-transfer: what came stays, the rest comes from the hub', async () => {
  const files = singleFileModel(4, 700_000);
  hub.put(REPOSITORY, files);
  await fetchOn('a');
  const before = hub.sent.length;
  let came = 0;
  sharers.onRead = (_from, _to, bytes) => {
    came += bytes.length;
    if (came > 1_500_000) sharers.remove('a');
    if (came > 2_000_000) throw new ExoError('connection-closed', 'it is gone', { retryable: true });
    return bytes;
  };
  await fetchOn('b');
  assertFiles('b', files);
  const fromHub = hub.bytesSent(WEIGHTS, before);
  assert.ok(
    fromHub > 0 && fromHub < Buffer.from(files[WEIGHTS]!).length - 1_000_000,
    `${fromHub} from the hub`,
  );
});

test('a node that fetches for others and dies: the others go on by themselves', async () => {
  const files = singleFileModel(4, 500_000);
  hub.put(REPOSITORY, files);
  const dying = new AbortController();
  hub.onPiece = (sent) => {
    if (sent.path !== WEIGHTS || sent.to < 200_000 || dying.signal.aborted) return;
    sharers.remove('a');
    dying.abort(new Error('killed'));
  };
  const a = fetchOn('a', { signal: dying.signal }).catch((error: unknown) => error);
  await fetchOn('b');
  assert.equal(((await a) as Error).message, 'killed');
  assertFiles('b', files);
});

test('a node that says it fetches and gets nowhere is not waited for for ever', async () => {
  const files = singleFileModel(2, 300_000);
  hub.put(REPOSITORY, files);
  sharers.add('b', cleanup.folder(), brisk);
  let isStuck = true;
  let release: () => void = () => undefined;
  const stuck = new Promise<void>((resolve) => {
    release = resolve;
  });
  hub.onPiece = (sent) => {
    if (sent.path !== WEIGHTS || !isStuck || sent.to < 64 * 1024) return;
    // The first answer hangs; what comes later is sent.
    isStuck = false;
    return stuck;
  };
  const a = fetchOn('a');
  await fetchOn('b');
  assertFiles('b', files);
  release();
  await a;
  assertFiles('a', files);
});

test('a node that is old or does not trust this one is asked once for a file, and the hub gives it all', async () => {
  const files = singleFileModel(2, 200_000);
  hub.put(REPOSITORY, files);
  let asked = 0;
  sharers.onAsk = () => {
    asked += 1;
    throw new ExoError(asked % 2 === 0 ? 'request-unsupported' : 'auth-required', 'not here');
  };
  await fetchOn('a');
  assertFiles('a', files);
  assert.ok(asked <= 2 * 8, `asked ${asked} times`);
});

test('a server gives only what is in its record: no other file, no way out, no link, no other version', async () => {
  const files = singleFileModel(2, 200_000);
  hub.put(REPOSITORY, files);
  await fetchOn('a');
  const server = sharers.server('a');
  const { files: listed } = await server.list('b', { repository: REPOSITORY });
  const weights = listed.find(({ path: name }) => name === WEIGHTS)!;
  const signal = new AbortController().signal;
  const read = (over: object) =>
    server.read(
      'b',
      { repository: REPOSITORY, path: WEIGHTS, hash: weights.hash.hex, range: [0, 10], ...over },
      signal,
    );
  assert.equal((await read({})).length, 10);
  assert.ok(listed.every(({ path: name }) => !/README|pytorch/.test(name)));
  writeFileSync(path.join(sharers.directory('a'), 'notes.txt'), 'mine');
  const refused: object[] = [
    { path: 'notes.txt' },
    { path: '.exo/record.json' },
    { path: '../../etc/passwd' },
    { path: '/etc/passwd' },
    { path: `./${WEIGHTS}` },
    { path: 'README.md' },
    { path: '__proto__' },
    { repository: '../..' },
    { repository: 'mesh/other' },
    { repository: 'mesh/../tiny' },
    { hash: '0'.repeat(64) },
    { range: [weights.size - 5, weights.size + 5] },
  ];
  for (const over of refused) {
    await assert.rejects(read(over), { code: 'model-absent' }, JSON.stringify(over));
  }
  for (const range of [
    [5, 5],
    [9, 3],
    [0, 2 ** 40],
  ])
    await assert.rejects(read({ range }), { code: 'option-invalid' });
  // A link in the place of a file that is in the record.
  const config = listed.find(({ path: name }) => name === 'config.json')!;
  const place = path.join(sharers.directory('a'), 'config.json');
  const aside = path.join(cleanup.folder(), 'secret');
  writeFileSync(aside, readFileSync(place));
  await import('node:fs/promises').then(({ rm }) => rm(place));
  symlinkSync(aside, place);
  await assert.rejects(read({ path: 'config.json', hash: config.hash.hex, range: [0, config.size] }), {
    code: 'model-absent',
  });
});

test('of two that claim a range at once the smaller id wins, whoever has begun keeps it, and others are not touched', () => {
  const claims = new Claims();
  const mine = claims.begin('f', [0, 10]);
  assert.equal(claims.grant('b', 'c', 'f', [5, 6]), false);
  assert.equal(claims.grant('b', 'a', 'f', [10, 20]), true);
  assert.equal(claims.grant('b', 'a', 'g', [0, 10]), true);
  assert.equal(claims.grant('b', 'a', 'f', [9, 20]), true);
  assert.equal(claims.hold(mine), false);
  const again = claims.begin('f', [0, 10]);
  assert.deepEqual(claims.held('f'), []);
  assert.equal(claims.hold(again), true);
  assert.deepEqual(claims.held('f'), [[0, 10]]);
  assert.equal(claims.grant('b', 'a', 'f', [9, 20]), false);
  claims.release(again);
  assert.equal(claims.grant('b', 'c', 'f', [9, 20]), true);
});
