/** What the suite of the tunnel drivers works with: a real sshd, an echo behind it, a driver, and sessions that end with the test. */
import { createHash } from 'node:crypto';
import { readdirSync } from 'node:fs';
import type { TestContext } from 'node:test';
import type {
  SessionFacts,
  SessionOptions,
  TunnelDriver,
  TunnelFailure,
  TunnelSession,
  TunnelSpec,
} from '../../src/tunnels/index.js';
import { eventually } from '../support/eventually.js';
import { descendants } from '../support/process-tree.js';
import { Cleanup } from '../support/processes.js';
import { type Sshd, type SshdConfig, startSshd } from '../support/sshd.js';
import { type FarEnd, openEcho } from '../tunnels/far-end.js';
import { opened, refused, specFor } from './tunnel-specs.js';

/** A driver under test. */
export interface DriverCase {
  readonly name: string;
  make(stateFolder: string): TunnelDriver;
}

/** Long enough for a busy machine; keepalives are shortened where they are what is tested. */
export const OPTIONS: SessionOptions = {
  connectTimeoutMs: 8_000,
  keepaliveIntervalMs: 10_000,
  keepaliveCountMax: 3,
  pty: false,
};

/** One server and one driver for many tests; each test ends the sessions it opened. */
export class TunnelLab {
  readonly stateFolder: string;
  readonly driver: TunnelDriver;
  readonly sshd: Sshd;
  readonly echo: FarEnd;
  readonly #cleanup: Cleanup;

  private constructor(cleanup: Cleanup, sshd: Sshd, echo: FarEnd, driver: TunnelDriver, stateFolder: string) {
    this.#cleanup = cleanup;
    this.sshd = sshd;
    this.echo = echo;
    this.driver = driver;
    this.stateFolder = stateFolder;
  }

  static async open(driverCase: DriverCase): Promise<TunnelLab> {
    const cleanup = new Cleanup();
    const sshd = await startSshd(cleanup);
    const echo = await openEcho();
    cleanup.add(() => echo.stop());
    const stateFolder = cleanup.folder();
    const driver = driverCase.make(stateFolder);
    cleanup.add(() => driver.stop());
    return new TunnelLab(cleanup, sshd, echo, driver, stateFolder);
  }

  close(): Promise<void> {
    return this.#cleanup.dispose();
  }

  /** A folder that goes with the lab. */
  folder(): string {
    return this.#cleanup.folder();
  }

  /** Another server, with lines of its own, that ends with the test. */
  async server(t: TestContext, config: SshdConfig = {}, listen = '127.0.0.1'): Promise<Sshd> {
    const cleanup = new Cleanup();
    t.after(() => cleanup.dispose());
    return startSshd(cleanup, { config, listen });
  }

  /** A session that ends with the test. */
  start(
    t: TestContext,
    changes: Partial<TunnelSpec> = {},
    options: Partial<SessionOptions> = {},
    sshd = this.sshd,
  ): TunnelSession {
    const session = this.driver.open(specFor(sshd, changes), { ...OPTIONS, ...options });
    t.after(() => session.close());
    return session;
  }

  /** As `start`, and its facts when it stands. */
  async up(
    t: TestContext,
    changes: Partial<TunnelSpec> = {},
    options: Partial<SessionOptions> = {},
    sshd = this.sshd,
  ): Promise<{ session: TunnelSession; facts: SessionFacts }> {
    const session = this.start(t, changes, options, sshd);
    return { session, facts: await opened(session) };
  }

  /** Why it does not open. */
  async fails(
    changes: Partial<TunnelSpec> = {},
    options: Partial<SessionOptions> = {},
    sshd = this.sshd,
  ): Promise<TunnelFailure> {
    return refused(this.driver.open(specFor(sshd, changes), { ...OPTIONS, ...options }));
  }

  /** Resolves when no ssh of this process runs, no session file is there and the server serves nobody. */
  async untilNothingIsLeft(sshd = this.sshd): Promise<void> {
    const left = () => [
      ...descendants(process.pid)
        .filter(({ name }) => name === 'ssh')
        .map(({ pid }) => `ssh ${pid}`),
      ...readdirSync(this.stateFolder),
      ...sshd.pidsOfSessions().map((pid) => `sshd session ${pid}`),
    ];
    await eventually(
      { timeoutMs: 20_000, everyMs: 20, what: 'nothing is left', onLate: () => left().join(', ') },
      () => left().length === 0,
    );
  }
}

/** For comparing what came back without keeping both. */
export function sha256(data: Buffer): string {
  return createHash('sha256').update(data).digest('hex');
}
