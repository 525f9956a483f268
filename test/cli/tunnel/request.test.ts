/** ssh's flags as a description of a tunnel. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Command } from 'commander';
import { TUNNEL } from '../../../src/cli/tunnel/commands.js';
import { tunnelRequest } from '../../../src/cli/tunnel/request.js';
import type { ExoError } from '../../../src/shared/index.js';

const OPEN = TUNNEL.commands!.find(({ name }) => name === 'open')!;

/** As the program reads a command line. */
function read(...argv: string[]) {
  const command = new Command('open').arguments(OPEN.args!).exitOverride();
  command.configureOutput({ writeErr: () => undefined });
  OPEN.options!(command);
  command.parse(argv, { from: 'user' });
  return tunnelRequest(command.args[0]!, command.opts(), '/work/here');
}

const refused = (...argv: string[]) => {
  try {
    read(...argv);
  } catch (error) {
    return error as ExoError;
  }
  return assert.fail(`${argv.join(' ')} was taken`);
};

describe('exo tunnel open', () => {
  test('takes the command line of the seed as it stands behind "ssh"', () => {
    const line = '-N -L 50052:localhost:50051 -R 50060:localhost:50060 remoteuser@192.168.2.1';
    assert.deepEqual(read(...line.split(' ')), {
      ssh: 'remoteuser@192.168.2.1',
      forward: ['50052:localhost:50051'],
      reverse: ['50060:localhost:50060'],
    });
  });

  test('takes flags that are glued together, repeated, and behind the destination', () => {
    const line = '-fNL 49703:10.0.0.151:50051 gw@net -L49704:10.0.0.152:50051 -i k1 -i /k2 -J a,b -p 2222';
    assert.deepEqual(read(...line.split(' ')), {
      ssh: 'gw@net:2222',
      forward: ['49703:10.0.0.151:50051', '49704:10.0.0.152:50051'],
      identity: ['/work/here/k1', '/k2'],
      jump: 'a,b',
    });
  });

  test('names files from where the command runs', () => {
    const { sshConfig, knownHosts } = read(
      ...'-L 1:h:2 -F conf/ssh -o UserKnownHostsFile=../kh host'.split(' '),
    );
    assert.deepEqual([sshConfig, knownHosts], ['/work/here/conf/ssh', '/work/kh']);
  });

  test('refuses a line that forwards nothing with an example, and what may not be with its flag', () => {
    const nothing = refused('host');
    assert.equal(nothing.code, 'option-missing');
    assert.match(nothing.message, /at least one -L or -R/);
    for (const [argv, words] of [
      [['-L', '1:h:2', '-o', 'ProxyCommand=sh -c x', 'host'], /-o.*ProxyCommand is refused/],
      [['-L', '1:h:2', '-l', 'a', 'b@host'], /-l: the destination says another one/],
      [['-L', 'nonsense', 'host'], /-L/],
    ] as const) {
      const error = refused(...argv);
      assert.equal(error.code, 'tunnel-spec-invalid', argv.join(' '));
      assert.match(error.message, words);
    }
  });

  test('says name, driver and no probe only where they were given', () => {
    const { name, driver, probe } = read(...'-L 1:h:2 --name db --driver ssh2 --no-probe host'.split(' '));
    assert.deepEqual([name, driver, probe], ['db', 'ssh2', false]);
    assert.deepEqual(Object.keys(read('-L', '1:h:2', 'host')), ['ssh', 'forward']);
  });
});
