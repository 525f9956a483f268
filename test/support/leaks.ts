/**
 * Imported for its effect, into every test file by `npm test`: when all tests of the file and all of its own
 * hooks are done, fails if something still keeps the process alive (a socket, listener, timer, child process), and names it.
 */
import { after, beforeEach } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { inTime } from './eventually.js';

/** Closing takes a few turns of the loop, and a child a moment to be gone. */
const GRACE_MS = inTime(2_000);
const LOOK_EVERY_MS = 20;
/** Time for the report of the failure to be written before what leaked is ended with the process. */
const REPORT_MS = 500;

/** Asking for them opens them. */
void [process.stdin, process.stdout, process.stderr];
/** What is alive before the first test: the pipes to the test runner, and what the loader of TypeScript holds. */
const before = count(process.getActiveResourcesInfo());
let checked = false;

function count(names: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return counts;
}

/** What is alive now and was not before; work in progress that ends by itself does not count. */
function leaked(): string[] {
  const names: string[] = [];
  for (const [name, number] of count(process.getActiveResourcesInfo())) {
    if (name === 'Immediate' || name === 'CloseReq' || name === 'TTYWrap') continue;
    const more = number - (before.get(name) ?? 0);
    if (more > 0) names.push(`${more} × ${name}`);
  }
  return names;
}

async function check(): Promise<void> {
  checked = true;
  let wasClean = false;
  for (let waitedMs = 0; waitedMs < GRACE_MS; waitedMs += LOOK_EVERY_MS) {
    // Twice: what a last turn of the loop has begun is there after the next one.
    const isClean = leaked().length === 0;
    if (isClean && wasClean) return;
    wasClean = isClean;
    await delay(LOOK_EVERY_MS);
  }
  const left = leaked();
  if (left.length === 0) return;
  process.exitCode = 1;
  setTimeout(() => process.exit(1), REPORT_MS).unref();
  throw new Error(`left behind by the tests of this file: ${left.join(', ')}`);
}

/**
 * Hooks run in the order of their registration: this one is registered when the first test is about to begin, so that it stands
 * behind those of the test file. That test waits for it, and it is done outside of its hook (or it would be a hook of that).
 */
let hasBegun = false;
let look: NodeJS.Timeout;
const registered = new Promise<void>((resolve) => {
  look = setInterval(() => {
    if (!hasBegun) return;
    clearInterval(look);
    after(check);
    resolve();
  }, 1).unref();
});
beforeEach(() => {
  if (!hasBegun) look.ref();
  hasBegun = true;
  return registered;
});

process.on('exit', () => {
  // Where every test is skipped none has begun.
  if (checked || !hasBegun) return;
  console.error('test/support/leaks.ts: the check did not run');
  process.exitCode = 1;
});
