/** known_hosts: every form of a line, every verdict, any input; names are held against ssh-keygen -F where there is one. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, it } from 'node:test';
import { LIMITS } from '../../src/shared/index.js';
import {
  checkHostKey,
  type HostKeyVerdict,
  knownKeyTypes,
  loadKnownHosts,
  parseKnownHosts,
} from '../../src/tunnels/ssh2/known-hosts.js';
import fc from '../support/properties.js';
import { fuzzMs } from '../support/scale.js';
import '../support/leaks.js';

/** A key blob of a type: its name with a length in front, and bytes that tell it from others. */
function keyOf(type: string, id: number): Buffer {
  const head = Buffer.alloc(4);
  head.writeUInt32BE(type.length);
  return Buffer.concat([head, Buffer.from(type), Buffer.from([0, 0, 0, 32]), Buffer.alloc(32, id)]);
}
const ED = (id: number) => keyOf('ssh-ed25519', id);
const text = (key: Buffer, type = 'ssh-ed25519') => `${type} ${key.toString('base64')}`;
const [ONE, TWO] = [ED(1), ED(2)];
const HOST = { host: 'gw.example.org', port: 22 };

function verdict(
  lines: string | readonly string[],
  target: Parameters<typeof checkHostKey>[1] = HOST,
  key = ONE,
) {
  const file = parseKnownHosts(typeof lines === 'string' ? lines : lines.join('\n'), 'known_hosts');
  return checkHostKey([file], target, key);
}

function hashed(name: string, salt = Buffer.alloc(20, 7)): string {
  return `|1|${salt.toString('base64')}|${createHmac('sha1', salt).update(name).digest('base64')}`;
}

function kinds(...cases: Array<[string, HostKeyVerdict, HostKeyVerdict['kind']]>): void {
  for (const [what, got, kind] of cases) assert.equal(got.kind, kind, what);
}

describe('known_hosts', () => {
  it('finds a host by its plain name, in a list, in any case', () => {
    kinds(
      ['plain', verdict(`gw.example.org ${text(ONE)}`), 'known'],
      ['comment and spaces', verdict(`  gw.example.org\t${text(ONE)}  me@here \r`), 'known'],
      ['list', verdict(`other,gw.example.org,192.0.2.1 ${text(ONE)}`), 'known'],
      ['case', verdict(`GW.Example.org ${text(ONE)}`, { host: 'gw.EXAMPLE.org', port: 22 }), 'known'],
      ['another host', verdict(`gw2.example.org ${text(ONE)}`), 'unknown'],
      ['nothing', verdict(''), 'unknown'],
    );
  });

  it('tells where the line is', () => {
    const got = verdict(['# comment', '', `gw.example.org ${text(ONE)}`]);
    assert.deepEqual(got, { kind: 'known', file: 'known_hosts', line: 3 });
  });

  it('finds a host on another port by [host]:port, or by a key known for the host itself', () => {
    const target = { host: 'gw', port: 2222 };
    kinds(
      ['with port', verdict(`[gw]:2222 ${text(ONE)}`, target), 'known'],
      ['another port', verdict(`[gw]:2223 ${text(ONE)}`, target), 'unknown'],
      ['host key', verdict(`gw ${text(ONE)}`, target), 'known'],
      ['another key on port 22 says nothing', verdict(`gw ${text(TWO)}`, target), 'unknown'],
      ['revoked for the host', verdict(`@revoked gw ${text(ONE)}`, target), 'revoked'],
      [
        'port entry does not serve 22',
        verdict(`[gw]:2222 ${text(ONE)}`, { host: 'gw', port: 22 }),
        'unknown',
      ],
      ['IPv6', verdict(`[2001:db8::1]:2222 ${text(ONE)}`, { host: '2001:db8::1', port: 2222 }), 'known'],
      ['alias', verdict(`cluster ${text(ONE)}`, { ...target, alias: 'Cluster' }), 'known'],
      ['alias only', verdict(`[gw]:2222 ${text(ONE)}`, { ...target, alias: 'cluster' }), 'unknown'],
    );
  });

  it('takes wildcards and negation', () => {
    kinds(
      ['star', verdict(`*.example.org ${text(ONE)}`), 'known'],
      ['question mark', verdict(`g?.example.org ${text(ONE)}`), 'known'],
      ['stars', verdict(`*w*e*g ${text(ONE)}`), 'known'],
      ['too short', verdict(`gw.example.org? ${text(ONE)}`), 'unknown'],
      ['negated after', verdict(`*.example.org,!gw.* ${text(ONE)}`), 'unknown'],
      ['negated before', verdict(`!gw.*,*.example.org ${text(ONE)}`), 'unknown'],
      ['negation alone', verdict(`!other ${text(ONE)}`), 'unknown'],
    );
  });

  it('finds hashed names', () => {
    kinds(
      ['host', verdict(`${hashed('gw.example.org')} ${text(ONE)}`), 'known'],
      ['port', verdict(`${hashed('[gw]:2222')} ${text(ONE)}`, { host: 'GW', port: 2222 }), 'known'],
      ['another', verdict(`${hashed('gw2')} ${text(ONE)}`), 'unknown'],
      ['changed', verdict(`${hashed('gw.example.org')} ${text(TWO)}`), 'changed'],
      ['unknown hash', verdict(`|2|aaaa|bbbb ${text(ONE)}`), 'unknown'],
      ['broken hash', verdict(`|1|aaaa ${text(ONE)}`), 'unknown'],
    );
  });

  it('tells a changed key from one of a type not seen yet', () => {
    const rsa = keyOf('ssh-rsa', 3);
    kinds(
      ['changed', verdict(`gw.example.org ${text(TWO)}`), 'changed'],
      ['one of two', verdict([`gw.example.org ${text(TWO)}`, `gw.example.org ${text(ONE)}`]), 'known'],
    );
    const got = verdict(`gw.example.org ${text(rsa, 'ssh-rsa')}`);
    assert.deepEqual(got, { kind: 'unknown', files: ['known_hosts'], otherTypes: ['ssh-rsa'] });
  });

  it('names the types that a host is known by', () => {
    const rsa = keyOf('ssh-rsa', 3);
    const file = parseKnownHosts(
      `gw ${text(ONE)}\ngw ${text(rsa, 'ssh-rsa')}\nother ${text(keyOf('ecdsa-sha2-nistp256', 1), 'ecdsa-sha2-nistp256')}\n@revoked gw ${text(TWO)}`,
      'f',
    );
    assert.deepEqual(knownKeyTypes([file], { host: 'gw', port: 22 }), ['ssh-ed25519', 'ssh-rsa']);
  });

  it('lets a revoked key through in no way', () => {
    kinds(
      ['revoked', verdict(`@revoked gw.example.org ${text(ONE)}`), 'revoked'],
      ['for all', verdict([`gw.example.org ${text(ONE)}`, `@revoked * ${text(ONE)}`]), 'revoked'],
      ['another key', verdict([`gw.example.org ${text(ONE)}`, `@revoked * ${text(TWO)}`]), 'known'],
      ['only that', verdict(`@revoked * ${text(TWO)}`), 'unknown'],
    );
    const files = [`gw.example.org ${text(ONE)}`, `@revoked * ${text(ONE)}`].map((t, i) =>
      parseKnownHosts(t, `file${i}`),
    );
    assert.deepEqual(checkHostKey(files, HOST, ONE), { kind: 'revoked', file: 'file1', line: 1 });
  });

  it('refuses certificate authorities by name, unless the key itself is known', () => {
    const got = verdict(`@cert-authority *.example.org ${text(TWO)}`);
    assert.equal(got.kind, 'unreadable');
    assert.ok(got.kind === 'unreadable' && /use the driver openssh/.test(got.reason));
    kinds(
      ['known too', verdict([`@cert-authority * ${text(TWO)}`, `gw.example.org ${text(ONE)}`]), 'known'],
      ['the key of the authority is no host key', verdict(`@cert-authority * ${text(ONE)}`), 'unreadable'],
      ['of another host', verdict(`@cert-authority *.example.com ${text(TWO)}`), 'unknown'],
    );
  });

  it('passes over broken lines and counts them', () => {
    const broken = [
      'gw.example.org',
      'gw.example.org ssh-ed25519',
      'gw.example.org ssh-ed25519 !!!!',
      `gw.example.org ssh-rsa ${ONE.toString('base64')}`,
      `@unheard gw.example.org ${text(ONE)}`,
      'gw.example.org 1024 35 1234567890',
      'gw.example.org ssh-ed25519 AAAA',
      `gw.example.org ${text(ONE)} ${'x'.repeat(LIMITS.knownHostsLineCharsMax)}`,
      '\0\0\0',
    ];
    assert.equal(parseKnownHosts(broken.join('\n'), 'f').brokenLines, broken.length);
    kinds(
      ['broken only', verdict(broken), 'unknown'],
      ['and a good one', verdict([...broken, `gw.example.org ${text(ONE)}`]), 'known'],
    );
    assert.equal(parseKnownHosts(`# ${'x'.repeat(20_000)}\n \n\t\r\n`, 'f').brokenLines, 0);
  });

  it('fails closed where a file cannot be read, and takes a missing one as empty', async () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'exo-known-'));
    const file = (name: string) => path.join(folder, name);
    writeFileSync(file('good'), `gw.example.org ${text(ONE)}\n`);
    writeFileSync(file('large'), Buffer.alloc(LIMITS.knownHostsBytesMax + 1, 10));
    mkdirSync(file('folder'));
    execFileSync('mkfifo', [file('pipe')]);
    const files = await loadKnownHosts([file('missing'), '/dev/null', 'none', file('good')]);
    assert.ok(!('kind' in files));
    assert.deepEqual(
      files.map(({ path: name, entries }) => [name, entries.length]),
      [[file('good'), 1]],
    );
    for (const name of ['large', 'folder', 'pipe']) {
      const got = await loadKnownHosts([file('good'), file(name)]);
      assert.ok('kind' in got && got.kind === 'unreadable' && got.file === file(name), name);
    }
    rmSync(folder, { recursive: true });
  });

  it('survives any input, and no input makes a key known that is not in it', () => {
    const line = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc
        .tuple(
          fc.constantFrom('', '@revoked ', '@cert-authority ', '@x '),
          fc.oneof(
            fc.constantFrom('*', 'gw.example.org', '!gw.example.org,*', '|1|a|b', hashed('x')),
            fc.string(),
          ),
          fc.constantFrom('ssh-ed25519', 'ssh-rsa', 'x'),
          fc.oneof(fc.base64String(), fc.constant(TWO.toString('base64'))),
        )
        .map(([marker, names, type, key]) => `${marker}${names} ${type} ${key}`),
    );
    fc.assert(
      fc.property(fc.array(line), fc.constantFrom('\n', '\r\n', '\r'), (lines, end) => {
        const got = verdict(lines.join(end));
        assert.notEqual(got.kind, 'known');
      }),
      { interruptAfterTimeLimit: fuzzMs(), numRuns: 1_000_000, markInterruptAsFailure: false },
    );
  });

  it('takes time in proportion to what a wildcard and a name have', () => {
    const pattern = `${'*a'.repeat(4_000)}b`;
    const started = process.cpuUsage();
    verdict(`${pattern} ${text(ONE)}`, { host: 'a'.repeat(255), port: 22 });
    assert.ok(process.cpuUsage(started).user < 1_000_000);
  });
});

const noKeygen = spawnSync('ssh-keygen', ['-?']).error === undefined ? false : 'ssh-keygen is not installed';

it('known_hosts: names mean what ssh-keygen -F takes them for', { skip: noKeygen }, () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'exo-known-'));
  const file = path.join(folder, 'known_hosts');
  const names = [
    ...[
      'gw',
      'gw,other',
      '*',
      'g*',
      'g?',
      '?',
      '*w',
      'GW',
      '!gw,*',
      '*,!g*',
      'g*w*',
      '[gw]:2222',
      '[g*]:22??',
    ],
    ...['[gw]:22', '*:2222', 'gw,', ',gw', '!gw', '', '!', '**', '[gw]:*', hashed('gw'), hashed('[gw]:2222')],
  ];
  const targets = [
    { host: 'gw', port: 22 },
    { host: 'gw', port: 2222 },
    { host: 'other', port: 22 },
    { host: 'g', port: 22 },
  ];
  for (const name of names) {
    writeFileSync(file, `${name} ${text(ONE)}\n`);
    for (const target of targets) {
      const lookup = target.port === 22 ? target.host : `[${target.host}]:${target.port}`;
      const theirs = spawnSync('ssh-keygen', ['-F', lookup, '-f', file]).status === 0;
      const alias = { host: target.host, port: 22, alias: lookup };
      assert.equal(verdict(`${name} ${text(ONE)}`, alias).kind === 'known', theirs, `${name} for ${lookup}`);
    }
  }
  rmSync(folder, { recursive: true });
});
