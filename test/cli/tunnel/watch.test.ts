/** `--watch`: one picture on a terminal, lines elsewhere. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { watch } from '../../../src/cli/tunnel/watch.js';
import { ExoError, VirtualClock } from '../../../src/shared/index.js';
import { TestHost } from '../host.js';

/** Shows 1, 2, 3, …; the test moves time on. */
function counting(host: TestHost, linesOnly = false) {
  let value = 0;
  const done = watch<number>(host, {
    ask: async () => {
      value += 1;
      return value;
    },
    picture: (now) => [`picture ${now}`, 'a second line'],
    news: (now, before) => (before === undefined || now % 2 === 0 ? [`news ${now}`] : []),
    linesOnly,
  });
  return done;
}

describe('--watch', () => {
  test('redraws one picture on a terminal, and ends with 0 on Ctrl-C', async () => {
    const clock = new VirtualClock();
    const host = new TestHost([], { clock, isTTY: true });
    const done = counting(host);
    await clock.advance(1_500);
    host.send('SIGINT');
    assert.equal(await done, 0);
    assert.equal(host.out, 'picture 1\na second line\n\u001b[2A\r\u001b[Jpicture 2\na second line\n');
    assert.equal(host.send('SIGINT'), 0, 'nobody listens any more');
  });

  test('never draws more than the terminal shows, wrapped lines counted', async () => {
    const clock = new VirtualClock();
    const host = new TestHost([], { clock, isTTY: true });
    Object.assign(host.stdout, { columns: 10, rows: 6 });
    const picture = ['1234567890', '12345678901', 'third', 'fourth', 'fifth'];
    const done = watch(host, {
      ask: () => Promise.resolve(0),
      picture: () => picture,
      news: () => [],
      linesOnly: false,
    });
    await clock.advance(500);
    Object.assign(host.stdout, { rows: 24 });
    await clock.advance(1_000);
    host.send('SIGINT');
    assert.equal(await done, 0);
    const short = [...picture.slice(0, 3), '… 2 more'];
    const rewind = '\u001b[5A\r\u001b[J';
    assert.equal(host.out, `${short.join('\n')}\n${rewind}${picture.join('\n')}\n`);
  });

  test('writes only what is new where there is no terminal, or lines were asked for', async () => {
    for (const [isTTY, linesOnly] of [
      [false, false],
      [true, true],
    ] as const) {
      const clock = new VirtualClock();
      const host = new TestHost([], { clock, isTTY });
      const done = counting(host, linesOnly);
      await clock.advance(3_500);
      host.send('SIGTERM');
      assert.equal(await done, 0);
      assert.equal(host.out, 'news 1\nnews 2\nnews 4\n');
    }
  });

  test('ends with what the node says when it cannot be asked any more', async () => {
    const host = new TestHost([], { clock: new VirtualClock() });
    const gone = new ExoError('api-unreachable', 'no node answers');
    await assert.rejects(
      watch(host, {
        ask: () => Promise.reject(gone),
        picture: () => [],
        news: () => [],
        linesOnly: false,
      }),
      gone,
    );
    assert.equal(host.send('SIGINT'), 0);
  });
});
