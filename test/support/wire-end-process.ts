/**
 * A program of its own: one end of a connection (`wire-end.ts`).
 *
 *   node --import tsx test/support/wire-end-process.ts listen HOST PORT     prints {"port":…}, runs until it is ended
 *   node --import tsx test/support/wire-end-process.ts load HOST PORT MIB   both ends send a tensor at the same time;
 *                                                                           prints both reports, and ends
 */
import { dialEnd, listenEnd } from './wire-end.js';
import { loadAndProbe } from './wire-work.js';

const [verb, host = '', port, mib] = process.argv.slice(2);
if (verb === 'listen') {
  const listener = await listenEnd(host, Number(port));
  console.log(JSON.stringify({ port: listener.address.port }));
} else {
  const end = await dialEnd(host, Number(port));
  const [far, near] = await Promise.all([
    end.remote(`load ${Number(mib)}`),
    loadAndProbe(end.connection, Number(mib)),
  ]);
  console.log(JSON.stringify({ near, far }));
  await end.connection.close();
}
