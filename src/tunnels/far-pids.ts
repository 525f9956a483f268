/**
 * Who holds our `-R` listeners on far machines, kept over a restart (or a kill -9) of the node: one small file per tunnel in
 * the state folder. A file that is lost or unreadable costs a wait until the far sshd notices by itself.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { TunnelSpec } from './description/tunnel-spec.js';

/** Linux's highest; a larger number in a file is no pid. */
const PID_MAX = 2 ** 22;

/** The files of one state folder. Nothing throws: a full disk must not cost a tunnel. */
export class FarPids {
  readonly #folder: string;

  constructor(stateFolder: string) {
    this.#folder = path.join(stateFolder, 'far');
  }

  read(spec: TunnelSpec): number | undefined {
    try {
      const { pid } = JSON.parse(readFileSync(this.#file(spec), 'utf8')) as { pid?: unknown };
      return typeof pid === 'number' && Number.isInteger(pid) && pid > 1 && pid <= PID_MAX ? pid : undefined;
    } catch {
      return undefined;
    }
  }

  /** Null: nobody does. */
  write(spec: TunnelSpec, pid: number | null): void {
    const file = this.#file(spec);
    try {
      if (pid === null) {
        rmSync(file, { force: true });
        return;
      }
      mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
      const whole = `${file}.new`;
      writeFileSync(whole, `${JSON.stringify({ tunnel: spec.name, pid })}\n`, { mode: 0o600 });
      renameSync(whole, file);
    } catch {
      // As said: it only costs time later.
    }
  }

  /** A pid means nothing on another machine: name and destination are in the name of the file. */
  #file(spec: TunnelSpec): string {
    const key = [spec.name, spec.destination.text, ...spec.jump.map(({ text }) => text)].join('\n');
    return path.join(this.#folder, `${createHash('sha256').update(key).digest('hex').slice(0, 32)}.json`);
  }
}
