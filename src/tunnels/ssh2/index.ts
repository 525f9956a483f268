/**
 * ssh in this process, by the ssh2 package: the driver `ssh2`, and a small embedded server for tests and the demo. Importing
 * this loads nothing of the package; the first session or server does.
 */
export { createSsh2Driver, type Ssh2DriverComponents, type Ssh2DriverOptions } from './driver.js';
export type { EmbeddedRights } from './embedded-client.js';
export {
  createEmbeddedServer,
  type EmbeddedServer,
  type EmbeddedServerComponents,
  type EmbeddedServerOptions,
} from './embedded-server.js';
export { generateKeyPair, type KeyPair } from './key-pair.js';
