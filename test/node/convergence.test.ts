import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { converge } from '../support/convergence.js';
import '../support/leaks.js';

/** Of the issue: a small constant of messages per node present, whatever the size. */
const MESSAGES_PER_NODE_MAX = 3;
const CONVERGED_MS_MAX = 2_000;

describe('a mesh in which every node dials all before it', () => {
  for (const count of [10, 20, 50, 100]) {
    test(`of ${count} agrees within 2 s after the last joins, for at most 3 messages a node`, async (t) => {
      const { convergedMs, messagesPerNode } = await converge(count);
      t.diagnostic(
        `${count} nodes: ${Math.round(convergedMs)} ms, ${messagesPerNode.toFixed(2)} messages a node`,
      );
      assert.ok(messagesPerNode <= MESSAGES_PER_NODE_MAX, `${messagesPerNode} messages a node`);
      assert.ok(convergedMs <= CONVERGED_MS_MAX, `${convergedMs} ms`);
    });
  }
});
