/**
 * Two machines and what lies between them, for the benches of tunnels, made of network namespaces: one machine alone
 * (loopback), a cable with MTU 1500 (veth), and the same with a delay. This kernel may have no netem, so the delay is made by
 * a program between two TAP devices (`delay-link.pl`): packets wait in it, the TCP connections go through whole.
 */
import { accessSync, constants } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type Host, Lab, labUnavailable } from '../../test/lab/lab.js';
import { Program } from '../contender.js';

/** Two ends; on loopback they are the same machine. */
export interface Link {
  readonly name: string;
  readonly lab: Lab;
  readonly near: Host;
  readonly far: Host;
  close(): Promise<void>;
}

const MTU = 1_500;
const SUBNET = '10.79.0';
const DELAY_LINK = fileURLToPath(new URL('delay-link.pl', import.meta.url));

/** Why a delay cannot be made here; undefined when it can. */
export function delayUnavailable(): string | undefined {
  try {
    accessSync('/dev/net/tun', constants.R_OK | constants.W_OK);
    accessSync('/usr/bin/perl', constants.X_OK);
    return undefined;
  } catch {
    return 'a link with delay needs /dev/net/tun and perl';
  }
}

/** Why no link can be made here; undefined when they can. */
export const linksUnavailable = (): string | undefined => labUnavailable([]);

/** One machine and its loopback device. */
export function loopback(): Link {
  const lab = new Lab();
  const host = lab.host('lo');
  host.address = '127.0.0.1';
  return { name: 'loopback', lab, near: host, far: host, close: () => lab.close() };
}

/** Two machines on one cable with MTU 1500. */
export function cable(): Link {
  const { lab, near, far } = twoHosts();
  near.ip(
    'link',
    'add',
    'eth0',
    'mtu',
    String(MTU),
    'type',
    'veth',
    'peer',
    'name',
    'eth0',
    'netns',
    far.netns,
  );
  addressed(near, far);
  return { name: `MTU ${MTU}`, lab, near, far, close: () => lab.close() };
}

/** The same with `delayMs` in each direction. */
export async function slowCable(delayMs: number): Promise<Link> {
  const { lab, near, far } = twoHosts();
  const middle = lab.host('mid');
  const relay = lab.cleanup.child('/usr/bin/perl', [DELAY_LINK, 'near', 'far', String(delayMs * 1_000)], {
    prefix: middle.prefix,
    name: 'delay-link',
  });
  await relay.sees(/ready/, 5_000);
  for (const [device, host] of [
    ['near', near],
    ['far', far],
  ] as const) {
    middle.ip('link', 'set', device, 'netns', host.netns, 'name', 'eth0');
  }
  addressed(near, far);
  return { name: `MTU ${MTU}, ${delayMs} ms each way`, lab, near, far, close: () => lab.close() };
}

function twoHosts(): { lab: Lab; near: Host; far: Host } {
  const lab = new Lab();
  return { lab, near: lab.host('near'), far: lab.host('far') };
}

function addressed(near: Host, far: Host): void {
  for (const [host, number] of [
    [near, 1],
    [far, 2],
  ] as const) {
    host.ip('addr', 'add', `${SUBNET}.${number}/24`, 'dev', 'eth0');
    host.ip('link', 'set', 'eth0', 'mtu', String(MTU), 'up');
    host.address = `${SUBNET}.${number}`;
  }
}

/** A program of bench/ on one of the two machines. */
export function programOn(host: Host, file: string, args: readonly string[] = []): Program {
  return new Program(file, { args, prefix: host.prefix });
}
