import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { compareConnections, preferred } from '../../src/node/connection-choice.js';
import fc from '../support/properties.js';

describe('connection choice', () => {
  test('of a simultaneous open, the one dialled by the smaller id stays', () => {
    const a = { diallerId: 'a', priority: 4, serial: 9 };
    const b = { diallerId: 'b', priority: 4, serial: 1 };
    assert.equal(preferred([a, b]), a);
    assert.equal(preferred([b, a]), a);
  });

  test('a better path beats the smaller id', () => {
    const wifi = { diallerId: 'a', priority: 3, serial: 1 };
    const ethernet = { diallerId: 'b', priority: 4, serial: 2 };
    assert.equal(preferred([wifi, ethernet]), ethernet);
  });

  test('of two equal ones by one dialler, the older stays', () => {
    const old = { diallerId: 'a', priority: 4, serial: 1 };
    const young = { diallerId: 'a', priority: 4, serial: 2 };
    assert.equal(preferred([young, old]), old);
  });

  test('both ends choose the same, whatever their local serials are', () => {
    const facts = fc.record({
      diallerId: fc.constantFrom('a', 'b'),
      priority: fc.integer({ min: 0, max: 7 }),
    });
    fc.assert(
      fc.property(facts, facts, fc.nat(), fc.nat(), fc.nat(), fc.nat(), (x, y, s1, s2, s3, s4) => {
        fc.pre(x.diallerId !== y.diallerId);
        const here = compareConnections({ ...x, serial: s1 }, { ...y, serial: s2 });
        const there = compareConnections({ ...x, serial: s3 }, { ...y, serial: s4 });
        assert.equal(Math.sign(here), Math.sign(there));
        assert.notEqual(here, 0);
      }),
    );
  });

  test('of none, none', () => assert.equal(preferred([]), undefined));
});
