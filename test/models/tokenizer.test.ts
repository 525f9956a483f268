/** Tokenizers give the ids that their publishers' do, text comes back whole, and a conversation becomes one text. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import type { Tokenizer } from '../../src/inference/index.js';
import { type ModelTokenizer, openThreadedTokenizer, openTokenizer } from '../../src/models/index.js';
import { ExoError, LIMITS, VirtualClock } from '../../src/shared/index.js';
import '../support/leaks.js';
import { ROOT } from '../support/processes.js';
import { temporaryFolder } from './checkpoint-files.js';

interface Vector {
  readonly text: string;
  readonly ids: readonly number[];
  readonly decoded: string;
}

interface VectorFile {
  readonly tokenizer: { readonly added_tokens: ReadonlyArray<{ id: number; content: string }> };
  readonly published: readonly Vector[];
  readonly more: readonly Vector[];
}

const never = new AbortController().signal;
const FOLDER = path.join(ROOT, 'test/models/vectors/tokenizers');
const NAMES = readdirSync(FOLDER).map((file) => file.replace('.json', ''));

function vectorsOf(name: string): VectorFile {
  return JSON.parse(readFileSync(path.join(FOLDER, `${name}.json`), 'utf8')) as VectorFile;
}

/** Files by name; objects as JSON. */
type Files = Readonly<Record<string, unknown>>;

function writeFiles(t: TestContext, files: Files): string {
  const folder = temporaryFolder(t);
  for (const [name, value] of Object.entries(files)) {
    const content = typeof value === 'string' || Buffer.isBuffer(value) ? value : JSON.stringify(value);
    writeFileSync(path.join(folder, name), content);
  }
  return folder;
}

async function open(t: TestContext, name: string, files: Files = {}): Promise<ModelTokenizer> {
  const folder = writeFiles(t, { 'tokenizer.json': vectorsOf(name).tokenizer, ...files });
  return await openTokenizer(folder, never);
}

function invalid(says: RegExp, code = 'tokenizer-invalid') {
  return (error: unknown) => {
    assert.ok(error instanceof ExoError, String(error));
    assert.equal(error.code, code);
    assert.match(error.message, says);
    return true;
  };
}

describe('a tokenizer gives the published ids, and the text back', () => {
  for (const name of NAMES) {
    it(name, async (t) => {
      const tokenizer = await open(t, name, { 'tokenizer_config.json': { add_bos_token: false } });
      const { published, more } = vectorsOf(name);
      assert.ok(published.length >= 46 && more.length >= 9);
      for (const { text, ids, decoded } of [...published, ...more]) {
        assert.deepEqual(tokenizer.encode(text), ids, JSON.stringify(text));
        assert.equal(tokenizer.decode(ids), decoded, JSON.stringify(text));
      }
    });
  }
});

describe('the tokens of an answer, decoded as they come', () => {
  for (const name of NAMES) {
    it(`${name}: a text begun ends in U+FFFD where a character is cut, and nowhere else`, async (t) => {
      const tokenizer = await open(t, name);
      const { published, more } = vectorsOf(name);
      let cut = 0;
      for (const { ids, decoded } of [...published, ...more]) {
        for (let end = 1; end <= ids.length; end += 1) {
          const text = tokenizer.decode(ids.slice(0, end));
          const whole = text.replace(/\ufffd+$/, '');
          assert.ok(decoded.startsWith(whole), `${JSON.stringify(text)} is no beginning of ${decoded}`);
          cut += text === whole ? 0 : 1;
        }
      }
      assert.ok(cut > 0);
    });
  }

  it('are without special tokens, and without ids that the vocabulary has not', async (t) => {
    for (const name of NAMES) {
      const tokenizer = await open(t, name);
      const { tokenizer: definition, more } = vectorsOf(name);
      const { ids, decoded } = more[0]!;
      const others = [definition.added_tokens[0]!.id, 999_999_999, -1];
      assert.equal(tokenizer.decode([...others, ...ids, ...others]), decoded);
      assert.equal(tokenizer.decode(others), '');
      assert.equal(tokenizer.decode([]), '');
    }
  });

  it('keep the spaces before full stops, whatever the config says of cleaning up', async (t) => {
    const config = { clean_up_tokenization_spaces: true };
    const tokenizer = await open(t, 'llama-bpe', { 'tokenizer_config.json': config });
    const ids = tokenizer.encode('mac1 , mac2 .').slice(1);
    assert.equal(tokenizer.decode(ids), 'mac1 , mac2 .');
  });
});

describe('BOS', () => {
  const BOS = { 'llama-bpe': [128_000, '<|begin_of_text|>'], 'llama-spm': [1, '<s>'] } as const;
  for (const [name, [id, text]] of Object.entries(BOS)) {
    it(`${name}: is put before a text, and not twice where a template has written it`, async (t) => {
      const tokenizer = await open(t, name, { 'tokenizer_config.json': { bos_token: text } });
      assert.equal(tokenizer.bosTokenId, id);
      const ids = tokenizer.encode('mac1');
      assert.equal(ids[0], id);
      assert.equal(tokenizer.encode(`${text}mac1`).filter((one) => one === id).length, 1);
      assert.deepEqual(tokenizer.encode(''), [id]);
      assert.deepEqual(tokenizer.encode(text), [id]);
    });
  }

  it('is left away or added as add_bos_token says', async (t) => {
    const config = (add_bos_token: boolean) => ({
      'tokenizer_config.json': { add_bos_token, bos_token: { content: '<s>', lstrip: false } },
    });
    const without = await open(t, 'llama-spm', config(false));
    assert.notEqual(without.encode('mac1')[0], 1);
    const { tokenizer: definition } = vectorsOf('llama-spm');
    const bare = { ...definition, post_processor: null };
    const folder = writeFiles(t, { 'tokenizer.json': bare, ...config(true) });
    assert.equal((await openTokenizer(folder, never)).encode('mac1')[0], 1);
  });

  it('is not put before a text by a tokenizer that has none', async (t) => {
    const tokenizer = await open(t, 'qwen2', { 'tokenizer_config.json': { bos_token: null } });
    assert.equal(tokenizer.bosTokenId, undefined);
    assert.deepEqual(tokenizer.encode(''), []);
  });

  it('is found without a tokenizer_config.json', async (t) => {
    const tokenizer = await open(t, 'llama-bpe', { 'config.json': { bos_token_id: 128_000 } });
    assert.equal(tokenizer.bosTokenId, 128_000);
    assert.equal(tokenizer.encode('mac1')[0], 128_000);
  });
});

describe('the ids that end an answer', () => {
  it('are those that any file of the model names', async (t) => {
    const tokenizer = await open(t, 'llama-bpe', {
      'generation_config.json': { eos_token_id: [128_001, 128_008] },
      'config.json': { eos_token_id: 128_001 },
      'tokenizer_config.json': { eos_token: { content: '<|eot_id|>' } },
    });
    assert.deepEqual([...tokenizer.eosTokenIds].sort(), [128_001, 128_008, 128_009]);
  });

  it('are none where no file names one, or what it names is no id', async (t) => {
    const tokenizer = await open(t, 'qwen2', {
      'generation_config.json': { eos_token_id: null },
      'config.json': { eos_token_id: '7' },
      'tokenizer_config.json': { eos_token: 'not a token' },
    });
    assert.equal(tokenizer.eosTokenIds.size, 0);
  });
});

const TALK = [
  { role: 'system', content: 'Be short.' },
  { role: 'user', content: 'Which node has layer 3?' },
] as const;
const LINES =
  "{{ bos_token }}{% for m in messages %}[{{ m.role }}]{{ m['content'] | trim }}{{ eos_token }}\n{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}";
const RENDERED = '<s>[system]Be short.</s>\n[user]Which node has layer 3?</s>\n[assistant]';
const CONFIG = { bos_token: '<s>', eos_token: { content: '</s>' } };

describe('a conversation', () => {
  it('is what the engine’s interface asks for', async (t) => {
    const folder = writeFiles(t, { 'tokenizer.json': vectorsOf('llama-spm').tokenizer });
    const tokenizer: Tokenizer = await openThreadedTokenizer(folder, never);
    assert.equal(typeof (await tokenizer.applyChatTemplate([...TALK])), 'string');
    await tokenizer.close?.();
  });

  const places: ReadonlyArray<readonly [where: string, files: Files]> = [
    ['tokenizer_config.json', { 'tokenizer_config.json': { ...CONFIG, chat_template: LINES } }],
    ['chat_template.jinja', { 'tokenizer_config.json': CONFIG, 'chat_template.jinja': LINES }],
    [
      'chat_template.jinja before tokenizer_config.json',
      { 'tokenizer_config.json': { ...CONFIG, chat_template: 'old' }, 'chat_template.jinja': LINES },
    ],
    [
      'chat_template.json',
      { 'tokenizer_config.json': CONFIG, 'chat_template.json': { chat_template: LINES } },
    ],
    [
      'a list with a default',
      {
        'tokenizer_config.json': {
          ...CONFIG,
          chat_template: [
            { name: 'tool_use', template: 'x' },
            { name: 'default', template: LINES },
          ],
        },
      },
    ],
    [
      'a list of one',
      { 'tokenizer_config.json': { ...CONFIG, chat_template: [{ name: 'x', template: LINES }] } },
    ],
  ];
  for (const [where, files] of places) {
    it(`is rendered by the template in ${where}`, async (t) => {
      const tokenizer = await open(t, 'llama-spm', files);
      assert.ok(tokenizer.hasChatTemplate);
      assert.equal(tokenizer.applyChatTemplate(TALK), RENDERED);
      assert.equal(tokenizer.encode(RENDERED).filter((id) => id === 1).length, 1);
    });
  }

  it('becomes lines of roles where the model has no template', async (t) => {
    const tokenizer = await open(t, 'llama-spm');
    assert.ok(!tokenizer.hasChatTemplate);
    assert.equal(
      tokenizer.applyChatTemplate(TALK),
      'system: Be short.\nuser: Which node has layer 3?\nassistant:',
    );
  });

  it('is refused in the template’s own words', async (t) => {
    const template =
      "{% if messages[0].role == 'system' %}{{ raise_exception('no \u001b[1msystem') }}{% endif %}x";
    const tokenizer = await open(t, 'llama-spm', { 'chat_template.jinja': template });
    assert.throws(
      () => tokenizer.applyChatTemplate(TALK),
      invalid(/does not take this conversation: no \\u001b\[1msystem/, 'conversation-refused'),
    );
    assert.equal(tokenizer.applyChatTemplate(TALK.slice(1)), 'x');
  });

  it('is rendered with tools and documents that are none, and with the date of the clock', async (t) => {
    const clock = new VirtualClock(new Date(2026, 1, 3, 16, 5).getTime());
    const template =
      "{% if tools is not none or documents is not none %}{{ 1/0 }}{% endif %}{{ strftime_now('%d %b %Y|%-d %B %y|%H:%M|%I %p|%A|%Q%%') }}{% if date_string is defined %}!{% endif %}";
    const folder = writeFiles(t, {
      'tokenizer.json': vectorsOf('llama-spm').tokenizer,
      'chat_template.jinja': template,
    });
    const tokenizer = await openTokenizer(folder, never, { clock });
    assert.equal(tokenizer.applyChatTemplate(TALK), '03 Feb 2026|3 February 26|16:05|04 PM|Tuesday|%Q%');
  });

  it('leaves nothing behind for the next one', async (t) => {
    const template =
      '{% set seen = messages | length %}{{ seen }}{% if last is defined %}?{% endif %}{% set last = 1 %}';
    const tokenizer = await open(t, 'llama-spm', { 'chat_template.jinja': template });
    assert.equal(tokenizer.applyChatTemplate(TALK), '2');
    assert.equal(tokenizer.applyChatTemplate(TALK.slice(1)), '1');
  });

  it('is counted through as in Python, but not for ever', async (t) => {
    const count = async (numbers: string) => {
      const template = `{% for i in range(${numbers}) %}{{ i }} {% endfor %}`;
      return (await open(t, 'llama-spm', { 'chat_template.jinja': template })).applyChatTemplate(TALK);
    };
    assert.equal(await count('3'), '0 1 2 ');
    assert.equal(await count('1, 3'), '1 2 ');
    assert.equal(await count('5, 0, -2'), '5 3 1 ');
    assert.equal(await count('3, 1'), '');
    await assert.rejects(count('1000000000000'), invalid(/failed \(range over 1000000000000 numbers\)/));
    await assert.rejects(count('1, 2, 0'), invalid(/failed/));
  });
});

describe('a tokenizer that cannot be used', () => {
  const whole = vectorsOf('llama-spm').tokenizer;
  const cases: ReadonlyArray<readonly [why: string, files: Files, says: RegExp]> = [
    ['is missing', {}, /tokenizer\.json is not there.*exo model pull/],
    ['is of SentencePiece only', { 'tokenizer.model': 'x' }, /has a tokenizer\.model and no tokenizer\.json/],
    ['is cut off', { 'tokenizer.json': JSON.stringify(whole).slice(0, -9) }, /tokenizer\.json is not JSON/],
    ['is a list', { 'tokenizer.json': [] }, /tokenizer\.json is not a JSON object/],
    ['has no parts', { 'tokenizer.json': {} }, /is not understood/],
    [
      'has parts that are not known',
      { 'tokenizer.json': { ...whole, decoder: { type: 'Enigma' } } },
      /is not understood \(Unknown Decoder type: Enigma\)/,
    ],
    [
      'has too many bytes',
      { 'tokenizer.json': Buffer.alloc(LIMITS.tokenizerBytesMax + 1, ' ') },
      /at most 67108864 are read/,
    ],
    [
      'has a config that is none',
      { 'tokenizer.json': whole, 'tokenizer_config.json': '{' },
      /tokenizer_config\.json is not JSON/,
    ],
    [
      'has a template that is none',
      { 'tokenizer.json': whole, 'chat_template.jinja': '{% for %}' },
      /chat_template\.jinja is not understood/,
    ],
    [
      'has templates and none for chat',
      {
        'tokenizer.json': whole,
        'tokenizer_config.json': {
          chat_template: [
            { name: 'a', template: 'x' },
            { name: 'b', template: 'y' },
          ],
        },
      },
      /neither a text nor a list with a default/,
    ],
  ];
  for (const [why, files, says] of cases) {
    it(`since it ${why} is refused with the file`, async (t) => {
      await assert.rejects(openTokenizer(writeFiles(t, files), never), invalid(says));
    });
  }

  it('says so when its template fails', async (t) => {
    const tokenizer = await open(t, 'llama-spm', { 'chat_template.jinja': '{{ nothing(1) }}' });
    assert.throws(() => tokenizer.applyChatTemplate(TALK), invalid(/chat_template\.jinja failed/));
  });

  it('is not read any more when the caller gave up', async (t) => {
    const folder = writeFiles(t, { 'tokenizer.json': whole });
    await assert.rejects(openTokenizer(folder, AbortSignal.abort(new Error('enough'))), /enough/);
  });
});
