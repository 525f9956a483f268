/**
 * Ours, as a node runs it: one supervised tunnel, with the driver named, over the shipped manager and probe. Takes its
 * description (the words of peers.json) as its argument, prints `{port, driver, cipher, notes}` once the tunnel has been up
 * and unchanged for a while (it looks whether small messages stall, and opens its session anew if they do), ends with its parent.
 */
import { createTunnelProbe } from '../../src/node/tunnel-probe.js';
import { silentLogger, systemClock, systemRandom } from '../../src/shared/index.js';
import { createTunnels, parseTunnelSpec, type TunnelStatus } from '../../src/tunnels/index.js';

const SETTLED_AFTER_MS = 4_000;
const LOOK_EVERY_MS = 100;

const { stateFolder, ...written } = JSON.parse(process.argv[2]!) as { stateFolder: string };
const spec = parseTunnelSpec(written, { name: 'bench', source: 'command' });
const tunnels = createTunnels(
  { stateFolder },
  {
    clock: systemClock,
    random: systemRandom,
    logger: silentLogger,
    probe: createTunnelProbe(systemClock),
    ownPorts: () => [],
  },
);

function settled(): Promise<TunnelStatus> {
  let sinceMs = performance.now();
  let before = '';
  return new Promise((resolve, reject) => {
    const timer = setInterval(() => {
      const status = tunnels.get('bench');
      const now = `${status.state} ${status.restarts}`;
      if (now !== before || status.state !== 'up') sinceMs = performance.now();
      before = now;
      const failed = status.state === 'failed';
      if (!failed && performance.now() - sinceMs < SETTLED_AFTER_MS) return;
      clearInterval(timer);
      if (failed) reject(new Error(status.reason));
      else resolve(status);
    }, LOOK_EVERY_MS);
  });
}

await tunnels.start();
process.stdin.on('end', () => void tunnels.stop().then(() => process.exit())).resume();
tunnels.open(spec);
const status = await settled();
const port = Number(status.forwards[0]!.listen.split(':').at(-1));
console.log(
  JSON.stringify({
    port,
    driver: status.driver,
    cipher: status.cipher,
    notes: status.notes,
    restarts: status.restarts,
  }),
);
