import assert from 'node:assert/strict';
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import { z } from 'zod';
import { readJsonBody } from '../../src/api/body.js';
import { chatBody, toChatCall } from '../../src/api/chat-request.js';
import { JsonReader } from '../../src/api/json-reader.js';
import { LIMITS } from '../../src/shared/index.js';
import { json, ScriptedChat, StillMesh, startApi } from './harness.js';

const PATH = '/v1/chat/completions';
const MIB = 1_048_576;

function read(...pieces: string[]): unknown {
  const reader = new JsonReader();
  for (const piece of pieces) reader.feed(piece);
  return reader.end();
}

describe('json reader', () => {
  it('says of a text what JSON.parse says, wherever it is cut', () => {
    const texts = [
      '{"a":"\\\\","b":["x\\"[[[","\\\\\\"",1,{"c":"\\u0022,,"}],"d":{},"e":[]}',
      '{"\\u4e2d\\\\u1234":"\\ud83d\\ude00 \ud83d\ude00 \\ud83d","__proto__":{"x":1},"a":1,"a":2}',
      ' [ -0 , 1.5e-7 , 1E+400 , true , false , null , "" , [ ] , { } ] \n',
      '"\\\\\\\\u12"',
      '{"\ufeffa":["\ufeff","b\ufeffc\\ufeff","\\ud800\\ud800",{"b":1,"2":[3],"1":4}]}',
      '-12.25',
      'true',
    ];
    for (const text of texts) {
      const whole: unknown = JSON.parse(text);
      for (let cut = 0; cut <= text.length; cut += 1) {
        for (const step of [1, 3]) {
          const pieces = [text.slice(0, cut), text.slice(cut, cut + step), text.slice(cut + step)];
          assert.deepEqual(read(...pieces), whole, `cut at ${cut} of ${text}`);
        }
      }
    }
  });

  it('refuses what JSON.parse refuses, wherever it is cut, and says where', () => {
    const texts = [
      ...['', ' ', '{', '[1', '"a', '"\\', '"\\u12', 'tru', '1.', '-', '[1,]', '{"a":1,}', '{"a"}', '{"a":}'],
      ...[
        '[1 2]',
        '{"a" 1}',
        '{1:2}',
        '[}',
        '{]',
        '1 2',
        '"a" "b"',
        ',',
        ':',
        'NaN',
        "'a'",
        '01',
        '+1',
        '"\n"',
      ],
      ...[
        '"\\x"',
        '"\\u12g4"',
        '[1]]',
        '{"a":1}}',
        'nul l',
        '\ufeff1',
        '[\ufeff1]',
        '{\ufeff}',
        '[1,\u00a01]',
        '{"a":1 "b":2}',
        '[,1]',
        '{,}',
        '1_0',
      ],
    ];
    for (const text of texts) {
      assert.throws(() => JSON.parse(text), text);
      for (let cut = 0; cut <= text.length; cut += 1) {
        assert.throws(
          () => read(text.slice(0, cut), text.slice(cut)),
          { code: 'http-invalid', message: /^the body is not valid JSON: / },
          `cut at ${cut} of ${text}`,
        );
      }
    }
    assert.throws(() => read('{"a":1', ' x}'), /x at character 8, where , or } is expected/);
  });

  it('counts values, depth, fields and digits exactly', () => {
    const list = (values: number) => `[${'1,'.repeat(values - 2)}1]`;
    read(list(LIMITS.httpJsonValuesMax));
    assert.throws(() => read(list(LIMITS.httpJsonValuesMax + 1)), /more than 40000 values/);
    const deep = (levels: number) => `${'['.repeat(levels)}${']'.repeat(levels)}`;
    read(deep(LIMITS.httpJsonDepthMax));
    assert.throws(() => read(deep(LIMITS.httpJsonDepthMax + 1)), /deeper than 64/);
    const wide = (fields: number) =>
      JSON.stringify(Object.fromEntries(Array.from({ length: fields }, (_, at) => [`k${at}`, at])));
    read(wide(LIMITS.httpJsonNamesMax));
    assert.throws(() => read(wide(LIMITS.httpJsonNamesMax + 1)), /more than 4096 fields/);
    read('1'.repeat(LIMITS.httpJsonNumberCharsMax));
    assert.throws(() => read('1'.repeat(1_000), '1'.repeat(25)), /more than 1024 characters/);
  });

  it('takes a long conversation, long texts and quotes in them', () => {
    const messages = Array.from({ length: 10_000 }, (_, index) => ({
      role: 'user',
      content: `${index}, [{"`,
    }));
    assert.deepEqual(read(JSON.stringify({ messages })), { messages });
    for (const char of [',', '[', '{', '"', '\\', '\\"', '\n']) {
      const whole = { content: char.repeat(MIB), more: [1] };
      assert.deepEqual(read(JSON.stringify(whole)), whole);
    }
  });
});

/** Bodies that hold whoever parses them whole: 30 to 200 ms on the machine where the bounds were found. */
const HEAVY: Readonly<Record<string, () => string>> = {
  'escapes in a text': () => asked(`"${'a\\n'.repeat((16 * MIB - 100) / 3)}"`),
  'quotes in a text': () => asked(`"${'\\"'.repeat((16 * MIB - 100) / 2)}"`),
  'escapes in a name': () => asked(`"x"`, `"${'\\n'.repeat(8 * MIB - 100)}":1`),
  'long numbers': () => asked('"x"', `"a":[${`${'1'.repeat(400)},`.repeat(39_000)}1]`),
  'short numbers': () => asked('"x"', `"a":[${'1,'.repeat(39_000)}1]`),
  messages: () =>
    JSON.stringify({
      messages: Array.from({ length: 13_000 }, () => ({ role: 'user', content: '\n'.repeat(590) })),
    }),
  parts: () =>
    asked(`[${Array.from({ length: 13_000 }, (_, at) => `{"type":"text","text":"${at}"}`).join(',')}]`),
  'fields of messages': () =>
    `{"messages":[${Array.from({ length: 9 }, (_, of) => `{"role":"user","content":"x",${fields(of, 4_000)}}`).join(',')}]}`,
  'fields of the body': () => asked('"x"', fields(0, 4_000)),
};

function asked(content: string, more = '"n":1'): string {
  return `{"messages":[{"role":"user","content":${content}}],${more}}`;
}

function fields(of: number, count: number): string {
  return Array.from({ length: count }, (_, at) => `"k${of}_${at}":1`).join(',');
}

/** A piece, as a socket gives it at once. */
const PIECE_CHARS = 65_536;
/** Of processor time, and half as much again for what other tests take from the caches; found: at most 14. */
const HOLD_MS = 30;
const ROUNDS = 5;

describe('a body of megabytes holds the event loop for some 20 ms at most', () => {
  for (const [what, make] of Object.entries(HEAVY)) {
    it(what, () => {
      const text = make();
      assert.ok(text.length <= LIMITS.httpChatBodyBytesMax);
      const least: number[] = [];
      for (let round = 0; round < ROUNDS; round += 1) {
        const tookMs = holds(text);
        for (const [at, ms] of tookMs.entries()) least[at] = Math.min(least[at] ?? ms, ms);
      }
      const longestMs = Math.max(...least);
      assert.ok(longestMs < HOLD_MS, `${longestMs.toFixed(1)} ms at a time`);
    });
  }
});

/** Of each piece, and at the end of looking at the whole. */
function holds(text: string): number[] {
  const reader = new JsonReader();
  const tookMs: number[] = [];
  for (let at = 0; at < text.length; at += PIECE_CHARS) {
    tookMs.push(timed(() => reader.feed(text.slice(at, at + PIECE_CHARS))));
  }
  const parts = { chat: new ScriptedChat(), mesh: new StillMesh() };
  tookMs.push(timed(() => toChatCall(chatBody.parse(reader.end()), parts)));
  return tookMs;
}

function timed(work: () => void): number {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1_000;
}

it('between two pieces of a body, everything else has its turn', async (t: TestContext) => {
  let thisTurn = 0;
  let mostAtOnce = 0;
  let pieces = 0;
  const server = createServer(async (incoming, outgoing) => {
    const turn = () => {
      thisTurn = 0;
      if (!incoming.complete) setImmediate(turn);
    };
    setImmediate(turn);
    incoming.on('data', () => {
      pieces += 1;
      thisTurn += 1;
      mostAtOnce = Math.max(mostAtOnce, thisTurn);
    });
    const { a } = await readJsonBody(incoming, z.object({ a: z.string() }), LIMITS.httpChatBodyBytesMax);
    outgoing.end(String(a.length));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  const text = JSON.stringify({ a: 'x'.repeat(8 * MIB) });
  const answer = await new Promise<string>((resolve, reject) => {
    const asking = request({ port, host: '127.0.0.1', method: 'POST', agent: false }, (incoming) => {
      let said = '';
      incoming.setEncoding('utf8').on('data', (piece: string) => {
        said += piece;
      });
      incoming.on('end', () => resolve(said));
    });
    asking.on('error', reject);
    asking.setHeader('content-type', 'application/json').end(text);
  });
  assert.equal(answer, String(8 * MIB));
  assert.ok(pieces > 50, `${pieces} pieces`);
  assert.equal(mostAtOnce, 1);
});

it('a body of brackets, of numbers, of fields is refused as it comes, and the next question is answered', async (t) => {
  const api = await startApi(t);
  const bodies = [
    ['['.repeat(4_000_000), /deeper than 64/],
    [`{"messages":${'['.repeat(2_000_000)}${']'.repeat(2_000_000)}}`, /deeper than 64/],
    [`{"messages":[${'1,'.repeat(4_000_000)}1]}`, /more than 40000 values/],
    [`{"logit_bias":{${'"1":1,'.repeat(1_000_000)}"2":1}}`, /more than 4096 fields/],
    [`{"stop":[${'1,'.repeat(39_000)}1]}`, /messages: must be a list/],
    [`{"a":"${'x'.repeat(1_000_000)}`, /not valid JSON/],
  ] as const;
  for (const [body, says] of bodies) {
    const response = await api.post(PATH, body);
    const { error } = await json(response);
    assert.deepEqual([response.status, error.code], [400, 'http-invalid']);
    assert.match(error.message, says);
  }
  const messages = [{ role: 'user', content: 'Who are you?' }];
  assert.equal((await api.post(PATH, { model: 'dummy', messages })).status, 200);
});
