import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { ManualDiscovery } from '../../src/discovery/manual.js';
import { ExoError, silentLogger, systemClock } from '../../src/shared/index.js';
import { inTime } from '../support/eventually.js';
import { promise } from '../support/promise.js';
import { RecordingSink } from './fixtures.js';

const ONE = '{"peers": {"a": {"address": "127.0.0.1:1"}, "b": {"address": "127.0.0.1:2"}}}';

async function setUp(t: TestContext, text: string | undefined = ONE) {
  const folder = await mkdtemp(join(tmpdir(), 'exo-manual-'));
  const file = join(folder, 'peers.json');
  if (text !== undefined) await writeFile(file, text);
  const sink = new RecordingSink();
  const tunnels: unknown[] = [];
  const manual = new ManualDiscovery(
    { path: file, nodeId: 'a' },
    { clock: systemClock, logger: silentLogger, sink, onTunnels: (all) => tunnels.push(all) },
  );
  t.after(async () => {
    await manual.stop();
    await rm(folder, { recursive: true });
  });
  return { file, folder, sink, manual, tunnels };
}

/** Runs a change and gives the milliseconds until the sink shows it. */
async function timed(sink: RecordingSink, change: () => Promise<void>, seen: () => boolean): Promise<number> {
  await change();
  const startedAt = performance.now();
  await sink.until(seen);
  return performance.now() - startedAt;
}

test('manual offers every peer but the own one, described as the original does', async (t) => {
  const { sink, manual, tunnels } = await setUp(t);
  await manual.start();
  assert.deepEqual(sink.offers, [
    {
      key: 'manual:b',
      module: 'manual',
      address: { host: '127.0.0.1', port: 2 },
      claimedId: 'b',
      description: 'MAN',
      priority: 4,
      configured: true,
    },
  ]);
  assert.equal(JSON.stringify(tunnels), '[{}]');
  assert.match(manual.describe(), /^1 peer from .*peers\.json$/);
  await manual.stop();
  await manual.stop();
  assert.deepEqual(sink.withdrawn, ['manual:b'], 'stop takes back what it offered');
});

test('manual refuses to start without its file, or with a broken one, and says what to do', async (t) => {
  const { file, manual } = await setUp(t, '');
  await rm(file);
  await assert.rejects(manual.start(), (error) => {
    assert.ok(error instanceof ExoError);
    assert.equal(error.code, 'peers-file-unreadable');
    assert.match(error.message, /make one with .*--discovery-config-path/);
    return true;
  });
  await writeFile(file, '{"peers": {\n "b": 1}}');
  await assert.rejects(manual.start(), /peers\.json:2:7: peer "b": must be an object/);
});

test('manual applies an edit within 2 s: changed address, new peer, removed peer, tunnels', async (t) => {
  const { file, sink, manual, tunnels } = await setUp(t);
  await manual.start();
  const text =
    '{"peers": {"b": {"address": "127.0.0.1:3"}, "c": {"address": "127.0.0.1:4"}}, "tunnels": {"g": {"ssh": "h"}}}';
  const tookMs = await timed(
    sink,
    () => writeFile(file, text),
    () => sink.offers.some((one) => one.claimedId === 'c'),
  );
  assert.ok(tookMs <= inTime(2_000), `${tookMs} ms`);
  assert.equal(sink.offers.filter((one) => one.claimedId === 'b').at(-1)?.address.port, 3);
  assert.equal(JSON.stringify(tunnels.at(-1)), '{"g":{"ssh":"h"}}');
  await timed(
    sink,
    () => writeFile(file, '{"peers": {}}'),
    () => sink.withdrawn.length === 2,
  );
  assert.deepEqual([...sink.withdrawn].sort(), ['manual:b', 'manual:c']);
});

test('manual sees a file that an editor replaced by renaming', async (t) => {
  const { file, folder, sink, manual } = await setUp(t);
  await manual.start();
  for (const port of [11, 12, 13]) {
    const draft = join(folder, '.peers.json.swp');
    await writeFile(draft, `{"peers": {"b": {"address": "127.0.0.1:${port}"}}}`);
    const tookMs = await timed(
      sink,
      () => rename(draft, file),
      () => sink.offers.at(-1)?.address.port === port,
    );
    assert.ok(tookMs <= inTime(2_000), `${tookMs} ms`);
  }
});

test('manual keeps the peers it had when the file is broken, names the line, and applies the repair', async (t) => {
  const { file, sink, manual } = await setUp(t);
  await manual.start();
  const tookMs = await timed(
    sink,
    () => writeFile(file, '{"peers": {\n  "b": {"address": "127.0.0.1:2"},\n  "c": {"address": 7}\n}}'),
    () => sink.refusals.length > 0,
  );
  assert.ok(tookMs <= inTime(2_000), `${tookMs} ms`);
  assert.deepEqual(sink.withdrawn, []);
  assert.equal(sink.offers.length, 1, 'not even the good entries of a broken file are applied');
  const [refusal] = sink.refusals;
  assert.equal(refusal?.subject, file);
  assert.equal(refusal?.code, 'peers-file-invalid');
  assert.match(refusal?.reason ?? '', /peers\.json:3:20: peer "c" "address": must be text.*stay/);
  assert.match(manual.describe(), /as it was before: .*:3:20/);
  await timed(
    sink,
    () => writeFile(file, ONE.replace('"b"', '"d"')),
    () => sink.unrefused.includes(file),
  );
  assert.deepEqual(sink.withdrawn, ['manual:b']);
  assert.equal(sink.offers.at(-1)?.claimedId, 'd');
  assert.doesNotMatch(manual.describe(), /before/);
  promise(
    t,
    'D7',
    `refused ${tookMs.toFixed(0)} ms after the edit, with line and column; the old state stays`,
  );
});

test('manual keeps the peers it had when the file is gone, and takes it when it is back', async (t) => {
  const { file, sink, manual } = await setUp(t);
  await manual.start();
  await timed(
    sink,
    () => rm(file),
    () => sink.refusals.length > 0,
  );
  assert.equal(sink.refusals[0]?.code, 'peers-file-unreadable');
  assert.deepEqual(sink.withdrawn, []);
  await timed(
    sink,
    () => writeFile(file, ONE.replace('127.0.0.1:2', '127.0.0.1:9')),
    () => sink.offers.at(-1)?.address.port === 9,
  );
});

test('manual needs no file system events: the poll alone applies an edit within 2 s', async (t) => {
  const { folder, sink } = await setUp(t);
  // A link into a folder that is not watched, as mounted configurations are made.
  const elsewhere = await mkdtemp(join(tmpdir(), 'exo-manual-far-'));
  await writeFile(join(elsewhere, 'real.json'), ONE);
  await symlink(join(elsewhere, 'real.json'), join(folder, 'link.json'));
  const manual = new ManualDiscovery(
    { path: join(folder, 'link.json'), nodeId: 'a' },
    { clock: systemClock, logger: silentLogger, sink },
  );
  try {
    await manual.start();
    const tookMs = await timed(
      sink,
      () => writeFile(join(elsewhere, 'real.json'), ONE.replace('127.0.0.1:2', '127.0.0.1:77')),
      () => sink.offers.at(-1)?.address.port === 77,
    );
    assert.ok(tookMs <= inTime(2_000), `${tookMs} ms`);
  } finally {
    await manual.stop();
    await rm(elsewhere, { recursive: true });
  }
});

const NO_MKFIFO = spawnSync('mkfifo', ['--version']).error === undefined ? false : 'there is no mkfifo';

function makePipe(file: string): void {
  assert.equal(spawnSync('mkfifo', [file]).status, 0);
}

test('manual refuses to start with a named pipe instead of waiting for its writer', {
  skip: NO_MKFIFO,
}, async (t) => {
  const { file, folder, manual } = await setUp(t);
  const pipe = join(folder, 'pipe');
  makePipe(pipe);
  await rm(file);
  await symlink(pipe, file);
  await assert.rejects(manual.start(), (error) => {
    assert.ok(error instanceof ExoError);
    assert.equal(error.code, 'peers-file-unreadable');
    assert.match(error.message, /peers\.json is a named pipe, not a file/);
    return true;
  });
});

test('manual keeps its peers while a named pipe has the name of its file, and reads the file when it is back', {
  skip: NO_MKFIFO,
}, async (t) => {
  const { file, folder, sink, manual } = await setUp(t);
  await manual.start();
  const pipe = join(folder, 'pipe');
  makePipe(pipe);
  await timed(
    sink,
    () => rename(pipe, file),
    () => sink.refusals.length > 0,
  );
  assert.equal(sink.refusals[0]?.code, 'peers-file-unreadable');
  assert.match(sink.refusals[0]?.reason ?? '', /is a named pipe, not a file.*the peers it named before stay/);
  assert.deepEqual(sink.withdrawn, []);
  const draft = join(folder, 'draft');
  await writeFile(draft, '{"peers": {"b": {"address": "127.0.0.1:9"}}}');
  await timed(
    sink,
    () => rename(draft, file),
    () => sink.offers.at(-1)?.address.port === 9,
  );
});

test('manual logs how many entries of a changed file found a place', async (t) => {
  const { file, sink } = await setUp(t);
  const lines: unknown[] = [];
  const limited = Object.assign(sink, { has: (key: string) => key !== 'manual:c' });
  const logged = new Promise<void>((resolve) => {
    const logger = {
      ...silentLogger,
      info: (...line: unknown[]) => {
        lines.push(line);
        resolve();
      },
    };
    const manual = new ManualDiscovery(
      { path: file, nodeId: 'a' },
      { clock: systemClock, logger, sink: limited },
    );
    t.after(() => manual.stop());
    void manual
      .start()
      .then(() =>
        writeFile(
          file,
          '{"peers": {"b": {"address": "h:1"}, "c": {"address": "h:2"}, "d": {"address": "h:3"}}}',
        ),
      );
  });
  await logged;
  assert.deepEqual(lines, [['peers-file-applied', { file, peers: 3, used: 2 }]]);
});
