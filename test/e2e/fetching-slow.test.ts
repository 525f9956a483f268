/** A first question to a model whose tokenizer is long on its way: whoever asks sees how far it is, and gets the answer when it is there. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { canComputeGgml } from '../../src/inference/index.js';
import { eventually } from '../support/eventually.js';
import { REPOSITORY } from '../support/fetching.js';
import { DEMO_FILES, startFetching } from '../support/fetching-nodes.js';
import { Cleanup, startExo } from '../support/processes.js';
import '../support/leaks.js';

const skip = canComputeGgml() ? false : 'no prebuilt ggml libraries for this machine';
const TIMEOUT_S = 4;

test('a tokenizer over a slow link: a typed error with how far it is before the client is cut off, then progress, then the answer', {
  skip,
}, async () => {
  const cleanup = new Cleanup();
  try {
    const { hub, nodes, env } = await startFetching(
      cleanup,
      ['a'],
      ['--chatgpt-api-response-timeout', String(TIMEOUT_S)],
    );
    const a = nodes.get('a')!;
    // Blanks around JSON mean nothing, and take their time.
    const tokenizer = Buffer.concat([DEMO_FILES['tokenizer.json']!, Buffer.alloc(2_000_000, ' ')]);
    hub.put(REPOSITORY, { ...DEMO_FILES, 'tokenizer.json': tokenizer });
    let isSlow = true;
    hub.onPiece = async (sent) => {
      if (isSlow && sent.path === 'tokenizer.json') await new Promise((resolve) => setTimeout(resolve, 250));
    };
    const ask = async () => {
      const response = await fetch(`${a.api}/v1/chat/completions`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({
          ...{ model: REPOSITORY, temperature: 0, max_tokens: 4 },
          messages: [{ role: 'user', content: 'Hi' }],
        }),
        signal: AbortSignal.timeout(60_000),
      });
      return { status: response.status, text: await response.text() };
    };
    const first = await ask();
    assert.equal(first.status, 503, first.text);
    const { error } = JSON.parse(first.text) as { error: { code: string; message: string } };
    assert.equal(error.code, 'model-fetching');
    assert.match(
      error.message,
      /configuration and tokenizer are being fetched: \d+\.\d of 2\.\d MB, \d+ s left.*ask again later/,
    );
    // It has gone on meanwhile, and whoever asks at a terminal sees it.
    const run = startExo(cleanup, ['run', REPOSITORY, '--prompt', 'Hi', '--max-generate-tokens', '4'], {
      env: { ...env, EXO_HOME: a.home },
    });
    await run.sees(/a fetches mesh\/tiny: \d+ % of /, 20_000);
    isSlow = false;
    await run.closed;
    await eventually({ timeoutMs: 30_000, what: 'the answer' }, async () => (await ask()).status === 200);
    assert.equal(hub.bytesSent('tokenizer.json'), tokenizer.length);
  } finally {
    await cleanup.dispose();
  }
});
