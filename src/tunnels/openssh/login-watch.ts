/** The moment of the login: ssh makes its control socket after it, and says nothing about it at once. */
import { existsSync } from 'node:fs';
import type { Clock } from '../../shared/index.js';
import type { SshChild } from '../ssh/ssh-child.js';

/** One look costs some microseconds. */
const LOOK_EVERY_MS = 20;

/** A login that is waited for. */
export interface LoginWatch {
  /** Resolves to whether there is a login: true when the control socket is there, false when ssh has ended before. */
  readonly loggedIn: Promise<boolean>;
  /** Looks at once: ssh has just said something. */
  look(): void;
}

/** Looks for the control socket of `child` at `path` until it is there or the child has ended. */
export function untilLoggedIn(child: SshChild, path: string, clock: Clock): LoginWatch {
  let settle: (loggedIn: boolean) => void = () => undefined;
  let over = false;
  const loggedIn = new Promise<boolean>((resolve) => {
    settle = resolve;
  });
  const end = (there: boolean) => {
    over = true;
    timer.cancel();
    settle(there);
  };
  const look = () => {
    if (!over && existsSync(path)) end(true);
  };
  const timer = clock.every(LOOK_EVERY_MS, look);
  void child.exited.then(() => end(false));
  return { loggedIn, look };
}
