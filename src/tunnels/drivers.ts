/**
 * Which driver carries a tunnel: the one its description names, else the system's ssh where there is one, else ssh2. Drivers
 * are loaded when the first tunnel needs them, so that a node without tunnels pays nothing.
 */
import type { Clock, Logger, Random } from '../shared/index.js';
import type { DriverName, TunnelSpec } from './description/tunnel-spec.js';
import type { TunnelDriver } from './driver.js';
import type { TunnelFailure } from './failure.js';

/** What both real drivers are made with. */
export interface DriverComponents {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/** In order of preference. */
const NAMES: readonly DriverName[] = ['openssh', 'ssh2'];

/** The drivers of one manager. */
export class Drivers {
  readonly #stateFolder: string;
  readonly #components: DriverComponents;
  readonly #given: readonly TunnelDriver[] | undefined;
  readonly #loaded = new Map<DriverName, Promise<TunnelDriver | undefined>>();
  readonly #usable = new Set<TunnelDriver>();

  /** `given`: these and no others, in order of preference. */
  constructor(stateFolder: string, components: DriverComponents, given?: readonly TunnelDriver[]) {
    this.#stateFolder = stateFolder;
    this.#components = components;
    this.#given = given;
  }

  /** The driver for this tunnel, or why there is none. */
  async of(spec: TunnelSpec): Promise<TunnelDriver | TunnelFailure> {
    const wanted =
      spec.driver === undefined ? (this.#given?.map(({ name }) => name) ?? NAMES) : [spec.driver];
    const missing: string[] = [];
    for (const name of wanted) {
      const driver = await this.#load(name);
      if (driver === undefined) missing.push(`there is no driver "${name}" here`);
      else if (this.#usable.has(driver)) return driver;
      else {
        const found = await driver.available();
        if ('version' in found) {
          this.#usable.add(driver);
          return driver;
        }
        missing.push(found.missing);
      }
    }
    return { code: 'ssh-missing', message: missing.join('; ') };
  }

  /** Ends what the loaded ones hold. */
  async stop(): Promise<void> {
    for (const loaded of this.#loaded.values()) await (await loaded)?.stop();
    this.#loaded.clear();
    this.#usable.clear();
  }

  #load(name: DriverName): Promise<TunnelDriver | undefined> {
    let driver = this.#loaded.get(name);
    if (driver === undefined) {
      driver = this.#given === undefined ? this.#make(name) : Promise.resolve(this.#fromGiven(name));
      this.#loaded.set(name, driver);
    }
    return driver;
  }

  #fromGiven(name: DriverName): TunnelDriver | undefined {
    return this.#given?.find((driver) => driver.name === name);
  }

  async #make(name: DriverName): Promise<TunnelDriver> {
    const options = { stateFolder: this.#stateFolder };
    if (name === 'openssh') {
      const { createOpensshDriver } = await import('./openssh/index.js');
      return createOpensshDriver(options, this.#components);
    }
    const { createSsh2Driver } = await import('./ssh2/index.js');
    return createSsh2Driver(options, this.#components);
  }
}
