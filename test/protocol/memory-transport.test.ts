import '../support/leaks.js';
import type { LinkProfile } from '../../src/protocol/index.js';
import { createMemoryNetwork } from '../../src/protocol/index.js';
import { seededRandom, systemClock } from '../../src/shared/index.js';
import { type TestNetwork, transportSuite } from '../compliance/transport-suite.js';

async function memory(link: LinkProfile): Promise<TestNetwork> {
  const network = createMemoryNetwork({ clock: systemClock, random: seededRandom(1) }, { link });
  return {
    client: network.transport('client'),
    server: network.transport('server'),
    listenAt: { host: '0.0.0.0', port: 0 },
    reach: (port) => ({ host: 'server', port }),
    async silentAddress() {
      network.vanish('gone');
      return { host: 'gone', port: 1 };
    },
    stop: async () => undefined,
  };
}

transportSuite('in-memory transport over a perfect link', () => memory({}));
transportSuite('in-memory transport over a link with delay, in small pieces', () =>
  memory({ latencyMs: 0.2, jitterMs: 0.2, pieceBytesMax: 100_000 }),
);
