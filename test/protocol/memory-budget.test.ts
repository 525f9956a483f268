import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createWireShared, MemoryBudget } from '../../src/protocol/index.js';
import { LIMITS, Sheds } from '../../src/shared/index.js';

describe('the memory budget', () => {
  it('holds memoryBudgetBytes, of which peers without a hello get legacyBudgetBytes', () => {
    const budget = new MemoryBudget();
    assert.equal(budget.reserve(LIMITS.legacyBudgetBytes, 'legacy'), true);
    assert.equal(budget.reserve(1, 'legacy'), false);
    const rest = LIMITS.memoryBudgetBytes - LIMITS.legacyBudgetBytes;
    assert.equal(budget.reserve(rest, 'established'), true);
    assert.equal(budget.reserve(1, 'established'), false);
    assert.equal(budget.usedBytes, LIMITS.memoryBudgetBytes);
    budget.release(1, 'legacy');
    assert.equal(budget.reserve(1, 'established'), true);
  });

  it('of a node counts what did not fit', () => {
    const sheds = new Sheds();
    const { budget } = createWireShared(sheds);
    assert.equal(budget.reserve(LIMITS.memoryBudgetBytes + 1, 'established'), false);
    assert.equal(sheds.count('overloaded'), 1);
    assert.equal(sheds.total, 1);
    assert.deepEqual(sheds.list(), [{ reason: 'overloaded', count: 1 }]);
  });
});
