import '../support/leaks.js';
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Startable, startAll, stopAll } from '../../src/shared/index.js';

function part(name: string, calls: string[], failing: { start?: boolean; stop?: boolean } = {}): Startable {
  return {
    async start() {
      calls.push(`start ${name}`);
      if (failing.start) throw new Error(`${name} cannot start`);
    },
    async stop() {
      calls.push(`stop ${name}`);
      if (failing.stop) throw new Error(`${name} cannot stop`);
    },
  };
}

describe('parts', () => {
  it('start in order and stop in the reverse order', async () => {
    const calls: string[] = [];
    const parts = [part('a', calls), part('b', calls)];
    await startAll(parts);
    await stopAll(parts);
    assert.deepEqual(calls, ['start a', 'start b', 'stop b', 'stop a']);
  });

  it('are all stopped again when one cannot start, and its failure is thrown', async () => {
    const calls: string[] = [];
    const parts = [
      part('a', calls, { stop: true }),
      part('b', calls, { start: true, stop: true }),
      part('c', calls),
    ];
    await assert.rejects(startAll(parts), /b cannot start/);
    assert.deepEqual(calls, ['start a', 'start b', 'stop b', 'stop a']);
  });

  it('are all stopped even if one fails, then the first failure is thrown', async () => {
    const calls: string[] = [];
    const parts = [part('a', calls, { stop: true }), part('b', calls, { stop: true }), part('c', calls)];
    await assert.rejects(stopAll(parts), /b cannot stop/);
    assert.deepEqual(calls, ['stop c', 'stop b', 'stop a']);
  });
});
