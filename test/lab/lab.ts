/**
 * Networks made of namespaces: a LAN of hosts on a bridge, links that can be cut, slowed and filtered, a host
 * behind NAT. Every namespace carries this process's id in its name and is removed by `close` and, whatever
 * happens, when the process ends. Nothing outside the namespaces is touched.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { type Child, type ChildOptions, Cleanup } from '../support/processes.js';
import { sshdUnavailable } from '../support/sshd.js';

const PREFIX = 'exo-';
/** Tests listen at 49703, 50051, 52415 and their neighbours, as the documents they follow do. */
const FIXED_PORTS_FROM = 49_000;
const labs = new Set<Lab>();
let labCount = 0;

process.on('exit', () => {
  for (const lab of labs) lab.removeNow();
});

/** Why namespaces cannot be used here, as a reason for a skipped test; undefined when they can. */
export function labUnavailable(needs: readonly ('sshd' | 'nft')[] = ['nft']): string | undefined {
  if (process.platform !== 'linux') return 'network namespaces are a Linux thing';
  if (process.getuid?.() !== 0) return 'making network namespaces needs root';
  if (!runs('ip', ['-V'])) return 'the ip command (iproute2) is not installed';
  if (needs.includes('nft') && !runs('nft', ['-v'])) return 'the nft command (nftables) is not installed';
  const noSshd = needs.includes('sshd') ? sshdUnavailable() : undefined;
  if (noSshd !== undefined) return noSshd;
  const probe = `${PREFIX}${process.pid}-probe`;
  if (!runs('ip', ['netns', 'add', probe])) return 'this system does not allow network namespaces';
  spawnSync('ip', ['netns', 'del', probe]);
  return undefined;
}

function runs(command: string, args: readonly string[]): boolean {
  const result = spawnSync(command, args, { stdio: 'ignore' });
  return result.error === undefined && result.status === 0;
}

/** One namespace that plays a machine. */
export class Host {
  /** Name of the namespace. */
  readonly netns: string;
  /** Its first address; empty before it has one. */
  address = '';
  readonly #lab: Lab;

  constructor(lab: Lab, netns: string) {
    this.#lab = lab;
    this.netns = netns;
  }

  /** What to put in front of a command so that it runs on this host (it replaces itself: the pid stays). */
  get prefix(): string[] {
    return ['ip', 'netns', 'exec', this.netns];
  }

  /** Starts a command on this host; it ends with the lab. */
  start(command: string, args: readonly string[], options: ChildOptions = {}): Child {
    return this.#lab.cleanup.child(command, args, { ...options, prefix: this.prefix });
  }

  /** Runs a command on this host to its end and returns its output. Throws when it fails. */
  exec(command: string, args: readonly string[], input?: string): string {
    return execFileSync('ip', ['netns', 'exec', this.netns, command, ...args], {
      encoding: 'utf8',
      timeout: 30_000,
      ...(input === undefined ? {} : { input }),
      stdio: ['pipe', 'pipe', 'pipe'],
    });
  }

  /** `ip …` inside this host. */
  ip(...args: string[]): string {
    return ip('-n', this.netns, ...args);
  }

  /** Loads rules; a rule set for this host only. */
  nft(rules: string): void {
    this.exec('nft', ['-f', '-'], rules);
  }

  /** Forgets all rules of this host. */
  nftReset(): void {
    this.exec('nft', ['flush', 'ruleset']);
  }

  /** GET from inside this host, for an API that listens on its loopback. */
  fetchText(
    url: string,
    options: { readonly body?: string; readonly timeoutMs?: number } = {},
  ): Promise<string> {
    const script =
      'const [url, body, ms] = process.argv.slice(1);' +
      "const r = await fetch(url, { signal: AbortSignal.timeout(Number(ms)), ...(body ? { method: 'POST', headers: { 'content-type': 'application/json' }, body } : {}) });" +
      'process.stdout.write(await r.text()); process.exitCode = r.ok ? 0 : 1;';
    const args = [
      '--input-type=module',
      '-e',
      script,
      '--',
      url,
      options.body ?? '',
      String(options.timeoutMs ?? 5_000),
    ];
    const child = this.start(process.execPath, args, { name: `GET ${url}` });
    return child.closed.then((exit) => {
      if (exit !== 0) throw new Error(`${url}: ${child.stdout.slice(0, 500)} ${child.stderr.slice(-500)}`);
      return child.stdout;
    });
  }

  /** The same, as JSON. */
  async fetchJson<T>(
    url: string,
    options: { readonly body?: string; readonly timeoutMs?: number } = {},
  ): Promise<T> {
    return JSON.parse(await this.fetchText(url, options)) as T;
  }

  /** Pids of all processes that run on this host now. */
  pids(): number[] {
    return ip('netns', 'pids', this.netns).split('\n').filter(Boolean).map(Number);
  }
}

/** A bridge in its own namespace; its ports are cut and filtered from here. */
export class Lan {
  readonly bridge: Host;
  readonly subnet: string;
  readonly hosts: Host[] = [];
  readonly #ports = new Map<Host, string>();

  constructor(bridge: Host, subnet: string) {
    this.bridge = bridge;
    this.subnet = subnet;
    bridge.ip('link', 'add', 'br0', 'type', 'bridge', 'mcast_snooping', '0');
    bridge.ip('link', 'set', 'br0', 'up');
  }

  /** Connects a host: interface `device`, address `subnet.number`/24. */
  join(host: Host, number: number, device = 'eth0'): void {
    const port = `p${this.#ports.size + 1}`;
    this.bridge.ip('link', 'add', port, 'type', 'veth', 'peer', 'name', device, 'netns', host.netns);
    this.bridge.ip('link', 'set', port, 'master', 'br0', 'up');
    host.ip('addr', 'add', `${this.subnet}.${number}/24`, 'brd', '+', 'dev', device);
    host.ip('link', 'set', device, 'up');
    if (host.address === '') host.address = `${this.subnet}.${number}`;
    this.#ports.set(host, port);
    this.hosts.push(host);
  }

  #port(host: Host): string {
    const port = this.#ports.get(host);
    if (port === undefined) throw new Error(`${host.netns} is not on this LAN`);
    return port;
  }

  /** Pulls the cable of a host: it sees "no carrier". */
  cut(host: Host): void {
    this.bridge.ip('link', 'set', this.#port(host), 'down');
  }

  /** Puts it back. */
  restore(host: Host): void {
    this.bridge.ip('link', 'set', this.#port(host), 'up');
  }

  /** Silently drops everything between two hosts, both ways. `heal` ends it. */
  partition(a: Host, b: Host): void {
    const pair = (from: Host, to: Host) => `iifname "${this.#port(from)}" oifname "${this.#port(to)}" drop\n`;
    this.#filter('partition', pair(a, b) + pair(b, a));
  }

  /** Silently drops what one host sends to another; the other way stays open. `heal` ends it. */
  block(from: Host, to: Host): void {
    const [a, b] = [this.#port(from), this.#port(to)];
    this.#filter(`block-${a}-${b}`, `iifname "${a}" oifname "${b}" drop\n`);
  }

  /** Drops broadcast and multicast frames; with `from`, only those that this host sends. `heal` ends it. */
  dropBroadcast(from?: Host): void {
    const port = from === undefined ? '' : `iifname "${this.#port(from)}" `;
    // IPv4 only: ARP must pass, or nothing else would.
    this.#filter(
      'broadcast',
      `${port}meta protocol ip ether daddr & 01:00:00:00:00:00 == 01:00:00:00:00:00 drop\n`,
    );
  }

  #filter(name: string, rules: string): void {
    this.bridge.nft(
      `table bridge ${name} {\n chain forward {\n type filter hook forward priority 0; policy accept;\n${rules} }\n}\n`,
    );
  }

  /** Ends partitions, blocks and broadcast drops. */
  heal(): void {
    this.bridge.nftReset();
  }

  /** Limits what a host sends and receives, in Mbit/s. */
  rate(host: Host, mbit: number): void {
    const tbf = ['root', 'tbf', 'rate', `${mbit}mbit`, 'burst', '64kb', 'latency', '50ms'];
    host.exec('tc', ['qdisc', 'replace', 'dev', 'eth0', ...tbf]);
    this.bridge.exec('tc', ['qdisc', 'replace', 'dev', this.#port(host), ...tbf]);
  }

  /** Ends `rate`. */
  fullRate(host: Host): void {
    host.exec('tc', ['qdisc', 'del', 'dev', 'eth0', 'root']);
    this.bridge.exec('tc', ['qdisc', 'del', 'dev', this.#port(host), 'root']);
  }
}

/** A set of namespaces with everything that runs in them. */
export class Lab {
  readonly cleanup = new Cleanup();
  readonly #serial = ++labCount;
  readonly #names: string[] = [];

  constructor() {
    if (labCount === 1) removeOrphans();
    labs.add(this);
  }

  /** A new machine with loopback and nothing else. */
  host(name: string): Host {
    const netns = `${PREFIX}${process.pid}-${this.#serial}${name}`;
    ip('netns', 'add', netns);
    this.#names.push(netns);
    const host = new Host(this, netns);
    host.ip('link', 'set', 'lo', 'up');
    // The usual range goes to 60999: a connection of loopback may get a port that a test listens at, and keeps it for a minute.
    host.exec('sysctl', ['-qw', `net.ipv4.ip_local_port_range=32768 ${FIXED_PORTS_FROM - 1}`]);
    return host;
  }

  /** `count` hosts h1… on one bridge, with addresses `subnet`.1… and a default route. */
  lan(count: number, subnet = '10.77.0'): Lan {
    const lan = new Lan(this.host('sw'), subnet);
    for (let number = 1; number <= count; number++) {
      const host = this.host(`h${number}`);
      lan.join(host, number);
      // Without a default route a datagram to 255.255.255.255 has nowhere to go.
      host.ip('route', 'add', 'default', 'dev', 'eth0');
    }
    return lan;
  }

  /**
   * `inside` sits behind a router with masquerading and can dial out; `outside` has a public address and cannot
   * dial in. `router` is the machine between them.
   */
  nat(): { readonly inside: Host; readonly outside: Host; readonly router: Host } {
    const wan = new Lan(this.host('wan'), '198.18.0');
    const router = this.host('rt');
    const inside = this.host('in');
    const outside = this.host('out');
    wan.join(router, 1, 'wan0');
    wan.join(outside, 9);
    router.ip('link', 'add', 'lan0', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', inside.netns);
    router.ip('addr', 'add', '192.168.50.1/24', 'dev', 'lan0');
    router.ip('link', 'set', 'lan0', 'up');
    inside.ip('addr', 'add', '192.168.50.2/24', 'dev', 'eth0');
    inside.ip('link', 'set', 'eth0', 'up');
    inside.ip('route', 'add', 'default', 'via', '192.168.50.1');
    inside.address = '192.168.50.2';
    router.exec('sysctl', ['-qw', 'net.ipv4.ip_forward=1']);
    router.nft(`table ip nat {
  chain post {
    type nat hook postrouting priority 100;
    oifname "wan0" masquerade
  }
}
table ip filter {
  chain forward {
    type filter hook forward priority 0; policy drop;
    ct state established,related accept
    iifname "lan0" oifname "wan0" accept
  }
}
`);
    return { inside, outside, router };
  }

  /** Ends what runs in the namespaces and removes them. */
  async close(): Promise<void> {
    try {
      await this.cleanup.dispose();
    } finally {
      this.removeNow();
    }
  }

  /** The same without waiting: for the end of the process. */
  removeNow(): void {
    labs.delete(this);
    for (const name of this.#names.splice(0)) removeNamespace(name);
  }
}

/** Kills what runs in a namespace of ours and removes it. */
function removeNamespace(name: string): void {
  const pids = spawnSync('ip', ['netns', 'pids', name], { encoding: 'utf8' }).stdout ?? '';
  for (const pid of pids.split('\n').filter(Boolean)) {
    try {
      process.kill(Number(pid), 'SIGKILL');
    } catch {
      // It ended by itself in between.
    }
  }
  spawnSync('ip', ['netns', 'del', name], { stdio: 'ignore' });
}

/** Removes namespaces of test processes that are gone: a process that was killed outright could not. */
function removeOrphans(): void {
  for (const name of namespaces()) {
    const owner = /^exo-(\d+)-/.exec(name)?.[1];
    if (owner !== undefined && isGone(owner)) removeNamespace(name);
  }
}

/** Gone, or a zombie that nobody has waited for yet. */
function isGone(pid: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.startsWith('Z') === true;
  } catch {
    return true;
  }
}

function namespaces(): string[] {
  return existsSync('/run/netns') ? readdirSync('/run/netns') : [];
}

/** Namespaces of this process that still exist. */
export function leftovers(): string[] {
  return namespaces().filter((name) => name.startsWith(`${PREFIX}${process.pid}-`));
}

function ip(...args: string[]): string {
  return execFileSync('ip', args, { encoding: 'utf8', timeout: 30_000, stdio: ['ignore', 'pipe', 'pipe'] });
}
