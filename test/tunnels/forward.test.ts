import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatForward, parseForward } from '../../src/tunnels/index.js';
import { HOSTILE, specRefusal } from './description.js';

const GOOD: ReadonlyArray<readonly [text: string, whole: string]> = [
  ['50052:localhost:50051', 'localhost:50052:localhost:50051'],
  ['127.0.0.1:50052:10.0.0.151:50051', '127.0.0.1:50052:10.0.0.151:50051'],
  ['localhost:50052:gpu-box.lan:50051', 'localhost:50052:gpu-box.lan:50051'],
  ['[::1]:50052:[fd00::17]:50051', '[::1]:50052:[fd00::17]:50051'],
  ['50052:[fe80::1%eth0]:50051', 'localhost:50052:[fe80::1%eth0]:50051'],
  ['*:50052:localhost:50051', '*:50052:localhost:50051'],
  [':50052:localhost:50051', '*:50052:localhost:50051'],
  ['0.0.0.0:1:h:65535', '0.0.0.0:1:h:65535'],
  ['0:localhost:50051', 'localhost:0:localhost:50051'],
  ['50052:/run/exo.sock', 'localhost:50052:/run/exo.sock'],
  ['127.0.0.1:50052:/run/exo.sock', '127.0.0.1:50052:/run/exo.sock'],
  ['/run/near.sock:localhost:50051', '/run/near.sock:localhost:50051'],
  ['/run/near.sock:/run/far.sock', '/run/near.sock:/run/far.sock'],
];

for (const [text, whole] of GOOD) {
  test(`forward ${text} is read as ssh reads it and written out whole`, () => {
    for (const kind of ['L', 'R'] as const) {
      const forward = parseForward(text, kind);
      assert.equal(forward.text, text);
      assert.equal(formatForward(forward), whole);
      const { listen, target } = parseForward(whole, kind);
      assert.deepEqual({ listen, target }, { listen: forward.listen, target: forward.target });
    }
  });
}

const BAD: ReadonlyArray<readonly [text: string, why: RegExp]> = [
  ['50052', /has no target/],
  ['50052:localhost', /has no target/],
  ['50052:localhost:', /"" where a port is due/],
  ['50052:localhost:http', /"http" where a port is due/],
  ['50052:localhost:65536', /ports end at 65535/],
  ['50052:localhost:0', /port 0 as its target/],
  ['50052:*:50051', /no host as its target/],
  ['50052::50051', /no host as its target/],
  ['x:localhost:1', /"x" where a port is due/],
  ['-1:localhost:1', /begins with "-"/],
  ['1:-oProxyCommand=x:2', /host that begins with "-"/],
  ['1:2:3:4:5', /do not belong together/],
  ['::1:50052:localhost:50051', /do not belong together.*brackets/],
  ['/run/a:b:c:1', /do not belong together/],
  ['[::1:1:h:2', /bracket out of place/],
  ['1:[h]x:2', /bracket out of place/],
  ['1:[12::3::4]:2', /no IPv6 address/],
  ['1:h%h:2', /"%"/],
  ['run/a:localhost:1', /without its full path/],
  ['~/a:localhost:1', /without its full path/],
  ['/run/%h:localhost:1', /"%"/],
  [`/${'a'.repeat(101)}:localhost:1`, /more than 100 bytes/],
  [`1:${'a'.repeat(256)}:2`, /more than 255 characters/],
  ['50052/localhost/50051', /has no target|full path/],
  ...HOSTILE.map((text) => [text, /^"/] as const),
  ...HOSTILE.filter((text) => text !== '').map((text) => [`1:${text}:2`, /^"/] as const),
  ...HOSTILE.filter((text) => !/^(|-|--|-F.*)$/.test(text)).map(
    (text) => [`/run/${text}:h:2`, /^"/] as const,
  ),
];

test('forward of another form, or with anything that ssh or a shell would take for more, is refused by name', () => {
  for (const [text, why] of BAD) {
    for (const kind of ['L', 'R'] as const) {
      const message = specRefusal(() => parseForward(text, kind));
      assert.match(message, why, text);
    }
  }
});

test('forward that is dynamic is refused as such', () => {
  assert.match(
    specRefusal(() => parseForward('1080', 'R')),
    /dynamic forward \(SOCKS\); write it as ssh -R: 5/,
  );
  assert.match(
    specRefusal(() => parseForward('localhost:1080', 'R')),
    /dynamic forward/,
  );
  assert.doesNotMatch(
    specRefusal(() => parseForward('1080', 'L')),
    /dynamic/,
  );
});
