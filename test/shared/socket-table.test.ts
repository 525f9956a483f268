/** The kernel's tables of sockets: a row is found by the port at this end alone, wherever the text is cut. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { statesOfPort, TCP_LISTEN } from '../../src/shared/socket-table.js';

/** As Linux prints them, each row 149 characters and a line feed; 50052 is C384. */
const HEAD =
  '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode';
const REST = '00000000:00000000 00:00000000 00000000     0        0 5013 1 0000000000000000 100 0 0 10 0';
const V4 = [
  HEAD,
  `   0: 00000000:C384 00000000:0000 0A ${REST}`,
  `   1: 0100007F:C384 0100007F:B6E7 01 ${REST}`,
  `  12: 0100007F:B6E7 0100007F:C384 06 ${REST}`,
  `12345: 0100007F:C384 0100007F:B6E7 06 00000000:00000000 03:0000176F 00000000     0        0 0 3 0000000000000000`,
  '',
].join('\n');
const V6 = [
  HEAD,
  `   0: 00000000000000000000000000000000:1A0A 00000000000000000000000000000000:0000 0A ${REST}`,
  `   1: 0000000000000000FFFF00000100007F:C384 0000000000000000FFFF00000100007F:B6E7 08 ${REST}`,
  `   2: 00000000000000000000000001000000:C384 00000000000000000000000001000000:0050 01 ${REST}`,
].join('\n');

async function* pieces(text: string, length: number): AsyncGenerator<string> {
  for (let from = 0; from < text.length; from += length) yield text.slice(from, from + length);
}

test('the states of a port are those of its rows, in any cut', async () => {
  for (const length of [1, 7, 149, 150, 151, 10_000]) {
    assert.deepEqual(await statesOfPort(pieces(V4, length), 50_052), [TCP_LISTEN, '01', '06'], `${length}`);
    assert.deepEqual(await statesOfPort(pieces(V4, length), 0xb6e7), ['06'], `${length}`);
    // Without its line feed the last row may be half of one.
    assert.deepEqual(await statesOfPort(pieces(V6, length), 50_052), ['08'], `${length}`);
    assert.deepEqual(await statesOfPort(pieces(V6, length), 6_666), [TCP_LISTEN], `${length}`);
  }
});

test('what is no table has no rows', async () => {
  for (const text of ['', '\n\n', HEAD, 'C384', `   0: C384 0A\n`, `   0: 0100007F:C384 0100007F:B6E7\n`])
    assert.deepEqual(await statesOfPort(pieces(text, 5), 50_052), []);
  assert.deepEqual(await statesOfPort(pieces(V4, 64), 80), []);
});
