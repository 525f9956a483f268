/**
 * The two nodes of `exo connect` learn each other's keys inside the ssh session, which has proven both machines: from then on they
 * talk encrypted and trust each other, and no secret had to travel. Both sides use this, each with its own node.
 */
import type { Clock } from '../../shared/index.js';
import type { CliHost } from '../host.js';
import { type ApiTarget, runningNodes } from '../target.js';
import { openLocalDesk } from '../trust/local-desk.js';
import { RemoteDesk } from '../trust/remote-desk.js';
import type { TrustDesk } from '../trust/shapes.js';
import { describe } from './local-node.js';

/** A node by its key. */
export interface KeyedNode {
  readonly id: string;
  /** `SHA256:…` */
  readonly fingerprint: string;
}

/** The key of the node behind an API. */
export async function fingerprintOf(clock: Clock, api: ApiTarget): Promise<string> {
  return (await new RemoteDesk(clock, api, '').list()).self.fingerprint;
}

/** Makes the node trust another one. False where it did already. Rejects with `identity-changed` where it knows it by another key. */
export async function introduceTo(clock: Clock, api: ApiTarget, other: KeyedNode): Promise<boolean> {
  const desk = new RemoteDesk(clock, api, '');
  const { trusted } = await desk.list();
  const known = trusted.find(({ id }) => id === other.id);
  if (known?.fingerprint === other.fingerprint && known.trust === 'trusted') return false;
  await desk.trust(other.id, other.fingerprint, 'connect');
  return true;
}

/** Takes it back: what the node knew of the other before counts again. Nothing to do where it is not known. */
export async function partFrom(clock: Clock, api: ApiTarget, id: string): Promise<void> {
  await part(new RemoteDesk(clock, api, ''), id);
}

/** The same for a node of this account by its id, whether it runs or not. */
export async function partHere(host: CliHost, nodeId: string, id: string): Promise<void> {
  const running = runningNodes(host.env).find((run) => run.id === nodeId);
  if (running === undefined) await part(await openLocalDesk(host, nodeId), id);
  else await partFrom(host.clock, (await describe(host, running)).api, id);
}

async function part(desk: TrustDesk, id: string): Promise<void> {
  const { trusted } = await desk.list();
  if (trusted.some((node) => node.id === id)) await desk.distrust(id, 'connect');
}
