/**
 * The tunnels of a peers file, looked at without a node: what is written, the ports here, and whether an sshd answers at the
 * first host. Opens no ssh session and offers no key; what only a session shows is said to be missing.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { readPeersFile } from '../../discovery/index.js';
import { readTunnels } from '../../node/index.js';
import {
  ExoError,
  formatAddress,
  LIMITS,
  printable,
  silentLogger,
  toExoError,
  tryListen,
  withDeadline,
} from '../../shared/index.js';
import {
  type Clash,
  Drivers,
  explainListen,
  type Forward,
  findClashes,
  listenPlace,
  type TunnelDriver,
  type TunnelSpec,
} from '../../tunnels/index.js';
import type { CliHost } from '../host.js';
import { ADDRESS_STEP, connectionSteps, type Diagnosis, sshTo } from './diagnosis.js';
import type { Examination, Examined } from './examination.js';
import { greets } from './sshd-greeting.js';

const REMARK =
  'looked at without a node: whether the host key is known, the login works, the forwards are allowed and a node answers there is seen only when a node opens the tunnel';

/** Rejects with `peers-file-*`, or `tunnel-unknown` for a name that the file does not have. */
export async function examineFile(
  host: CliHost,
  file: string,
  name: string | undefined,
): Promise<Examination> {
  const { peers, tunnels } = await readPeersFile(path.resolve(file));
  const { specs, faults } = readTunnels(tunnels, peers, path.dirname(path.resolve(file)));
  const wanted = (each: { readonly name: string }) => name === undefined || each.name === name;
  if (name !== undefined && ![...specs, ...faults].some(wanted)) {
    const known = [...specs, ...faults].map((each) => each.name).join(', ') || 'none';
    throw new ExoError(
      'tunnel-unknown',
      `${printable(file)} describes no tunnel "${printable(name, 60)}"; it has: ${known}`,
    );
  }
  const bad = faults.filter(wanted).map(
    (fault): Examined => ({
      name: fault.name,
      finding: 'bad-description',
      ok: false,
      evidence: [fault.error.message],
      next: [`correct it in ${printable(file)}; a running node reads the file again by itself`],
    }),
  );
  const folder = await mkdtemp(path.join(tmpdir(), 'exo-doctor-'));
  const { clock, random } = host;
  const drivers = new Drivers(folder, { clock, random, logger: silentLogger });
  const clashes = findClashes({
    specs,
    ownPorts: [],
    peers: specs.length === 0 ? [] : peers.map(({ id, address }) => ({ name: id, address })),
  });
  try {
    const looked = await Promise.all(
      specs.filter(wanted).map(
        async (spec): Promise<Examined> => ({
          name: spec.name,
          ...(await examine(host, spec, clashes, drivers)),
        }),
      ),
    );
    return {
      tunnels: [...bad, ...looked],
      warnings: clashes
        .filter(({ severity }) => severity === 'warning')
        .map(({ code, message }) => ({ code, message, at_ms: clock.wall() })),
      remarks: [REMARK],
    };
  } finally {
    await drivers.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

async function examine(
  host: CliHost,
  spec: TunnelSpec,
  clashes: readonly Clash[],
  drivers: Drivers,
): Promise<Diagnosis> {
  const clash = clashes.find(({ tunnel, severity }) => tunnel === spec.name && severity === 'error');
  if (clash !== undefined) return wrong('port-clash', clash.message, ['give one of the two another port']);
  for (const forward of spec.forward) {
    const refused = await listenRefused(forward);
    if (refused !== undefined) return refused;
  }
  const driver = await drivers.of(spec);
  if ('code' in driver) {
    return wrong('ssh-missing', driver.message, [
      'install OpenSSH’s client, or choose the built-in one: "driver": "ssh2"',
    ]);
  }
  return await knock(host, spec, driver);
}

/** Undefined where this machine would let somebody listen for it now. */
async function listenRefused(forward: Forward): Promise<Diagnosis | undefined> {
  const { listen } = forward;
  if (listen.kind !== 'tcp' || listen.port === 0) return undefined;
  const fault = await tryListen(listenPlace(listen));
  if (fault === undefined) return undefined;
  const { code, message } = await explainListen(forward, fault.code ?? fault.message);
  switch (code) {
    case 'local-port-busy':
      return wrong(code, message, [
        `see who has it: lsof -nP -iTCP:${listen.port} -sTCP:LISTEN`,
        'if it is a running node with this very tunnel, ask that one: exo doctor tunnels',
      ]);
    case 'local-port-ephemeral':
      return wrong(code, message, connectionSteps([listen.port]));
    case 'local-address-missing':
      return wrong(code, message, [ADDRESS_STEP]);
    default:
      return wrong('bad-description', message, ['correct it in the file']);
  }
}

/** Whether an sshd greets at the first host. */
async function knock(host: CliHost, spec: TunnelSpec, driver: TunnelDriver): Promise<Diagnosis> {
  const { text } = spec.destination;
  const step = `see what ssh itself says: ${sshTo(text, '-v')}`;
  try {
    const deadline = { clock: host.clock, timeoutMs: LIMITS.tunnelConnectTimeoutMs };
    return await withDeadline(deadline, async (signal) => {
      const hop = await driver.firstHop(spec, signal);
      if (hop === undefined) {
        return fine(
          [`where ssh connects first for ${text} is not known without running it (a ProxyCommand?)`],
          spec,
        );
      }
      const greeting = await greets(hop, signal);
      return fine([`an sshd answers at ${formatAddress(hop)}: ${greeting}`], spec);
    });
  } catch (error) {
    return wrong('ssh-down', toExoError(error).message, [step]);
  }
}

function wrong(finding: Diagnosis['finding'], evidence: string, next: readonly string[]): Diagnosis {
  return { finding, ok: false, evidence: [evidence], next };
}

function fine(evidence: readonly string[], spec: TunnelSpec): Diagnosis {
  return {
    finding: 'nothing-seen',
    ok: true,
    evidence,
    next: [`log in by hand to see the rest: ${sshTo(spec.destination.text)}`],
  };
}
