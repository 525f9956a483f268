/** What every `TunnelDriver` must do, against a real sshd. Run for openssh and for ssh2. */
import { after, before, describe } from 'node:test';
import { sshdUnavailable } from '../support/sshd.js';
import { tunnelEndsSuite } from './tunnel-ends.js';
import { type DriverCase, TunnelLab } from './tunnel-lab.js';
import { tunnelOpensSuite } from './tunnel-opens.js';
import { tunnelRefusalsSuite } from './tunnel-refusals.js';

export type { DriverCase } from './tunnel-lab.js';

/** Registers the suite; skipped with its reason where there is no sshd. */
export function tunnelDriverSuite(driverCase: DriverCase): void {
  describe(`the ${driverCase.name} driver, as any driver`, { skip: sshdUnavailable() ?? false }, () => {
    let lab: TunnelLab;
    const theLab = () => lab;
    before(async () => {
      lab = await TunnelLab.open(driverCase);
    });
    after(() => lab.close());
    tunnelOpensSuite(theLab);
    tunnelRefusalsSuite(theLab);
    tunnelEndsSuite(theLab);
  });
}
