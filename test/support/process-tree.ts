/** Processes as /proc shows them (Linux): who descends from whom, and whether one is still the one that was seen. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** One process at one moment. `startTicks` tells it from a later one with the same pid. */
export interface SeenProcess {
  readonly pid: number;
  readonly ppid: number;
  /** First 15 characters of the program's name. */
  readonly name: string;
  /** `R`, `S`, `T` (stopped), `Z` (ended, and nobody has waited for it) … */
  readonly state: string;
  readonly startTicks: number;
}

/** The process as it is now; undefined when there is none. */
export function look(pid: number): SeenProcess | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return undefined;
  }
  // The name stands in brackets and may hold brackets itself.
  const nameEnd = text.lastIndexOf(')');
  const rest = text.slice(nameEnd + 2).split(' ');
  return {
    pid,
    name: text.slice(text.indexOf('(') + 1, nameEnd),
    state: rest[0] ?? '',
    ppid: Number(rest[1]),
    startTicks: Number(rest[19]),
  };
}

/** Whether it still runs: the same process, and no zombie. */
export function runs(seen: SeenProcess): boolean {
  const now = look(seen.pid);
  return now !== undefined && now.startTicks === seen.startTicks && now.state !== 'Z';
}

/** Everything that runs now. */
export function allProcesses(): SeenProcess[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((name) => look(Number(name)))
    .filter((seen) => seen !== undefined && seen.state !== 'Z') as SeenProcess[];
}

/** Children, grandchildren and so on of a process, parents first. */
export function descendants(pid: number, all: readonly SeenProcess[] = allProcesses()): SeenProcess[] {
  const found: SeenProcess[] = [];
  const wanted = [pid];
  for (let next = wanted.shift(); next !== undefined; next = wanted.shift()) {
    for (const seen of all) {
      if (seen.ppid !== next) continue;
      found.push(seen);
      wanted.push(seen.pid);
    }
  }
  return found;
}

/** Arguments of a process; empty when it is gone. */
export function argvOf(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').slice(0, -1);
  } catch {
    return [];
  }
}

/** What a process holds open, as /proc names it (`socket:[1]`, `pipe:[2]`, a path); empty when it is gone. */
export function openHandles(pid: number): string[] {
  const folder = `/proc/${pid}/fd`;
  try {
    return readdirSync(folder).flatMap((fd) => {
      try {
        return [readlinkSync(`${folder}/${fd}`)];
      } catch {
        return [];
      }
    });
  } catch {
    return [];
  }
}

/** Sends a signal to the process that was seen, if it is still that one. */
export function signal(seen: SeenProcess, name: NodeJS.Signals): void {
  if (!runs(seen)) return;
  try {
    process.kill(seen.pid, name);
  } catch {
    // It ended by itself in between.
  }
}
