/** What lives long can be started and stopped; parts are stopped in the reverse order of their start. */

/** Both calls are idempotent; `stop` resolves only when its sockets, timers and children are gone. */
export interface Startable {
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** Starts parts in order. If one fails, those already started are stopped again, and the failure is thrown. */
export async function startAll(parts: readonly Startable[]): Promise<void> {
  const started: Startable[] = [];
  for (const part of parts) {
    try {
      await part.start();
      started.push(part);
    } catch (error) {
      await part.stop().catch(() => undefined);
      await stopAll(started).catch(() => undefined);
      throw error;
    }
  }
}

/** Stops parts in reverse order; every part is stopped even if another fails, then the first failure is thrown. */
export async function stopAll(parts: readonly Startable[]): Promise<void> {
  let failure: unknown;
  for (const part of [...parts].reverse()) {
    try {
      await part.stop();
    } catch (error) {
      failure ??= error;
    }
  }
  if (failure !== undefined) throw failure;
}
