/**
 * Two hosts and a link between them that is slow, late and loses packets, as `LINK_PROFILES` describes it. This kernel may have
 * no netem: the delay is made by a program between two TAP devices, the rate by tbf, the loss by nft at both ends.
 */
import { accessSync, constants } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { LinkProfile } from '../../src/protocol/index.js';
import type { Host, Lab } from './lab.js';

const DELAY_LINK = fileURLToPath(new URL('../../bench/tunnels/delay-link.pl', import.meta.url));
const SUBNET = '10.80.0';

/** Why such a link cannot be made here; undefined when it can. */
export function ladderUnavailable(): string | undefined {
  try {
    accessSync('/dev/net/tun', constants.R_OK | constants.W_OK);
    accessSync('/usr/bin/perl', constants.X_OK);
    return undefined;
  } catch {
    return 'a link with delay needs /dev/net/tun and perl';
  }
}

/** Both ends of the link, with their addresses. Jitter is left out. */
export async function ladderLink(lab: Lab, profile: LinkProfile): Promise<[Host, Host]> {
  const hosts: [Host, Host] = [lab.host('near'), lab.host('far')];
  const middle = lab.host('mid');
  const delayUs = Math.round((profile.latencyMs ?? 0) * 1_000);
  const relay = lab.cleanup.child('/usr/bin/perl', [DELAY_LINK, 'near', 'far', String(delayUs)], {
    prefix: middle.prefix,
    name: 'delay-link',
  });
  await relay.sees(/ready/, 5_000);
  for (const [index, device] of ['near', 'far'].entries()) {
    const host = hosts[index]!;
    middle.ip('link', 'set', device, 'netns', host.netns, 'name', 'eth0');
    host.ip('addr', 'add', `${SUBNET}.${index + 1}/24`, 'dev', 'eth0');
    host.ip('link', 'set', 'eth0', 'mtu', '1500', 'up');
    host.address = `${SUBNET}.${index + 1}`;
    if (profile.bytesPerSecond !== undefined) {
      const rate = `${Math.round((profile.bytesPerSecond * 8) / 1_000)}kbit`;
      host.exec('tc', [
        'qdisc',
        'replace',
        'dev',
        'eth0',
        'root',
        'tbf',
        'rate',
        rate,
        'burst',
        '16kb',
        'latency',
        '400ms',
      ]);
    }
    const lostOfThousand = Math.round((profile.lossShare ?? 0) * 1_000);
    if (lostOfThousand > 0) {
      host.nft(
        `table inet lossy {\n chain input {\n type filter hook input priority 0; policy accept;\n iifname "eth0" numgen random mod 1000 < ${lostOfThousand} drop\n }\n}\n`,
      );
    }
  }
  return hosts;
}
