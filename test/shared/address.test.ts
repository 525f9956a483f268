import '../support/leaks.js';
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  addressScope,
  compareForDialling,
  formatAddress,
  isLoopback,
  isPort,
  isPrintable,
  parseAddress,
} from '../../src/shared/index.js';

describe('an address', () => {
  const READS: ReadonlyArray<readonly [text: string, host: string, port: number]> = [
    ['127.0.0.1:50051', '127.0.0.1', 50_051],
    ['gpu-box.lan:1', 'gpu-box.lan', 1],
    ['my_host:65535', 'my_host', 65_535],
    ['  10.0.0.7:50051  ', '10.0.0.7', 50_051],
    ['[::1]:50051', '::1', 50_051],
    ['[fe80::1%eth0]:50051', 'fe80::1%eth0', 50_051],
  ];
  for (const [text, host, port] of READS) {
    it(`is read from "${text}"`, () => {
      assert.deepEqual(parseAddress(text), { host, port });
      assert.deepEqual(parseAddress(formatAddress({ host, port })), { host, port });
    });
  }

  it('takes the default port where it has none', () => {
    assert.deepEqual(parseAddress('mac2', 50_051), { host: 'mac2', port: 50_051 });
    assert.deepEqual(parseAddress('[2001:db8::5]', 50_051), { host: '2001:db8::5', port: 50_051 });
    assert.deepEqual(parseAddress('2001:db8::5', 50_051), { host: '2001:db8::5', port: 50_051 });
    assert.deepEqual(parseAddress('mac2:7', 50_051), { host: 'mac2', port: 7 });
  });

  const REFUSES: ReadonlyArray<readonly [text: string, message: RegExp]> = [
    ['', /not an address; write host:port/],
    ['mac2', /"mac2" has no port; write it as mac2:50051/],
    ['mac2:', /not an address/],
    ['mac2:0', /port 0 of "mac2:0" is not between 1 and 65535/],
    ['mac2:65536', /port 65536 .* is not between 1 and 65535/],
    ['mac2:5x', /not an address/],
    ['http://mac2:50051', /not an address/],
    ['user@mac2:50051', /not an address/],
    ['-oProxyCommand=x:22', /not an address/],
    ['a b:1', /not an address/],
    ['[::1:50051', /not an address/],
  ];
  for (const [text, message] of REFUSES) {
    it(`is not "${text}"`, () => {
      assert.throws(() => parseAddress(text), { code: 'candidate-invalid', message });
    });
  }

  it('is refused in a sentence of bounded length that a terminal can show', () => {
    for (const text of ['\u001b[31m:1', `${'a:'.repeat(5_000)}`, `${'a'.repeat(5_000)}:70000`]) {
      assert.throws(
        () => parseAddress(text),
        ({ message }: Error) => message.length < 600 && isPrintable(message),
      );
    }
  });

  it('has a port that is a whole number from 1 to 65535', () => {
    for (const port of [1, 50_051, 65_535]) assert.equal(isPort(port), true);
    for (const port of [0, -1, 65_536, 1.5, Number.NaN, '80', null, undefined])
      assert.equal(isPort(port), false);
  });
});

describe('the scope of an address', () => {
  const SCOPES = {
    '127.0.0.1': 'loopback',
    '127.8.8.8': 'loopback',
    '::1': 'loopback',
    localhost: 'loopback',
    '::ffff:127.0.0.1': 'loopback',
    '169.254.10.1': 'link-local',
    'fe80::1%en0': 'link-local',
    '10.1.2.3': 'private',
    '172.31.0.1': 'private',
    '192.168.1.1': 'private',
    '100.64.0.1': 'private',
    'fd00::1': 'private',
    '8.8.8.8': 'public',
    '172.32.0.1': 'public',
    '2600::1': 'public',
    'mac2.example': 'public',
    '0.0.0.0': 'unusable',
    '::': 'unusable',
    '255.255.255.255': 'unusable',
    '224.0.0.1': 'unusable',
  } as const;
  for (const [host, scope] of Object.entries(SCOPES)) {
    it(`${host} is ${scope}`, () => {
      assert.equal(addressScope(host), scope);
      assert.equal(isLoopback(host), scope === 'loopback');
    });
  }

  it('puts the nearest wire first when dialling', () => {
    const hosts = ['0.0.0.0', '8.8.8.8', '127.0.0.1', '192.168.1.1', '169.254.1.1'];
    assert.deepEqual(hosts.sort(compareForDialling), [
      '169.254.1.1',
      '192.168.1.1',
      '8.8.8.8',
      '127.0.0.1',
      '0.0.0.0',
    ]);
  });
});
