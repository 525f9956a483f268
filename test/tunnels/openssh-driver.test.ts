/** The openssh driver against a real sshd: what any driver must do. */
import { silentLogger, systemClock } from '../../src/shared/index.js';
import { createOpensshDriver } from '../../src/tunnels/openssh/index.js';
import { tunnelDriverSuite } from '../compliance/tunnel-driver.js';
import '../support/leaks.js';

tunnelDriverSuite({
  name: 'openssh',
  make: (stateFolder) => createOpensshDriver({ stateFolder }, { clock: systemClock, logger: silentLogger }),
});
