/** `exo stop`: asks a running node to end, and waits until it has. */
import { isLive } from '../../node/home/index.js';
import { ExoError, formatAddress, sleep } from '../../shared/index.js';
import { callApi } from '../api-client.js';
import { EXIT } from '../errors.js';
import type { CliHost } from '../host.js';
import { Progress } from '../progress.js';
import { resolveTarget } from '../target.js';
import { CLI_SCHEMA_VERSION, type ClientOptions, printJson } from './view.js';

/** A node says goodbye to its peers and closes; longer means that something hangs. */
const GONE_WITHIN_MS = 10_000;
const LOOK_EVERY_MS = 50;

/** Exit code 0 when the node is gone (or, far away, has said that it goes). */
export async function stop(host: CliHost, options: ClientOptions): Promise<number> {
  const target = resolveTarget(options.api, host.env);
  const name = target.run?.id ?? formatAddress(target);
  await callApi(host.clock, target, { method: 'POST', path: '/quit' });
  const run = target.run;
  if (run !== undefined) {
    const progress = new Progress(host, `waiting for ${name} to end`);
    try {
      const endMs = host.clock.now() + GONE_WITHIN_MS;
      while (isLive(run)) {
        if (host.clock.now() > endMs) {
          throw new ExoError(
            'request-timeout',
            `${name} (pid ${run.pid}) agreed to stop but still runs after ${GONE_WITHIN_MS / 1000} s; end it with: kill ${run.pid}`,
          );
        }
        await sleep(host.clock, LOOK_EVERY_MS);
      }
    } finally {
      progress.end();
    }
  }
  if (options.json === true) {
    printJson(host, {
      schema_version: CLI_SCHEMA_VERSION,
      stopped: run?.id ?? null,
      address: formatAddress(target),
    });
  } else {
    host.stdout.write(run === undefined ? `the node at ${name} stops\n` : `${name} has stopped\n`);
  }
  return EXIT.ok;
}
