/** A signal to a process of ours and what it has started: every ssh begins a process group of its own. */
export function signalGroup(pid: number | undefined, signal: NodeJS.Signals): void {
  // -0 would be our own group.
  if (pid === undefined || pid === 0) return;
  try {
    process.kill(-pid, signal);
  } catch {
    // Gone in between.
  }
}
