import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { StopScanner } from '../../src/api/stop-sequences.js';
import fc from '../support/properties.js';

function run(stops: string[], pieces: string[]): { text: string; stopped: boolean } {
  const scanner = new StopScanner(stops);
  let text = '';
  for (const piece of pieces) text += scanner.push(piece);
  if (!scanner.stopped) text += scanner.flush();
  return { text, stopped: scanner.stopped };
}

describe('stop sequences', () => {
  it('cut at the first of several', () => {
    assert.deepEqual(run(['b', 'ab'], ['xab']), { text: 'x', stopped: true });
    assert.deepEqual(run(['END', 'STOP'], ['a ST', 'OP END']), { text: 'a ', stopped: true });
  });

  it('let text through at once that cannot begin one', () => {
    const scanner = new StopScanner(['\n\n']);
    assert.equal(scanner.push('one\n'), 'one');
    assert.equal(scanner.push('two'), '\ntwo');
  });

  it('give nothing after one was found', () => {
    const scanner = new StopScanner(['.']);
    assert.equal(scanner.push('a.b'), 'a');
    assert.equal(scanner.push('c'), '');
    assert.equal(scanner.flush(), '');
  });

  it('do nothing when empty', () => {
    assert.deepEqual(run(['', ''], ['a', 'b']), { text: 'ab', stopped: false });
  });

  it('give the same text however it is cut into pieces', () => {
    const letters = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 40 });
    const stop = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), minLength: 1, maxLength: 4 });
    const cuts = fc.array(fc.nat(40), { maxLength: 10 });
    fc.assert(
      fc.property(letters, fc.array(stop, { maxLength: 3 }), cuts, (text, stops, at) => {
        const places = [0, ...at.map((place) => Math.min(place, text.length)), text.length].sort(
          (a, b) => a - b,
        );
        const pieces = places.slice(1).map((end, index) => text.slice(places[index], end));
        const found = stops.map((one) => text.indexOf(one)).filter((index) => index !== -1);
        const result = run(stops, pieces);
        // A stop that ends first may hide one that begins earlier and ends later, so the cut is at or after the earliest.
        assert.equal(result.stopped, found.length > 0);
        if (found.length === 0) assert.equal(result.text, text);
        else {
          assert.ok(text.startsWith(result.text), 'is a beginning');
          assert.ok(
            stops.some((one) => text.startsWith(one, result.text.length)),
            'ends at a stop',
          );
          assert.ok(
            stops.every((one) => !result.text.includes(one)),
            'has no stop in it',
          );
        }
      }),
      { numRuns: 5_000 },
    );
  });
});
