/** Edits of peers.json as text: what is changed is there, and everything else has kept its bytes. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import {
  EMPTY_PEERS_FILE,
  peerAsWritten,
  withoutPeer,
  withoutTunnel,
  withPeer,
} from '../../src/discovery/peers-edit.js';
import { parsePeersFile } from '../../src/discovery/peers-file.js';
import { ROOT } from '../support/processes.js';
import fc from '../support/properties.js';

const EXAMPLE = readFileSync(path.join(ROOT, 'peers.example.json'), 'utf8');
const TUNNEL = { ssh: 'me@far', forward: ['50052:localhost:50051'], reverse: ['50060:localhost:50060'] };
const add = (text: string, name = 'new') =>
  withPeer(text, 'f', name, { address: '127.0.0.1:50052', tunnel: TUNNEL });

test('an entry in an empty file is written over several lines', () => {
  assert.equal(
    add(EMPTY_PEERS_FILE),
    `{
  "peers": {
    "new": {
      "address": "127.0.0.1:50052",
      "tunnel": {
        "ssh": "me@far",
        "forward": ["50052:localhost:50051"],
        "reverse": ["50060:localhost:50060"]
      }
    }
  }
}
`,
  );
});

test('an entry added to the example and removed again leaves the example, byte for byte', () => {
  const added = add(EXAMPLE);
  assert.ok(added.includes('\n    "new": {\n      "address"'));
  for (const comment of EXAMPLE.match(/\/\/.*/g)!) assert.ok(added.includes(comment));
  assert.equal(withoutPeer(added, 'f', 'new'), EXAMPLE);
});

test('the same edit twice changes nothing the second time', () => {
  const once = add(EXAMPLE);
  assert.equal(add(once), once);
  assert.equal(withoutPeer(EXAMPLE, 'f', 'nobody'), EXAMPLE);
  assert.equal(withoutTunnel(EXAMPLE, 'f', 'nobody'), EXAMPLE);
});

test('comments around an entry stay when it goes, and the comma that joined it goes too', () => {
  const text = `{
  // head
  "peers": {
    "a": { "address": "h:1" }, // about a
    // above b
    "b": { "address": "h:2" } /* behind b */
    // last
  }
}`;
  const without = withoutPeer(text, 'f', 'b');
  for (const comment of ['// head', '// about a', '// above b', '/* behind b */', '// last']) {
    assert.ok(without.includes(comment), `${comment} in\n${without}`);
  }
  assert.deepEqual(
    parsePeersFile(without, 'f').peers.map(({ id }) => id),
    ['a'],
  );
  assert.ok(!/\},/.test(without));
  assert.ok(withoutPeer(text, 'f', 'a').includes('// above b'));
});

test('an entry that is there keeps its unknown keys, comments and place', () => {
  const text = `{
\t"peers": {
\t\t"far": {
\t\t\t// why it is here
\t\t\t"address": "192.168.1.2",
\t\t\t"port": 50051,
\t\t\t"owner": "me",
\t\t\t"tunnel": { "ssh": "old@far", "note": 1, "jump": "x" },
\t\t},
\t},
}
`;
  const changed = add(text, 'far');
  assert.deepEqual(peerAsWritten(changed, 'f', 'far'), {
    address: '127.0.0.1:50052',
    owner: 'me',
    tunnel: { note: 1, ...TUNNEL },
  });
  assert.ok(changed.includes('// why it is here'));
  assert.ok(changed.startsWith('{\n\t"peers": {\n\t\t"far": {\n\t\t\t// why'));
  const without = withPeer(changed, 'f', 'far', { address: '127.0.0.1:1', tunnel: null });
  assert.deepEqual(peerAsWritten(without, 'f', 'far'), { address: '127.0.0.1:1', owner: 'me' });
  assert.deepEqual(peerAsWritten(withoutTunnel(changed, 'f', 'far'), 'f', 'far'), {
    address: '127.0.0.1:50052',
    owner: 'me',
  });
});

test('tabs, CRLF, a byte order mark, trailing commas and one-line files are followed', () => {
  const crlf = '\ufeff{\r\n\t"peers": {\r\n\t\t"a": { "address": "h:1" }\r\n\t}\r\n}\r\n';
  const added = add(crlf);
  assert.ok(added.includes('\r\n\t\t"new": {\r\n\t\t\t"address"'));
  assert.ok(!/[^\r]\n/.test(added));
  assert.equal(withoutPeer(added, 'f', 'new'), crlf);

  const compact = '{"peers":{"a":{"address":"h:1"}}}';
  const inLine = add(compact);
  assert.ok(!inLine.includes('\n'));
  assert.equal(withoutPeer(inLine, 'f', 'new'), compact);

  const trailing = '{\n  "peers": {\n    "a": { "address": "h:1" },\n  },\n}\n';
  assert.match(add(trailing), /\n {4}\},\n {2}\},\n\}\n$/);
  assert.equal(withoutPeer(add(trailing), 'f', 'new'), trailing);
});

test('a file that the node refuses is refused with its place and not edited', () => {
  assert.throws(() => add('{"peers": {"a": }}'), /f:1:\d+/);
  assert.throws(() => withPeer(EMPTY_PEERS_FILE, 'f', '__proto__', { address: 'h:1' }), /__proto__/);
  assert.throws(() => withPeer(EMPTY_PEERS_FILE, 'f', 'x', { address: 'no port' }));
});

const name = fc.stringMatching(/^[a-zA-Z0-9 "\\/*_-]{1,12}$/).filter((text) => text !== '__proto__');
/** White space and comments that may stand between any two tokens. */
const gap = fc.constantFrom('', ' ', '\n', '\n\t', '\r\n', ' // c }\n', ' /* , */ ', '\n  /* a\n b */\n');
const file = fc
  .tuple(
    fc.uniqueArray(name, { maxLength: 4 }),
    fc.array(gap, { minLength: 24, maxLength: 24 }),
    fc.boolean(),
  )
  .map(([names, gaps, comma]) => {
    let at = 0;
    const g = () => gaps[at++ % gaps.length]!;
    const entries = names.map(
      (each) => `${g()}${JSON.stringify(each)}${g()}:${g()}{${g()}"address": "h:1"${g()}}${g()}`,
    );
    const body = entries.join(',') + (comma && entries.length > 0 ? `,${g()}` : '');
    return { names, text: `${g()}{${g()}"peers":${g()}{${body}${g()}}${g()}}${g()}` };
  });
const comments = (text: string) => text.match(/\/\/ c \}|\/\* , \*\/|\/\* a\n b \*\//g)?.length ?? 0;

test('any file keeps its other entries and every comment through add, change and remove', () => {
  fc.assert(
    fc.property(file, name, ({ names, text }, target) => {
      const ids = (each: string) =>
        parsePeersFile(each, 'f')
          .peers.map(({ id }) => id)
          .sort();
      const added = add(text, target);
      assert.deepEqual(ids(added), [...new Set([...names, target])].sort());
      assert.deepEqual(peerAsWritten(added, 'f', target)!['tunnel'], TUNNEL);
      assert.ok(comments(added) >= comments(text));
      assert.equal(add(added, target), added);
      const removed = withoutPeer(added, 'f', target);
      assert.deepEqual(ids(removed), names.filter((each) => each !== target).sort());
      if (!names.includes(target)) assert.equal(comments(removed), comments(text));
    }),
    { numRuns: 2_000 },
  );
});
