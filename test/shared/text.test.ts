import '../support/leaks.js';
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { closest, printable, printableLines } from '../../src/shared/index.js';

const char = String.fromCharCode;

describe('printable text', () => {
  it('is ordinary text unchanged, whatever its language', () => {
    for (const text of ['', 'mac2 (16 GB)', 'Łódź', '東京', '🙂']) assert.equal(printable(text), text);
  });

  it('has no control characters: terminals obey none of it', () => {
    assert.equal(printable(`${char(27)}[2J${char(7)}\r\n\t`), '\\u001b[2J\\u0007\\u000d\\u000a\\u0009');
    assert.equal(printable(char(0x9b)), '\\u009b');
    assert.equal(printable(char(0x7f)), '\\u007f');
  });

  it('has no characters that turn the direction of what follows', () => {
    for (const code of [0x200e, 0x200f, 0x202a, 0x202e, 0x2066, 0x2069]) {
      assert.equal(printable(char(code)), `\\u${code.toString(16)}`);
    }
  });

  it('is cut where it is too long', () => {
    assert.equal(printable('x'.repeat(200)).length, 200);
    assert.equal(printable('x'.repeat(201)), `${'x'.repeat(199)}…`);
    assert.equal(printable('abcdef', 4), 'abc…');
  });

  it('is cut after it was escaped: the bound holds, and a second time changes nothing', () => {
    const hostile = char(27).repeat(100);
    assert.equal(printable(hostile, 10), '\\u001b\\u0…');
    for (const text of [hostile, `${'x'.repeat(9)}${char(0x202e)}`, 'x'.repeat(11), 'x'.repeat(10)]) {
      const once = printable(text, 10);
      assert.equal(once.length, 10);
      assert.equal(printable(once, 10), once);
    }
  });
});

describe('the closest word', () => {
  const words = ['--node-port', '--node-host', '--discovery-module'] as const;

  it('is the one that was probably meant', () => {
    assert.equal(closest('--node-prot', words), '--node-port');
    assert.equal(closest('--NODE-HOST', words), '--node-host');
    assert.equal(closest('--discovery-modul', words), '--discovery-module');
  });

  it('is none where nothing is near', () => {
    assert.equal(closest('--frobnicate', words), undefined);
    assert.equal(closest('', []), undefined);
  });
});

it('the text of an answer keeps its lines, and nothing in it commands a terminal', () => {
  assert.equal(printableLines('a\n\tb — ü\u200f 😀\n'), 'a\n\tb — ü\u200f 😀\n');
  assert.equal(
    printableLines('\u001b]52;c;eA==\u0007\r\u009b2J'),
    '\\u001b]52;c;eA==\\u0007\\u000d\\u009b2J',
  );
});
