/** Random and mutated input to the three parsers of this room: only ExoErrors may come out. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { AnnounceReader, decodeAnnounce, encodeAnnounce } from '../../src/discovery/announce.js';
import { parsePeersFile } from '../../src/discovery/peers-file.js';
import { decodeDatagram, encodeDatagram } from '../../src/discovery/udp-packet.js';
import { ExoError, type Random, randomInt, seededRandom } from '../../src/shared/index.js';
import { CAPABILITIES, FUZZ_MS } from './fixtures.js';

const PIECES = [
  '{',
  '}',
  '[',
  ']',
  '"',
  '\\',
  ',',
  ':',
  '//',
  '/*',
  '*/',
  '\n',
  '\u0000',
  '\ufeff',
  '1e999',
  '-',
  'null',
  '\\u',
  '"__proto__":',
  '"peers":',
  '"address":',
  '"port":',
  '127.0.0.1:1',
  'é',
  '\ud800',
];

/** Cuts, doubles, flips and inserts at random places. */
function mutate(random: Random, seedText: string): string {
  let text = seedText;
  for (let count = randomInt(random, 1, 6); count > 0; count -= 1) {
    const at = randomInt(random, 0, text.length);
    const end = Math.min(text.length, at + randomInt(random, 0, 20));
    switch (randomInt(random, 0, 3)) {
      case 0:
        text = text.slice(0, at) + text.slice(end);
        break;
      case 1:
        text = text.slice(0, end) + text.slice(at);
        break;
      case 2:
        text = text.slice(0, at) + PIECES[randomInt(random, 0, PIECES.length - 1)] + text.slice(at);
        break;
      default:
        text = text.slice(0, at) + String.fromCharCode(randomInt(random, 0, 255)) + text.slice(at + 1);
    }
  }
  return text;
}

/** Feeds `parse` until the time is used up. A failure names the seed that replays it. */
function fuzz(corpus: readonly string[], parse: (text: string, random: Random) => void) {
  const seed = Number(process.env['EXO_FUZZ_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
  const endMs = performance.now() + FUZZ_MS;
  const counts = { inputs: 0, accepted: 0 };
  while (performance.now() < endMs) {
    const random = seededRandom(seed + counts.inputs);
    const text =
      random.next() < 0.1
        ? random.bytes(randomInt(random, 0, 300)).toString('latin1')
        : mutate(random, corpus[randomInt(random, 0, corpus.length - 1)]!);
    counts.inputs += 1;
    try {
      parse(text, random);
      counts.accepted += 1;
    } catch (error) {
      assert.ok(
        error instanceof ExoError && error.code !== 'internal' && error.message.length > 0,
        `EXO_FUZZ_SEED=${seed + counts.inputs - 1} (${JSON.stringify(text)}): ${error}`,
      );
    }
  }
  return counts;
}

test('fuzz: a datagram is read or refused with an ExoError', (t) => {
  const seed = encodeDatagram({
    nodeId: 'a',
    nodePort: 1,
    capabilities: CAPABILITIES,
    priority: 4,
    interfaceName: 'eth0',
    interfaceType: 'Ethernet',
  });
  const counts = fuzz([seed.toString()], (text) => {
    const heard = decodeDatagram(Buffer.from(text));
    assert.ok(heard.nodePort >= 1 && heard.nodePort <= 65_535 && heard.priority >= 0 && heard.priority <= 7);
  });
  t.diagnostic(JSON.stringify(counts));
  assert.ok(counts.accepted > 0 && counts.accepted < counts.inputs);
});

test('fuzz: an announce in any pieces is read or refused with an ExoError', (t) => {
  const seed = encodeAnnounce({ nodeId: 'a', nodePort: 1, capabilities: CAPABILITIES });
  const counts = fuzz([seed.toString()], (text, random) => {
    const reader = new AnnounceReader();
    const bytes = Buffer.from(text);
    for (let at = 0; at < bytes.length; ) {
      const size = randomInt(random, 1, 40);
      const whole = reader.push(bytes.subarray(at, at + size));
      at += size;
      if (whole === undefined) continue;
      assert.ok(decodeAnnounce(whole).nodeId.length > 0);
      return;
    }
    throw new ExoError('candidate-invalid', 'not complete');
  });
  t.diagnostic(JSON.stringify(counts));
  assert.ok(counts.accepted > 0 && counts.accepted < counts.inputs);
});

test('fuzz: a peers.json is read, or refused with file, line and column', async (t) => {
  const corpus = await Promise.all(
    ['peers.example.json', 'docs/examples/mac1_peers.json', 'docs/examples/remote_peers.json'].map((file) =>
      readFile(new URL(`../../${file}`, import.meta.url), 'utf8'),
    ),
  );
  const counts = fuzz(corpus, (text) => {
    try {
      const { peers } = parsePeersFile(text, 'f.json');
      for (const peer of peers) assert.ok(peer.address.port >= 1 && peer.address.port <= 65_535);
    } catch (error) {
      if (error instanceof ExoError) assert.match(error.message, /^f\.json:\d+:\d+: ./s);
      throw error;
    }
  });
  t.diagnostic(JSON.stringify(counts));
  assert.ok(counts.accepted > 0 && counts.accepted < counts.inputs);
});
