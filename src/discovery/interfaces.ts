/**
 * The machine's IPv4 interfaces: their class and priority (the original's words and numbers) and their
 * broadcast addresses. Not a route table. udp announces on each of them, tcp sweeps their networks.
 */
import { execFile } from 'node:child_process';
import { networkInterfaces } from 'node:os';
import ipaddr from 'ipaddr.js';

/** The original's interface classes; they travel in datagrams and stand in edge descriptions. */
export type InterfaceType =
  | 'Container Virtual'
  | 'Loopback'
  | 'Thunderbolt'
  | 'Ethernet'
  | 'WiFi'
  | 'Other'
  | 'External Virtual';

/** Higher is preferred. */
export const INTERFACE_PRIORITY: Readonly<Record<InterfaceType, number>> = {
  'Container Virtual': 7,
  Loopback: 6,
  Thunderbolt: 5,
  Ethernet: 4,
  WiFi: 3,
  Other: 2,
  'External Virtual': 1,
};

/** One IPv4 address of one interface. */
export interface LocalInterface {
  readonly name: string;
  readonly address: string;
  /** Length of the network prefix, 0 to 32. */
  readonly prefixBits: number;
  /** Absent where the network has none (/31, /32). */
  readonly broadcast?: string;
  readonly type: InterfaceType;
  readonly priority: number;
}

/** Where the list of interfaces comes from; `os.networkInterfaces` outside tests. */
export type ReadInterfaces = () => ReturnType<typeof networkInterfaces>;

const BY_NAME: ReadonlyArray<readonly [RegExp, InterfaceType]> = [
  [/^(docker|br-|veth|cni|flannel|calico|weave)|bridge/, 'Container Virtual'],
  [/^lo/, 'Loopback'],
  [/^(tb|nx|ten)/, 'Thunderbolt'],
  [/^(wlan|wifi|wl)|^en[01]$/, 'WiFi'],
  [/^(eth|en)/, 'Ethernet'],
  [/^(tun|tap|vtun|utun|gif|stf|awdl|llw)/, 'External Virtual'],
];

const BY_HARDWARE_PORT: ReadonlyArray<readonly [RegExp, InterfaceType]> = [
  [/thunderbolt/i, 'Thunderbolt'],
  [/wi-?fi|airport/i, 'WiFi'],
  [/ethernet|\blan\b/i, 'Ethernet'],
];

/** The class of an interface by its name, or by the macOS name of its hardware port where that is known. */
export function interfaceType(name: string, hardwarePort?: string): InterfaceType {
  if (hardwarePort !== undefined) {
    const known = BY_HARDWARE_PORT.find(([pattern]) => pattern.test(hardwarePort));
    if (known !== undefined) return known[1];
  }
  return BY_NAME.find(([pattern]) => pattern.test(name))?.[1] ?? 'Other';
}

/** All IPv4 addresses of this machine, best class first. `hardwarePorts`: interface name to macOS port name. */
export function localInterfaces(
  read: ReadInterfaces = networkInterfaces,
  hardwarePorts: ReadonlyMap<string, string> = new Map(),
): LocalInterface[] {
  const found: LocalInterface[] = [];
  for (const [name, infos] of Object.entries(read())) {
    for (const info of infos ?? []) {
      if (info.family !== 'IPv4' || !ipaddr.IPv4.isValidFourPartDecimal(info.address)) continue;
      const type = info.internal ? 'Loopback' : interfaceType(name, hardwarePorts.get(name));
      const prefixBits = prefixOf(info.netmask);
      const broadcast = broadcastAddress(info.address, prefixBits);
      found.push({
        name,
        address: info.address,
        prefixBits,
        ...(broadcast === undefined ? {} : { broadcast }),
        type,
        priority: INTERFACE_PRIORITY[type],
      });
    }
  }
  return found.sort((a, b) => b.priority - a.priority || (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
}

/** The address that all hosts of a network listen to; undefined for /31 and /32, which have none. */
export function broadcastAddress(address: string, prefixBits: number): string | undefined {
  if (prefixBits > 30) return undefined;
  return ipaddr.IPv4.broadcastAddressFromCIDR(`${address}/${prefixBits}`).toString();
}

/** Reads `networksetup -listallhardwareports`: interface name to port name ("en5" to "Thunderbolt Bridge"). */
export function parseHardwarePorts(text: string): Map<string, string> {
  const ports = new Map<string, string>();
  for (const match of text.matchAll(/^Hardware Port: (.+)\r?\nDevice: (\S+)/gm)) {
    ports.set(match[2]!, match[1]!.trim());
  }
  return ports;
}

/** Asks macOS for the names of its hardware ports; elsewhere, and when it does not answer, an empty map. */
export function readHardwarePorts(platform: string = process.platform): Promise<Map<string, string>> {
  if (platform !== 'darwin') return Promise.resolve(new Map());
  return new Promise((resolve) => {
    execFile(
      'networksetup',
      ['-listallhardwareports'],
      { timeout: 2_000, maxBuffer: 256 * 1024 },
      (error, stdout) => resolve(error === null ? parseHardwarePorts(stdout) : new Map()),
    );
  });
}

/** A netmask's prefix length; a mask with holes (or none) counts as a host route. */
function prefixOf(netmask: string): number {
  if (!ipaddr.IPv4.isValidFourPartDecimal(netmask)) return 32;
  return ipaddr.IPv4.parse(netmask).prefixLengthFromSubnetMask() ?? 32;
}
