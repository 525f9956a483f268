import '../support/leaks.js';
import {
  createMemoryNetwork,
  createTcpTransport,
  createTlsTransport,
  type LinkProfile,
  type Transport,
} from '../../src/protocol/index.js';
import { seededRandom, systemClock } from '../../src/shared/index.js';
import { type TestNetwork, transportSuite } from '../compliance/transport-suite.js';
import { openSilentPort, type SilentPort } from '../support/silent-port.js';
import { tlsCredentials } from '../support/tls-credentials.js';

const [near, far] = await Promise.all([tlsCredentials(), tlsCredentials()]);

/** Every dial of the suite is encrypted. */
function secure(inner: Transport, receive: ReceiveMode, secure = true): Transport {
  const transport = createTlsTransport(inner, { clock: systemClock, credentials: near }, { receive });
  return { ...transport, dial: (address, how) => transport.dial(address, { ...how, secure }) };
}
const serving = (inner: Transport, receive: ReceiveMode) =>
  createTlsTransport(inner, { clock: systemClock, credentials: far }, { receive });

type ReceiveMode = 'onread' | 'data';

async function tcp(receive: ReceiveMode, encrypted: boolean): Promise<TestNetwork> {
  const inner = createTcpTransport({ clock: systemClock }, { receive });
  let silent: SilentPort | undefined;
  return {
    client: secure(inner, receive, encrypted),
    server: serving(inner, receive),
    listenAt: { host: '127.0.0.1', port: 0 },
    reach: (port) => ({ host: '127.0.0.1', port }),
    async silentAddress() {
      silent ??= await openSilentPort();
      return { host: '127.0.0.1', port: silent.port };
    },
    stop: async () => silent?.stop(),
  };
}

async function memory(link: LinkProfile, encrypted: boolean): Promise<TestNetwork> {
  const network = createMemoryNetwork({ clock: systemClock, random: seededRandom(1) }, { link });
  return {
    client: secure(network.transport('client'), 'onread', encrypted),
    server: serving(network.transport('server'), 'onread'),
    listenAt: { host: '0.0.0.0', port: 0 },
    reach: (port) => ({ host: 'server', port }),
    async silentAddress() {
      network.vanish('gone');
      return { host: 'gone', port: 1 };
    },
    stop: async () => undefined,
  };
}

const DELAYED: LinkProfile = { latencyMs: 0.2, jitterMs: 0.2, pieceBytesMax: 100_000 };
transportSuite('TLS over TCP that reads by onread', () => tcp('onread', true));
transportSuite("TLS over TCP that reads by 'data' events", () => tcp('data', true));
transportSuite('TLS over the in-memory network', () => memory({}, true));
transportSuite('TLS over an in-memory link with delay, in small pieces', () => memory(DELAYED, true));
transportSuite('plain dials to a listener that also takes TLS, over TCP', () => tcp('onread', false));
transportSuite('plain dials to a listener that also takes TLS, in memory', () => memory(DELAYED, false));
