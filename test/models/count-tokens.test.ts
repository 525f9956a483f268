/** How soon it is known that a text is too long, and that this is never said of one that fits. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { openThreadedTokenizer, openTokenizer } from '../../src/models/index.js';
import { tooManyTokens } from '../../src/models/tokenizer/count-tokens.js';
import { type ExoError, seededRandom, VirtualClock } from '../../src/shared/index.js';
import { inTime } from '../support/eventually.js';
import { ROOT } from '../support/processes.js';
import { temporaryFolder } from './checkpoint-files.js';

const never = new AbortController().signal;
const FOLDER = path.join(ROOT, 'test/models/vectors/tokenizers');
const WORDS = [
  'node',
  'the ',
  ' mesh',
  'a',
  '\n\n',
  '    ',
  '漢字',
  'ß',
  '👩‍🚀',
  '0123',
  '\u00a0',
  'e\u0301',
  '<s>',
];

describe('the tokens of a text that is too long', () => {
  for (const name of readdirSync(FOLDER)) {
    it(`are never counted above what they are: ${name}`, async (t) => {
      const folder = temporaryFolder(t);
      const { tokenizer: definition } = JSON.parse(readFileSync(path.join(FOLDER, name), 'utf8')) as {
        tokenizer: object;
      };
      writeFileSync(path.join(folder, 'tokenizer.json'), JSON.stringify(definition));
      const tokenizer = await openTokenizer(folder, never);
      const random = seededRandom(5);
      let refused = 0;
      for (let round = 0; round < 5; round += 1) {
        const words = Array.from({ length: 1 + Math.floor(random.next() * 3) }, () => {
          return WORDS[Math.floor(random.next() * WORDS.length)]!;
        });
        const text = words.map((word) => word.repeat(1 + Math.floor(random.next() * 2_000))).join('');
        const count = tokenizer.encode(text).length;
        for (const most of [1, 64, Math.floor(count / 2), count, count + 1]) {
          const least = tooManyTokens((piece) => tokenizer.encode(piece), text, most);
          if (least === undefined) continue;
          refused += 1;
          assert.ok(least > most && least <= count, `${least} of ${count}, ${most} fit: ${words.join(',')}`);
        }
      }
      assert.ok(refused > 3, `${refused} refused`);
    });
  }

  it('are not looked for where the text may fit', () => {
    let asked = 0;
    const encode = (piece: string) => {
      asked += 1;
      return [...piece].map(() => 1);
    };
    assert.equal(tooManyTokens(encode, 'x'.repeat(6_000), 1_000), undefined);
    assert.equal(asked, 0);
    assert.ok(tooManyTokens(encode, 'x'.repeat(3_000_000), 1_000)! > 1_000);
    assert.equal(asked, 1, 'the first piece says it');
  });
});

describe('a tokenizer in a thread', () => {
  const definition = () =>
    (JSON.parse(readFileSync(path.join(FOLDER, 'qwen2.json'), 'utf8')) as { tokenizer: object }).tokenizer;

  it('refuses three megabytes at once, with both numbers, and encodes the next text', async (t) => {
    const folder = temporaryFolder(t);
    writeFileSync(path.join(folder, 'tokenizer.json'), JSON.stringify(definition()));
    const tokenizer = await openThreadedTokenizer(folder, never);
    t.after(() => tokenizer.close());
    for (const word of ['How do nodes find each other? ', 'a', '漢', '\n']) {
      const startMs = performance.now();
      await assert.rejects(
        tokenizer.encode(word.repeat(3_000_000 / word.length), never, 512),
        (error: ExoError) => {
          assert.equal(error.code, 'prompt-too-long');
          assert.match(error.message, /at least \d+ tokens, and 512 tokens fit/);
          return true;
        },
      );
      const tookMs = performance.now() - startMs;
      assert.ok(tookMs < inTime(2_000), `${tookMs} ms`);
    }
    assert.ok((await tokenizer.encode('still here', never, 512)).length > 0);
  });

  it('says that a text is too long when it is not encoded in time', async (t) => {
    const folder = temporaryFolder(t);
    writeFileSync(path.join(folder, 'tokenizer.json'), JSON.stringify(definition()));
    const clock = new VirtualClock();
    const tokenizer = await openThreadedTokenizer(folder, never, { clock });
    t.after(() => tokenizer.close());
    // Few enough characters that it might fit.
    const late = tokenizer.encode('a'.repeat(3_000_000), never, 1_000_000);
    const refused = assert.rejects(late, (error: ExoError) => {
      assert.equal(error.code, 'prompt-too-long');
      assert.match(error.message, /3000000 characters.*longer than 30 s.*1000000 tokens fit/);
      return true;
    });
    await clock.advance(30_000);
    await refused;
    assert.ok((await tokenizer.encode('still here')).length > 0);
  });
});
