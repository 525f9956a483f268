/** `--allow-legacy`: which hosts an entry means, and which entries are refused. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseHostList } from '../../src/node/host-list.js';
import { ExoError } from '../../src/shared/index.js';

const has = (entries: string[], host: string) => parseHostList(entries, '--allow-legacy').has(host);

describe('a list of hosts', () => {
  for (const [entries, inside, outside] of [
    [['192.168.2.7'], ['192.168.2.7', '::ffff:192.168.2.7'], ['192.168.2.70', '192.168.2.8', 'mac']],
    [['192.168.2.0/24'], ['192.168.2.0', '192.168.2.255'], ['192.168.3.1', '::1']],
    [['fd00::/8'], ['fd12::1', 'fdff::1%eth0'], ['fe80::1', '10.0.0.1']],
    [['loopback'], ['127.0.0.1', '127.9.9.9', '::1', 'localhost'], ['10.0.0.1', 'loopback']],
    [['Mac1.local'], ['mac1.local', 'MAC1.LOCAL'], ['mac1', 'xmac1.local']],
    [['10.0.0.0/0'], ['8.8.8.8'], ['::1']],
    [[], [], ['127.0.0.1']],
  ] as Array<[string[], string[], string[]]>) {
    test(`"${entries.join()}"`, () => {
      for (const host of inside) assert.ok(has(entries, host), host);
      for (const host of outside) assert.ok(!has(entries, host), host);
    });
  }

  for (const entry of [
    '',
    '*',
    '10.0.0.0/33',
    '10.0.0.0/x',
    '10.0.0',
    '1.2.3.4/8/8',
    '-x',
    'a b',
    'fd00::/129',
    '/8',
  ]) {
    test(`"${entry}" is refused by name`, () => {
      assert.throws(
        () => parseHostList([entry], '--allow-legacy'),
        (error) =>
          error instanceof ExoError &&
          error.code === 'option-invalid' &&
          /--allow-legacy: /.test(error.message),
      );
    });
  }
});
