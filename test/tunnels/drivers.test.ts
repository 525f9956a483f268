/** Which driver carries a tunnel. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { seededRandom, silentLogger, VirtualClock } from '../../src/shared/index.js';
import { Drivers } from '../../src/tunnels/drivers.js';
import type { TunnelDriver } from '../../src/tunnels/index.js';
import '../support/leaks.js';
import { MemoryTunnelDriver } from '../support/memory-tunnel-driver.js';
import { MemoryTunnelWorld } from '../support/memory-tunnel-world.js';
import { spec } from '../support/memory-tunnels.js';

function both(): { drivers: Drivers; openssh: MemoryTunnelDriver; ssh2: MemoryTunnelDriver } {
  const clock = new VirtualClock();
  const world = new MemoryTunnelWorld(clock);
  const openssh = new MemoryTunnelDriver(world, 'openssh');
  const ssh2 = new MemoryTunnelDriver(world, 'ssh2');
  const components = { clock, random: seededRandom(1), logger: silentLogger };
  return { drivers: new Drivers('/nowhere', components, [openssh, ssh2]), openssh, ssh2 };
}

describe('the driver of a tunnel', () => {
  it('is the system’s ssh where there is one', async () => {
    const { drivers, openssh } = both();
    assert.equal(await drivers.of(spec('a')), openssh);
  });

  it('is ssh2 where there is no ssh', async () => {
    const { drivers, openssh, ssh2 } = both();
    openssh.missing = 'there is no ssh';
    assert.equal(await drivers.of(spec('a')), ssh2);
  });

  it('is the one that the description names, and no other in its place', async () => {
    const { drivers, openssh, ssh2 } = both();
    assert.equal(await drivers.of(spec('a', { driver: 'ssh2' })), ssh2);
    openssh.missing = 'there is no ssh: install it';
    const refused = (await drivers.of(spec('a', { driver: 'openssh' }))) as Exclude<
      Awaited<ReturnType<Drivers['of']>>,
      TunnelDriver
    >;
    assert.deepEqual(refused, { code: 'ssh-missing', message: 'there is no ssh: install it' });
  });

  it('is looked for again after it was missing', async () => {
    const { drivers, openssh, ssh2 } = both();
    openssh.missing = 'there is no ssh';
    ssh2.missing = 'there is no ssh2';
    assert.deepEqual(await drivers.of(spec('a')), {
      code: 'ssh-missing',
      message: 'there is no ssh; there is no ssh2',
    });
    openssh.missing = undefined;
    assert.equal(await drivers.of(spec('a')), openssh);
  });
});
