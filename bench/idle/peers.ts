/**
 * A program of its own: as many nodes as it is told, in this one process. They know each other over the in-memory network and are
 * real peers, over TCP, of the node that is measured. Prints `ready` when every one sees all the others and that node.
 *
 *   node --import tsx bench/idle/peers.ts COUNT HOST PORT
 */
import { createMemoryNetwork, createTcpTransport, type Transport } from '../../src/protocol/index.js';
import { seededRandom, systemClock } from '../../src/shared/index.js';
import { candidateFor, type MeshWorld, meshNode } from '../../test/support/memory-mesh.js';

const [countText, host, portText] = process.argv.slice(2) as [string, string, string];
const count = Number(countText);
const measured = { host, port: Number(portText) };
/** At once they would keep this process busy with itself for long. */
const GROUP = 10;
const POLL_MS = 50;

const random = seededRandom(count);
const memory = createMemoryNetwork({ clock: systemClock, random });
const tcp = createTcpTransport({ clock: systemClock });
/** Dials the measured node over TCP and everybody else in memory. */
const network: MeshWorld['network'] = Object.assign(Object.create(memory) as typeof memory, {
  transport(name: string): Transport {
    const near = memory.transport(name);
    return {
      dial: (address, options) => (address.host === host ? tcp : near).dial(address, options),
      listen: (address, onStream) => near.listen(address, onStream),
    };
  },
});

const world: MeshWorld = { clock: systemClock, random, network };
const ids = Array.from({ length: count }, (_, index) => `p${String(index).padStart(3, '0')}`);
const nodes = ids.map((id, index) => meshNode(world, { id, dials: ids.slice(0, index) }));
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

for (let at = 0; at < count; at += GROUP) {
  const group = nodes.slice(at, at + GROUP);
  for (const node of group) {
    node.list.offer(candidateFor('measured', { address: measured }));
    await node.start();
  }
  const present = nodes.slice(0, at + GROUP);
  const whole = () => present.every(({ mesh }) => mesh.topology().nodes.size === present.length + 1);
  while (!whole()) await pause(POLL_MS);
}
console.log('ready');
process.once('SIGTERM', () => process.exit());
