/** What a remote shell gets to read: every shell gives back the words that went in, and runs nothing of them. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import test from 'node:test';
import {
  quoteWord,
  remoteCommandWords,
  scriptLine,
  unquotable,
} from '../../../src/cli/connect/shell-words.js';
import { ExoError } from '../../../src/shared/index.js';
import fc from '../../support/properties.js';
import { SHELLS } from './shells.js';

const run = (shell: string, line: string) => spawnSync(shell, ['-c', line], { encoding: 'utf8' });
const NASTY = [
  '$(id)',
  '`id`',
  '$HOME',
  'a b',
  '; id',
  '&& id',
  '| id',
  '> /tmp/x',
  '*',
  '~',
  '"',
  '#',
  '-rf',
  '{a,b}',
  '%n',
  '',
  '^',
  '?[a]',
  'é ü 日',
];

for (const shell of SHELLS) {
  test(`${shell} hands words to a script unchanged`, () => {
    const line = scriptLine('for w in "$@"; do printf "%s|" "$w"; done', NASTY);
    assert.equal(run(shell, line).stdout, NASTY.map((word) => `${word}|`).join(''));
  });
}

test('any text is either refused by name or comes through every shell as it is', () => {
  fc.assert(
    fc.property(fc.array(fc.string({ unit: 'binary', maxLength: 20 }), { maxLength: 4 }), (words) => {
      let line: string;
      try {
        line = scriptLine('for w in "$@"; do printf "%s|" "$w"; done', words);
      } catch (error) {
        assert.ok(error instanceof ExoError && error.code === 'option-invalid');
        assert.ok(words.some((word) => unquotable(word) !== undefined));
        return;
      }
      const shell = SHELLS[words.join('').length % SHELLS.length]!;
      assert.equal(run(shell, line).stdout, words.map((word) => `${Buffer.from(word).toString()}|`).join(''));
    }),
    { numRuns: 150 },
  );
});

test('quotes, backslashes, exclamation marks and what cannot be printed are refused by name', () => {
  for (const [word, reason] of [
    ["a'b", /has the character '/],
    ['a\\b', /has the character \\/],
    ['a!b', /has the character !/],
    ['a\nb', /cannot be printed/],
    ['a\0b', /cannot be printed/],
  ] as const) {
    assert.throws(() => quoteWord(word), reason);
    assert.throws(() => remoteCommandWords(word), reason);
  }
});

test('--remote-command is a program and words, never a line for a shell', () => {
  assert.deepEqual(remoteCommandWords(' /opt/exo  --x '), ['/opt/exo', '--x']);
  assert.deepEqual(remoteCommandWords('~/bin/exo'), ['~/bin/exo']);
  assert.throws(() => remoteCommandWords('-x'), /not the name of a program/);
  assert.throws(() => remoteCommandWords(''), /is empty/);
});
