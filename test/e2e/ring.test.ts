/** Rings of 1 to 3 nodes over manual discovery: whoever is asked, the answer is the same. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { chat, chatStream } from '../support/http.js';
import { assertDummyAnswer, fullMesh } from '../support/mesh.js';
import { Cleanup } from '../support/processes.js';

interface Chunk {
  readonly choices: ReadonlyArray<{
    delta: { content?: string; role?: string };
    finish_reason: string | null;
  }>;
}

for (const count of [1, 2, 3]) {
  test(`a ring of ${count}: the same answer from each node, streamed in order and ended by DONE`, async () => {
    const cleanup = new Cleanup();
    try {
      const ids = ['a', 'b', 'c'].slice(0, count);
      const nodes = await fullMesh(
        cleanup,
        ids.map((id) => ({ id, kind: 'new' })),
      );
      for (const node of nodes.values()) {
        assertDummyAnswer(await chat(node.api));
        const events = await chatStream(node.api);
        assert.equal(events.at(-1), '[DONE]');
        const chunks = events.slice(0, -1).map((event) => JSON.parse(event) as Chunk);
        const words = chunks
          .map((chunk) => chunk.choices[0]?.delta.content ?? '')
          .filter((word) => word !== '');
        assert.equal(words.join(''), 'dummy'.repeat(10));
        assert.ok(words.length > 1, 'the answer came in pieces');
        const reasons = chunks.map((chunk) => chunk.choices[0]?.finish_reason ?? null);
        assert.equal(reasons.filter((reason) => reason !== null).join(), 'stop');
        assert.equal(
          reasons.findLastIndex((reason) => reason !== null),
          reasons.length - 1,
        );
      }
      const many = await Promise.all([...nodes.values(), ...nodes.values()].map((node) => chat(node.api)));
      for (const answer of many) assertDummyAnswer(answer);
    } finally {
      await cleanup.dispose();
    }
  });
}
