/**
 * One process of ssh from its start to its end: waits for the login, makes the forwards stand, hears from the anchor. The
 * login is known by the control socket, which ssh makes after it, and each forward by an answer of its own there. Decides
 * nothing about trying again; the session makes one, or a plainer one when the server refuses.
 */
import path from 'node:path';
import type { Duplex } from 'node:stream';
import { type Clock, ExoError, LIMITS, type Logger, type TimerHandle } from '../../shared/index.js';
import type { Endpoint, TunnelSpec } from '../description/tunnel-spec.js';
import type { SessionFacts } from '../driver.js';
import type { TunnelFailure } from '../failure.js';
import { forwardProhibited } from '../forward-prohibited.js';
import { AnchorReader } from '../ssh/anchor.js';
import { clearSocketFile } from '../ssh/socket-file.js';
import { type ChildExit, SshChild } from '../ssh/ssh-child.js';
import { contextOf, explainExit, explainStart, type SessionRefused } from '../ssh/ssh-exit.js';
import { Control, type ForwardDesk } from './control.js';
import { FarDoor } from './far-door.js';
import type { Guard } from './guard.js';
import { type LoginWatch, untilLoggedIn } from './login-watch.js';
import type { SessionFiles } from './session-files.js';
import { isSessionOver, prohibitedPorts, readLogin } from './ssh-said.js';
import { standForwards } from './stand-forwards.js';

/** From a control socket that fails to the fault: ssh may be about to end, and says why. */
const CONTROL_FAULT_AFTER_MS = 50;
/** Fences after an answer: by the second, what ssh wrote to stderr before the answer has been read here. */
const FENCES = 2;

/** What is run. */
export interface AttemptPlan {
  readonly spec: TunnelSpec;
  readonly args: readonly string[];
  readonly files: SessionFiles;
  /** From the start to standing forwards, milliseconds. */
  readonly loginTimeoutMs: number;
  /** What the anchor will say; undefined: there is none. */
  readonly anchorLabel: string | undefined;
  /** From standing forwards to the anchor's word, milliseconds; what comes later is told by `farPid` only. */
  readonly anchorWaitMs: number;
}

/** Collaborators. */
export interface AttemptComponents {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly guard: Guard;
}

/** What is known once the forwards stand; `anchor`: whether the far session has spoken, or has not yet. */
export type AttemptFacts = Omit<SessionFacts, 'pty'> & {
  readonly anchor: 'held' | 'late' | 'refused' | 'not-asked';
};

/** How it ended. */
export type AttemptEnd = TunnelFailure | SessionRefused | 'stopped';

/** One process, running or gone. */
export class Attempt {
  /** Resolves when all forwards stand; never when `ended` does first. */
  readonly opened: Promise<AttemptFacts>;
  /** Resolves when the process and its sockets are gone. */
  readonly ended: Promise<AttemptEnd>;
  /** Resolves when the anchor has spoken; never where it does not. */
  readonly farPid: Promise<number>;
  readonly #plan: AttemptPlan;
  readonly #components: AttemptComponents;
  readonly #child: SshChild;
  readonly #deadline: TimerHandle;
  readonly #login: LoginWatch;
  readonly #reader: AnchorReader | undefined;
  /** Why we end it ourselves. */
  #verdict: AttemptEnd | undefined;
  #control: Control | undefined;
  #loggedIn = false;
  #over = false;
  /** The end of what it said, and how much it said in all. */
  #said = '';
  #saidChars = 0;
  #far: FarDoor | undefined;
  #forwardPorts: SessionFacts['forwardPorts'] = [];
  #farPid: number | undefined;
  #resolveFarPid: (farPid: number) => void = () => undefined;
  #resolveOpened: (facts: AttemptFacts) => void = () => undefined;
  /** Called when the anchor has spoken or will not. */
  #onAnchor: () => void = () => undefined;

  constructor(plan: AttemptPlan, components: AttemptComponents) {
    this.#plan = plan;
    this.#components = components;
    this.#reader = plan.anchorLabel === undefined ? undefined : new AnchorReader(plan.anchorLabel);
    this.opened = new Promise((resolve) => {
      this.#resolveOpened = resolve;
    });
    this.farPid = new Promise((resolve) => {
      this.#resolveFarPid = resolve;
    });
    const { clock, guard, logger } = components;
    this.#child = new SshChild(
      plan.args,
      { onStdout: (text) => this.#hear(text), onStderr: (text) => this.#onStderr(text) },
      { clock },
    );
    const { pid } = this.#child;
    if (pid !== undefined) {
      const { config, folders } = plan.files;
      guard.hold(config, { pid, mark: config, folders, sockets: socketsOf(plan.spec) });
      plan.files.record(pid);
      logger.debug('tunnel-ssh-started', { tunnel: plan.spec.name, pid });
    }
    this.#deadline = clock.after(plan.loginTimeoutMs, () => this.#tooLate());
    this.#login = untilLoggedIn(this.#child, plan.files.control, clock);
    void this.#login.loggedIn.then((loggedIn) => {
      if (loggedIn) this.#onLogin();
    });
    this.ended = this.#child.exited.then((exit) => this.#onExit(exit));
  }

  /** Ends it; resolves with `ended`. Idempotent. */
  end(verdict: AttemptEnd = 'stopped'): Promise<AttemptEnd> {
    this.#verdict ??= verdict;
    void this.#child.end();
    return this.ended;
  }

  /** As `TunnelSession.connectFar`. */
  connectFar(target: Endpoint, signal: AbortSignal): Promise<Duplex> {
    if (this.#far !== undefined) return this.#far.connect(target, signal);
    return Promise.reject(
      new ExoError('connection-closed', 'the ssh session is not open', { retryable: true }),
    );
  }

  #onStderr(text: string): void {
    this.#said = (this.#said + text).slice(-LIMITS.sshSaidCharsMax);
    this.#saidChars += text.length;
    if (!this.#loggedIn) this.#login.look();
    else if (this.#reader !== undefined && isSessionOver(this.#child.stderr)) this.#onAnchor();
    for (const port of prohibitedPorts(this.#said)) this.#prohibited(port);
  }

  /** What the policy forbids will never work: told once, by name, and not left to look as if the far program were down. */
  #prohibited(port: number): void {
    const forward = this.#plan.spec.forward[this.#forwardPorts.indexOf(port)];
    if (forward !== undefined && !this.#over) void this.end(forwardProhibited(forward));
  }

  #hear(text: string): void {
    const pid = this.#reader?.push(text);
    if (pid === undefined) return;
    this.#farPid = pid;
    this.#resolveFarPid(pid);
    this.#onAnchor();
  }

  #onLogin(): void {
    this.#loggedIn = true;
    this.#open().catch((error: unknown) => {
      // ssh ends, and its exit says why; a control socket that fails while ssh stays is a fault.
      if (this.#over) return;
      const message = `the control socket of ssh failed: ${error instanceof Error ? error.message : 'unknown'}`;
      this.#components.clock.after(CONTROL_FAULT_AFTER_MS, () => {
        if (!this.#over) void this.end({ code: 'driver-fault', message });
      });
    });
  }

  async #open(): Promise<void> {
    const { spec, files } = this.#plan;
    const control = await Control.open(files.control);
    this.#control = control;
    const desk = this.#deskOf(control);
    const ports = await standForwards(spec, desk);
    if (this.#over) return;
    if ('code' in ports) {
      void this.end(ports);
      return;
    }
    this.#forwardPorts = ports.forwardPorts;
    this.#deadline.cancel();
    this.#far = new FarDoor(path.dirname(files.control), desk);
    const anchor = await this.#untilAnchor();
    if (this.#over || this.#verdict !== undefined) return;
    this.#resolveOpened({
      ...ports,
      ...readLogin(this.#child.stderr),
      ...(this.#farPid === undefined ? {} : { farPid: this.#farPid }),
      ...(this.#child.pid === undefined ? {} : { pid: this.#child.pid }),
      anchor,
    });
  }

  #deskOf(control: Control): ForwardDesk {
    return {
      control,
      mark: () => this.#saidChars,
      saidSince: async (mark) => {
        for (let fence = 0; fence < FENCES; fence += 1) await control.pid();
        return this.#said.slice(Math.max(this.#said.length - (this.#saidChars - mark), 0));
      },
    };
  }

  #untilAnchor(): Promise<AttemptFacts['anchor']> {
    if (this.#reader === undefined) return Promise.resolve('not-asked');
    if (this.#farPid !== undefined) return Promise.resolve('held');
    return new Promise((resolve) => {
      const settle = () => {
        timer.cancel();
        resolve(this.#farPid === undefined ? 'refused' : 'held');
      };
      const timer = this.#components.clock.after(this.#plan.anchorWaitMs, () => resolve('late'));
      this.#onAnchor = settle;
      // The session may have ended while the forwards were on their way; its last words come before its end.
      if (isSessionOver(this.#child.stderr)) settle();
    });
  }

  #tooLate(): void {
    const { destination } = this.#plan.spec;
    const message = this.#loggedIn
      ? `${destination.text} accepted the login and has not answered for the forwards`
      : `${destination.text} accepts the connection and does not finish the login`;
    void this.end({ code: 'server-silent', message });
  }

  async #onExit(exit: ChildExit): Promise<AttemptEnd> {
    const { spec, files } = this.#plan;
    this.#over = true;
    this.#deadline.cancel();
    this.#onAnchor();
    this.#far?.close();
    this.#control?.close();
    this.#components.logger.debug('tunnel-ssh-ended', {
      tunnel: spec.name,
      pid: this.#child.pid,
      exitCode: exit.exitCode,
      signal: exit.signal,
    });
    // ssh leaves the sockets that it has listened on.
    if (this.#loggedIn) await Promise.all(socketsOf(spec).map(clearSocketFile));
    this.#components.guard.drop(files.config);
    if (this.#verdict !== undefined) return this.#verdict;
    if (exit.error !== undefined) return explainStart(exit.error);
    return explainExit({ ...exit, stderr: this.#child.stderr, established: this.#loggedIn }, contextOf(spec));
  }
}

/** The unix sockets of `-L`. */
function socketsOf(spec: TunnelSpec): string[] {
  return spec.forward.flatMap(({ listen }) => (listen.kind === 'unix' ? [listen.path] : []));
}
