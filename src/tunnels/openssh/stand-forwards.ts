/**
 * Makes the forwards of a session stand, through the control socket of its ssh, and says which did not and why. All are
 * asked for at once; only those that failed are asked for again one by one, so that what ssh says about each can be told
 * apart. The attempt calls it after the login.
 */

import type { Endpoint, Forward, TunnelSpec } from '../description/tunnel-spec.js';
import type { SessionFacts } from '../driver.js';
import { gravest, type TunnelFailure } from '../failure.js';
import { clearSocketFile } from '../ssh/socket-file.js';
import type { ForwardAnswer, ForwardDesk } from './control.js';
import { explainLocalRefusal, freeListenPorts } from './listen-check.js';
import { explainRemoteRefusal } from './ssh-said.js';

/** The real ports. */
export type StandingPorts = Pick<SessionFacts, 'forwardPorts' | 'reversePorts'>;

/** A free port may be taken again before ssh listens on it. */
const FREE_PORT_TRIES = 5;

/**
 * "localhost" is asked for as 127.0.0.1. ssh and sshd count one address of two as success: a program on 127.0.0.1 would
 * go unnoticed behind a listener on ::1. The other address is asked for afterwards, and may fail.
 */
const LOCALHOST = 'localhost';
const LOOPBACK = '127.0.0.1';
const LOOPBACK6 = '::1';

/** Resolves when all stand, or with the failure of those that do not. Rejects when ssh ends first. */
export async function standForwards(
  spec: TunnelSpec,
  desk: ForwardDesk,
): Promise<StandingPorts | TunnelFailure> {
  const free = await freePortsFor(spec);
  const [local, remote] = await Promise.all([
    Promise.all(spec.forward.map((forward, index) => standLocal(forward, free[index], desk))),
    Promise.all(spec.reverse.map((forward) => askRemote(forward, desk, LOOPBACK))),
  ]);
  const outcomes: Outcome[] = [...local];
  for (const [index, forward] of spec.reverse.entries()) {
    outcomes.push(await settleRemote(forward, remote[index], desk, spec.destination.text));
  }
  const ports = outcomes.map((outcome) => (outcome.kind === 'stands' ? outcome.port : undefined));
  const forwardPorts = ports.slice(0, local.length);
  const reversePorts = ports.slice(local.length);
  const failures = outcomes.flatMap((outcome) => (outcome.kind === 'failed' ? [outcome.failure] : []));
  if (failures.length > 0) return gravest(failures);
  askForOtherLoopback(spec, desk, { forwardPorts, reversePorts });
  return { forwardPorts, reversePorts };
}

type Outcome =
  | { readonly kind: 'stands'; readonly port: number | undefined }
  | { readonly kind: 'failed'; readonly failure: TunnelFailure };

/** Ports in the place of 0, in the order of `-L`; chosen together, so that no two are the same. */
async function freePortsFor(spec: TunnelSpec): Promise<Array<number | undefined>> {
  const hosts = spec.forward.map(({ listen }) =>
    listen.kind === 'tcp' && listen.port === 0 ? hostOf(exactly(listen, LOOPBACK)) : undefined,
  );
  const ports = await freeListenPorts(hosts.filter((host) => host !== undefined));
  return hosts.map((host) => (host === undefined ? undefined : ports.shift()));
}

function hostOf(end: Endpoint): string | undefined {
  return end.kind === 'tcp' ? end.host : undefined;
}

async function standLocal(forward: Forward, port: number | undefined, desk: ForwardDesk): Promise<Outcome> {
  const wanted = exactly(forward.listen, LOOPBACK);
  if (wanted.kind === 'unix') await clearSocketFile(wanted.path);
  for (let tries = 0, free = port; ; tries += 1) {
    if (tries > 0 && wanted.kind === 'tcp' && wanted.port === 0)
      free = (await freeListenPorts([wanted.host]))[0];
    const listen = wanted.kind === 'tcp' && free !== undefined ? { ...wanted, port: free } : wanted;
    const answer = await desk.control.forward('L', listen, forward.target);
    if (answer.kind === 'stands') return answer;
    const failure = await explainLocalRefusal(forward, listen);
    if (failure !== undefined && listen === wanted) return { kind: 'failed', failure };
    if (tries < FREE_PORT_TRIES) continue;
    const message = `ssh could not listen for -L ${forward.text} (${answer.text})`;
    return { kind: 'failed', failure: { code: 'local-port-busy', message, forwards: [forward.text] } };
  }
}

function askRemote(forward: Forward, desk: ForwardDesk, loopback: string): Promise<ForwardAnswer> {
  return desk.control.forward('R', exactly(forward.listen, loopback), forward.target);
}

async function settleRemote(
  forward: Forward,
  first: ForwardAnswer | undefined,
  desk: ForwardDesk,
  destination: string,
): Promise<Outcome> {
  if (first?.kind === 'stands') return first;
  const mark = desk.mark();
  const again = await askRemote(forward, desk, LOOPBACK);
  if (again.kind === 'stands') return again;
  const code = explainRemoteRefusal(await desk.saidSince(mark));
  if (code === 'forward-refused' && forward.listen.kind === 'tcp' && forward.listen.host === LOCALHOST) {
    // A PermitListen may allow the name and not the address.
    const named = await askRemote(forward, desk, LOCALHOST);
    if (named.kind === 'stands') return named;
  }
  const where = forward.listen.kind === 'unix' ? forward.listen.path : `port ${forward.listen.port}`;
  const message =
    code === 'forward-refused'
      ? `the policy of ${destination} forbids -R ${forward.text} (AllowTcpForwarding, AllowStreamLocalForwarding, PermitListen, or a key with restrictions)`
      : `${where} is taken on ${destination} (-R ${forward.text}): by another program, or by an earlier session that its sshd has not given up yet`;
  return { kind: 'failed', failure: { code, message, forwards: [forward.text] } };
}

/** Errors are left alone: what matters stands already. */
function askForOtherLoopback(spec: TunnelSpec, desk: ForwardDesk, ports: StandingPorts): void {
  const ask = (kind: 'L' | 'R', forward: Forward, port: number | undefined) => {
    if (port === undefined || forward.listen.kind !== 'tcp' || forward.listen.host !== LOCALHOST) return;
    desk.control.forward(kind, { kind: 'tcp', host: LOOPBACK6, port }, forward.target).catch(() => undefined);
  };
  spec.forward.forEach((forward, index) => {
    ask('L', forward, ports.forwardPorts[index]);
  });
  spec.reverse.forEach((forward, index) => {
    ask('R', forward, ports.reversePorts[index]);
  });
}

function exactly(listen: Endpoint, loopback: string): Endpoint {
  return listen.kind === 'tcp' && listen.host === LOCALHOST ? { ...listen, host: loopback } : listen;
}
