/** Ctrl-C and its kin as one AbortSignal: the first asks for an orderly end, a second one ends at once. */
import { ExoError } from '../shared/index.js';
import { EXIT } from './errors.js';
import type { CliHost } from './host.js';

/**
 * One Ctrl-C may arrive several times: the terminal sends it to the whole group, and npm or a wrapper passes its own
 * on. Only one that comes later than this counts as the second.
 */
const SAME_PRESS_MS = 700;

/** What came of the signals. */
export interface StopSignal {
  readonly signal: AbortSignal;
  /** Asks for the orderly end, as a signal would. */
  stop(reason: string): void;
  /** Why it was aborted: a signal's name or the reason given. */
  readonly reason: string | undefined;
  /** Signals have their usual effect again. */
  release(): void;
}

/** How to take signals. */
export interface StopOptions {
  /** Called right before an immediate end. */
  readonly onForced?: () => void;
  /** Called at the first signal. */
  readonly onFirst?: (reason: string) => void;
  /** Told of a hangup that is not followed. */
  readonly onHangupIgnored?: () => void;
}

/**
 * Listens to SIGINT, SIGTERM and SIGHUP. A hangup (the terminal closed) ends the program only while it talks to that
 * terminal: started with nohup or with its output elsewhere, it goes on. (Node resets the ignored SIGHUP that nohup
 * hands over, so this has to be told by the output.)
 */
export function stopSignal(host: CliHost, options: StopOptions = {}): StopSignal {
  const controller = new AbortController();
  let reason: string | undefined;
  let firstMs = 0;
  const stop = (why: string) => {
    if (reason !== undefined) return;
    reason = why;
    firstMs = host.clock.now();
    options.onFirst?.(why);
    controller.abort(new ExoError('request-cancelled', `stopped by ${why}`));
  };
  const release = [
    host.onSignal(['SIGINT', 'SIGTERM'], (signal) => {
      if (reason === undefined) {
        stop(signal);
      } else if (host.clock.now() - firstMs > SAME_PRESS_MS) {
        options.onForced?.();
        host.exitNow(EXIT.cancelled);
      }
    }),
    host.onSignal(['SIGHUP'], () => {
      if (host.stderr.isTTY === true || host.stdout.isTTY === true) {
        host.terminalGone();
        stop('SIGHUP');
      } else {
        options.onHangupIgnored?.();
      }
    }),
    host.onParentGone(() => stop('the end of the parent process')),
  ];
  return {
    signal: controller.signal,
    stop,
    get reason() {
      return reason;
    },
    release: () => {
      for (const each of release) each();
    },
  };
}
