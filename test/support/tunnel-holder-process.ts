/**
 * A program that holds tunnels of the openssh driver until it is killed: for the test that nothing outlives a node. Takes
 * one argument, JSON: `{stateFolder, specs, options}`. Says `{"opened": facts}` for each session and `{"closed": why}` when
 * one ends; SIGTERM ends all.
 */
import { silentLogger, systemClock } from '../../src/shared/index.js';
import type { SessionOptions, TunnelSpec } from '../../src/tunnels/index.js';
import { createOpensshDriver } from '../../src/tunnels/openssh/index.js';

const { stateFolder, specs, options } = JSON.parse(process.argv[2]!) as {
  stateFolder: string;
  specs: TunnelSpec[];
  options: SessionOptions;
};
const say = (what: object) => process.stdout.write(`${JSON.stringify(what)}\n`);
const driver = createOpensshDriver({ stateFolder }, { clock: systemClock, logger: silentLogger });
for (const spec of specs) {
  const session = driver.open(spec, options);
  void session.opened.then((facts) => say({ opened: facts }));
  void session.closed.then((why) => say({ closed: why }));
}
// Something to stay for, whatever the sessions do.
const hour = setInterval(() => undefined, 3_600_000);
process.once('SIGTERM', async () => {
  clearInterval(hour);
  await driver.stop();
});
