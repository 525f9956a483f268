/**
 * The last step of `exo connect`: both sides keep what was made. It is decided on the near side; whatever becomes of the word to
 * the far side, `exo disconnect` finds what there is.
 */
import assert from 'node:assert/strict';
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { type ConnectWorld, connectWorldUnavailable, inWorld } from '../support/connect-world.js';
import { eventually } from '../support/eventually.js';
import { EXO_MAIN } from '../support/processes.js';

const skip = connectWorldUnavailable() ?? false;

/** What becomes of the last word. */
type Fate =
  /** It waits on its way, and says so with a file, until another one lets it go. */
  | 'late'
  /** The line breaks before it is there. */
  | 'lost'
  /** It is there, and the line breaks before the answer. */
  | 'unanswered';

/** In the place of exo there: exo, and a line to it that has this fate. Standing alone: it runs as the far account. */
const RELAY = `
const { spawn } = require('node:child_process');
const { existsSync, writeFileSync } = require('node:fs');
const { createInterface } = require('node:readline');
const [fate, main, ...words] = process.argv.slice(2);
const far = spawn(process.execPath, [main, ...words], { stdio: ['pipe', 'pipe', 'inherit'] });
far.on('close', (code) => process.exit(code ?? 1));
let committed = false;
const requests = createInterface({ input: process.stdin });
requests.on('close', () => far.stdin.end());
requests.on('line', (line) => {
  const last = line.includes('"op":"commit"');
  if (last && fate === 'lost') return far.stdin.end();
  if (last && fate === 'late') {
    writeFileSync(__filename + '.waits', '');
    const held = setInterval(() => {
      if (!existsSync(__filename + '.goes')) return;
      clearInterval(held);
      far.stdin.write(line + '\\n');
    }, 20);
    return;
  }
  committed = last;
  far.stdin.write(line + '\\n');
});
createInterface({ input: far.stdout }).on('line', (line) => {
  if (committed && fate === 'unanswered') return far.stdin.end();
  process.stdout.write(line + '\\n');
});
`;

/** Puts it into the home of the account. Returns what `--remote-command` says, and the files of `late`. */
function relayWith(world: ConnectWorld, fate: Fate) {
  world.installThere();
  const file = path.join(world.account.home, 'relay.cjs');
  writeFileSync(file, RELAY);
  chmodSync(file, 0o644);
  const command = `${process.execPath} ${file} ${fate} ${EXO_MAIN}`;
  return { command, waits: `${file}.waits`, goes: `${file}.goes` };
}

/** The node there has been ended: it was started for this. */
async function untilUndoneThere(world: ConnectWorld): Promise<void> {
  await eventually(
    { timeoutMs: 15_000, what: 'the far node is gone' },
    () => !world.far.exec('ss', ['-Hltn']).includes(':52415 '),
  );
}

/** `exo disconnect`: nothing is left there, and nobody is known here. */
async function disconnected(world: ConnectWorld): Promise<void> {
  const child = world.exo('disconnect');
  assert.equal(await child.closed, 0, child.output);
  await untilUndoneThere(world);
  assert.deepEqual((await world.trust()).known, []);
}

test('exo connect stopped while the far side is told to keep: it is made, and says so', { skip }, () =>
  inWorld(async (world) => {
    const { command, waits, goes } = relayWith(world, 'late');
    const child = world.connect('--remote-command', command);
    await eventually({ timeoutMs: 60_000, what: 'the last word is on its way' }, () => existsSync(waits));
    child.kill('SIGINT');
    await child.sees(/too late to undo it here: exo disconnect does/, 5_000);
    writeFileSync(goes, '');
    assert.equal(await child.closed, 0, child.output);
    assert.match(child.stdout, /are connected\n/);
    for (const host of [world.near, world.far]) {
      assert.equal(Object.keys((await world.topology(host)).nodes).length, 2);
    }
    await disconnected(world);
    assert.equal(await world.exo('stop').closed, 0);
  }),
);

/** Connects, and the last word has this fate. */
async function unconfirmed(world: ConnectWorld, fate: Fate): Promise<void> {
  await world.refused(
    world.connect('--remote-command', relayWith(world, fate).command),
    /has not confirmed that it keeps its part \(exo there (?:ended|did not answer).*\); the part here stands[\s\S]*exo disconnect/,
  );
}

test('exo connect whose last word is lost: says so, and exo disconnect undoes what is here', { skip }, () =>
  inWorld(async (world) => {
    await unconfirmed(world, 'lost');
    await untilUndoneThere(world);
    await disconnected(world);

    const joined = await world.connected('--chat', 'Who are you?');
    assert.match(joined.answer!, /demo model of exo-mesh/);
    assert.deepEqual((await world.trust()).known, [joined.far.id]);
    await disconnected(world);
    assert.equal(readFileSync(joined.near.peers_file, 'utf8'), '{\n  "peers": {}\n}\n');
    assert.equal(await world.exo('stop').closed, 0);
  }),
);

test('exo connect whose last word is not answered: exo disconnect undoes it on both sides', { skip }, () =>
  inWorld(async (world) => {
    await unconfirmed(world, 'unanswered');
    assert.equal(Object.keys((await world.topology(world.far)).nodes).length, 2);
    await disconnected(world);
    assert.equal(await world.exo('stop').closed, 0);
  }),
);

test('exo connect whose last word is not answered is not taken for connected', { skip }, () =>
  inWorld(async (world) => {
    await unconfirmed(world, 'unanswered');
    assert.equal(Object.keys((await world.topology(world.far)).nodes).length, 2);
    const again = await world.connected('--chat', 'Who are you?');
    assert.equal(again.already_connected, false, 'all of it is looked at again');
    assert.match(again.answer!, /demo model of exo-mesh/);
    assert.equal((await world.connected()).already_connected, true);
    await disconnected(world);
    assert.equal(readFileSync(again.near.peers_file, 'utf8'), '{\n  "peers": {}\n}\n');
    assert.equal(await world.exo('stop').closed, 0);
  }),
);
