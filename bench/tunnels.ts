/**
 * What a supervised tunnel costs beside the bare `ssh -N -L` of the same run and with the same cipher: 8 KiB round trips and
 * 1 GiB one way, over loopback, over a cable with MTU 1500, and over one with delay. The system's ssh carries the default
 * driver, so it is held to the figures; those of ssh2 are printed, for they are why it is not the default.
 */
import { sshdUnavailable, startSsh, startSshd } from '../test/support/sshd.js';
import type { Program } from './contender.js';
import { atLeast, atMost, median, type Row } from './table.js';
import {
  cable,
  delayUnavailable,
  type Link,
  linksUnavailable,
  loopback,
  programOn,
  slowCable,
} from './tunnels/link.js';

const GIB = 2 ** 30;
const MESSAGE_BYTES = 8_192;
const DELAY_MS = 2;
const CIPHER = 'aes128-gcm@openssh.com';
/** A held-back segment costs 40 ms in one message of twelve, or a round trip of the link in each: in the mean more than this. */
const STALL_MEAN_US = 1_000;
const ABOVE_LINK_US_MAX = 1_000;

interface Times {
  readonly p50: number;
  readonly p99: number;
  readonly mean: number;
}

interface Figures extends Times {
  readonly bytesPerSecond: number;
}

interface Way {
  readonly name: string;
  readonly host: string;
  readonly port: number;
}

/** Rows for every link that can be made here; says which cannot, and why. */
export async function tunnelRows(quick: boolean): Promise<Row[]> {
  const missing = sshdUnavailable() ?? linksUnavailable();
  if (missing !== undefined) return skipped('tunnels', missing);
  const rows = [
    ...(await rowsOver(loopback(), { quick, count: 1_000, bytes: GIB })),
    ...(await rowsOver(cable(), { quick, count: 1_000, bytes: GIB })),
  ];
  const noDelay = delayUnavailable();
  if (noDelay !== undefined) return [...rows, ...skipped(`tunnels with ${DELAY_MS} ms delay`, noDelay)];
  return [...rows, ...(await rowsOver(await slowCable(DELAY_MS), { quick, count: 250, bytes: GIB }))];
}

function skipped(what: string, why: string): Row[] {
  console.log(`skipped: ${what} (${why})`);
  return [];
}

interface Load {
  readonly quick: boolean;
  readonly count: number;
  readonly bytes: number;
}

async function rowsOver(link: Link, load: Load): Promise<Row[]> {
  const programs: Program[] = [];
  try {
    const start = (...args: Parameters<typeof programOn>) => {
      const program = programOn(...args);
      programs.push(program);
      return program;
    };
    const ways = await openWays(link, start);
    return compare(link.name, await measure(start(link.near, 'tunnels/near-end.mjs'), ways, load));
  } finally {
    for (const program of programs.reverse()) await program.stop();
    await link.close();
  }
}

/** The link itself, a bare ssh, and a tunnel of ours by each driver, all to the same place. */
async function openWays(link: Link, start: typeof programOn): Promise<Way[]> {
  const { port } = (await start(link.far, 'tunnels/far-end.mjs', ['0.0.0.0']).line()) as { port: number };
  // Only one cipher, so that nobody has another; and no debug log, which costs time.
  const config = { LogLevel: 'INFO', Ciphers: CIPHER };
  const sshd = await startSshd(link.lab.cleanup, { host: link.far, config });
  const forward = `localhost:${port}`;
  const bare = 50_001;
  await startSsh(link.near, sshd, ['-N', '-L', `${bare}:${forward}`, sshd.destination], [bare]);
  const ways: Way[] = [
    { name: 'direct', host: link.far.address, port },
    { name: 'bare', host: '127.0.0.1', port: bare },
  ];
  for (const driver of ['openssh', 'ssh2'] as const) {
    const words = {
      ssh: sshd.destinationWithPort,
      forward: [`0:${forward}`],
      identity: sshd.identity,
      knownHosts: sshd.knownHosts,
      driver,
      stateFolder: link.lab.cleanup.folder(),
    };
    const up = (await start(link.near, 'exo/tunnel.ts', [JSON.stringify(words)]).line()) as {
      port: number;
      cipher: string | null;
      notes: readonly string[];
    };
    console.log(
      `${link.name}, ${driver}: ${up.cipher ?? 'cipher unknown'}${up.notes.map((note) => `; ${note}`).join('')}`,
    );
    ways.push({ name: driver, host: '127.0.0.1', port: up.port });
  }
  return ways;
}

/** Rounds of all ways in turn, medians of each figure. */
async function measure(near: Program, ways: readonly Way[], load: Load): Promise<Map<string, Figures>> {
  const rounds = load.quick ? { trips: 2, flows: 1 } : { trips: 7, flows: 3 };
  const bytes = load.quick ? load.bytes / 16 : load.bytes;
  const seen = new Map(ways.map(({ name }) => [name, { times: [] as Times[], rates: [] as number[] }]));
  for (let round = 0; round < rounds.trips; round++) {
    for (const { name, host, port } of ways) {
      const figures = seen.get(name)!;
      figures.times.push((await near.ask({ host, port, size: MESSAGE_BYTES, count: load.count })) as Times);
      if (round >= rounds.flows) continue;
      const { bytesPerSecond } = (await near.ask({ host, port, bytes })) as { bytesPerSecond: number };
      figures.rates.push(bytesPerSecond);
    }
  }
  return new Map(
    [...seen].map(([name, { times, rates }]) => {
      const of = (key: keyof Times) => median(times.map((time) => time[key]));
      return [name, { p50: of('p50'), p99: of('p99'), mean: of('mean'), bytesPerSecond: median(rates) }];
    }),
  );
}

function compare(link: string, figures: ReadonlyMap<string, Figures>): Row[] {
  const direct = figures.get('direct')!;
  const bare = figures.get('bare')!;
  const stalls = bare.mean - direct.mean > STALL_MEAN_US;
  return ['openssh', 'ssh2'].flatMap((driver) => {
    const ours = figures.get(driver)!;
    const name = `${driver}, ${link}`;
    const rows = [
      ...(['p50', 'p99', 'mean'] as const).map((key) =>
        atMost(`8 KiB, ${name}`, `µs ${key}`, ours[key], 'ssh -N -L', bare[key], 1.1),
      ),
      atLeast(
        `1 GiB, ${name}`,
        'MB/s',
        ours.bytesPerSecond / 1e6,
        'ssh -N -L',
        bare.bytesPerSecond / 1e6,
        0.9,
      ),
    ];
    if (stalls) rows.push(aboveLink(`8 KiB, ${name}`, ours.p99, direct.p99));
    return driver === 'ssh2' ? rows.map((row) => ({ ...row, goal: 'printed', met: true })) : rows;
  });
}

/** Where the bare ssh waits for acknowledgements, ours must be near the link itself. */
function aboveLink(name: string, ours: number, link: number): Row {
  const above = ours - link;
  return {
    name,
    unit: 'µs p99',
    ours,
    ceiling: link,
    against: 'the link itself',
    ratio: ours / link,
    goal: '≤ 1 ms above',
    met: above <= ABOVE_LINK_US_MAX,
  };
}
