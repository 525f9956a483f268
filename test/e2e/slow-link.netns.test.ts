/** A link of 100 Mbit/s with a 64 MiB tensor on its way in each direction: health checks pass it, and nobody looks dead. */
import assert from 'node:assert/strict';
import path from 'node:path';
import test from 'node:test';
import { judgeSilence } from '../../src/node/membership.js';
import { LIMITS } from '../../src/shared/index.js';
import { type Host, Lab, labUnavailable } from '../lab/lab.js';
import { inTime } from '../support/eventually.js';
import { ROOT } from '../support/processes.js';
import { program } from '../support/program.js';
import type { LoadReport } from '../support/wire-work.js';

const skip = labUnavailable(['nft']) ?? false;
const RATE_MBIT = 100;
const MIB = 64;
const WORST_MS = inTime(500);
const PROGRAM = program(path.join(ROOT, 'test/support/wire-end-process.ts')).argv;

test('both ends answer health checks within 500 ms and suspect nobody while 64 MiB go each way over 100 Mbit/s', {
  skip,
}, async (t) => {
  const lab = new Lab();
  try {
    const lan = lab.lan(2);
    const [a, b] = lan.hosts as [Host, Host];
    lan.rate(b, RATE_MBIT);
    const far = b.start(process.execPath, [...PROGRAM, 'listen', b.address, '0'], { cwd: ROOT });
    const { port } = JSON.parse((await far.sees(/\{"port".*\}/, 20_000))[0]) as { port: number };
    const args = [...PROGRAM, 'load', b.address, String(port), String(MIB)];
    const near = a.start(process.execPath, args, { cwd: ROOT });
    assert.equal(await near.closed, 0, near.output);
    const reports = JSON.parse(near.stdout) as Record<'near' | 'far', LoadReport>;
    for (const [who, { tensorMs, healthMs, pingMs, silentMsMax }] of Object.entries(reports)) {
      const [health, ping] = [healthMs, pingMs].map((times) => Math.max(...times)) as [number, number];
      t.diagnostic(
        `${who}: ${MIB} MiB in ${tensorMs.toFixed(0)} ms; worst of ${healthMs.length} health checks ${health.toFixed(0)} ms, of ${pingMs.length} pings ${ping.toFixed(0)} ms; longest silence ${silentMsMax.toFixed(0)} ms`,
      );
      assert.ok(tensorMs >= 5_000, `the link held the tensor back: ${tensorMs} ms`);
      assert.ok(healthMs.length >= 5 && pingMs.length >= 5, 'probes all the time');
      assert.ok(health <= WORST_MS, `worst health check ${health} ms`);
      assert.ok(ping <= WORST_MS, `worst ping ${ping} ms`);
      assert.equal(judgeSilence(silentMsMax), 'alive');
      // Far from it: a peer that a little more load would make suspect is not what is wanted.
      assert.ok(silentMsMax < LIMITS.suspectAfterMs / 2, `${silentMsMax} ms of silence`);
    }
  } finally {
    await lab.close();
  }
});
