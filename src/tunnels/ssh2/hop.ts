/**
 * One ssh connection of the ssh2 driver, to the destination or to a jump host, from the TCP connect to its end: the host key is
 * checked before anything is offered, only safe ciphers are spoken, every wait has its deadline. Knows no forwards.
 */
import { Socket } from 'node:net';
import type { AuthHandlerMiddleware, Client, ClientChannel, HostFingerprintVerifier } from 'ssh2';
import { type Clock, LIMITS, type TimerHandle } from '../../shared/index.js';
import type { SessionOptions } from '../driver.js';
import type { TunnelFailure } from '../failure.js';
import { BannerWatch } from './banner-watch.js';
import type { HopSettings } from './hop-settings.js';
import { hostKeyAlgorithms, hostKeyFault } from './host-key.js';
import type { Identities } from './identities.js';
import type { KnownHosts } from './known-hosts.js';
import { SAFE_CIPHERS, type SafeCipher, type Ssh2Module } from './load.js';
import {
  explainEnd,
  explainError,
  explainLate,
  type LoginPhase,
  type LoginState,
  type Ssh2Error,
} from './login-failure.js';
import { SessionFailed } from './session-failed.js';
import { type Carrier, carrierOf } from './splice.js';

/** What a connection is made from. */
export interface HopOptions {
  readonly settings: HopSettings;
  readonly knownHosts: readonly KnownHosts[];
  readonly identities: Identities;
  /** Some of `SAFE_CIPHERS`, the best first. */
  readonly ciphers: SafeCipher[];
  readonly session: SessionOptions;
  /** In front of what is said about it: which machine of several it is. */
  readonly role: '' | 'jump host: ';
  /** A channel of the hop before; absent: TCP from here. */
  readonly through?: ClientChannel;
}

/** One connection. */
export class Hop {
  readonly client: Client;
  readonly carrier: Carrier;
  /** Resolves when it is logged in; rejects with `SessionFailed` when it ends before. */
  readonly ready: Promise<void>;
  /** Resolves with why it ended, when its stream is closed. */
  readonly closed: Promise<TunnelFailure>;
  /** Its stream is closed. */
  over = false;
  /** Of the direction towards us. */
  cipher: string | undefined;
  readonly #stream: Socket | ClientChannel;
  readonly #options: HopOptions;
  readonly #clock: Clock;
  readonly #banner = new BannerWatch();
  #phase: LoginPhase = 'connecting';
  #deadline: TimerHandle | undefined;
  #attempt = 0;
  #exhausted = false;
  #failure: SessionFailed | undefined;
  #ended = false;

  constructor(ssh2: Ssh2Module, clock: Clock, options: HopOptions) {
    this.#clock = clock;
    this.#options = options;
    this.client = new ssh2.Client();
    this.#stream = options.through ?? this.#connect();
    this.carrier = carrierOf(this.#stream);
    this.ready = new Promise((resolve, reject) => {
      this.client.once('ready', () => {
        this.#enter('open');
        resolve();
      });
      this.client.once('close', () => reject(this.#outcome()));
    });
    // Whoever only waits for `closed` has no use for it.
    this.ready.catch(() => undefined);
    this.closed = new Promise((resolve) => {
      this.client.once('close', () => {
        this.over = true;
        this.#deadline?.cancel();
        resolve(this.#outcome().failure);
      });
    });
    this.#login();
  }

  /** `OpenSSH_9.2p1`. */
  get serverVersion(): string | undefined {
    return this.#banner.server;
  }

  get label(): string {
    const { user, host, port } = this.#options.settings;
    return `${user}@${host}${port === 22 ? '' : `:${port}`}`;
  }

  /** Says goodbye and closes the stream; `closed` follows. Idempotent. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#deadline?.cancel();
    try {
      this.client.end();
    } catch {
      // It had not begun to speak, or had already ended: there is nothing to say goodbye to.
    }
    this.#closeStream();
  }

  #connect(): Socket {
    const { host, port, localAddress, addressFamily } = this.#options.settings;
    // More waits here before writers are held: ssh2 writes each packet by itself.
    const socket = new Socket({ writableHighWaterMark: LIMITS.streamHighWaterBytes } as object);
    socket.setNoDelay(true);
    socket.setKeepAlive(true, LIMITS.tcpKeepaliveMs);
    socket.connect({
      host,
      port,
      family: addressFamily,
      ...(localAddress === undefined ? {} : { localAddress }),
    });
    return socket;
  }

  #login(): void {
    const { client } = this;
    const { settings, knownHosts, session, ciphers } = this.#options;
    client.on('error', (error: Ssh2Error) => {
      const failed = explainError(unwrapped(error), this.#state());
      if (failed !== undefined) this.#fail(failed);
    });
    client.on('connect', () => this.#enter('banner'));
    client.on('handshake', ({ cs, sc }) => {
      this.cipher = sc.cipher;
      const safe: readonly string[] = SAFE_CIPHERS;
      if (safe.includes(cs.cipher) && safe.includes(sc.cipher)) {
        if (this.#phase === 'handshake') this.#enter('login');
      } else this.#fail(new SessionFailed('driver-fault', `${sc.cipher} was agreed on and not offered`));
    });
    const hostVerifier: HostFingerprintVerifier = (key: Buffer | string) => {
      const fault = hostKeyFault(knownHosts, settings, key as Buffer);
      this.#failure ??= fault;
      return fault === undefined;
    };
    this.#enter('connecting');
    client.connect({
      sock: this.#stream,
      username: settings.user,
      hostVerifier,
      authHandler: this.#nextAttempt as AuthHandlerMiddleware,
      algorithms: {
        cipher: ciphers,
        serverHostKey: hostKeyAlgorithms(knownHosts, settings) as never,
        compress: ['none'],
      },
      // Deadlines are ours; keepalives are ssh2's, because only it sees their answers.
      readyTimeout: 0,
      keepaliveInterval: session.keepaliveIntervalMs,
      keepaliveCountMax: session.keepaliveCountMax,
      // The embedded server has the extensions of OpenSSH and another name.
      strictVendor: false,
    });
    // After `connect`, which paused the stream: the first bytes are seen here as well as there.
    this.#stream.on('data', this.#watchBanner);
  }

  readonly #watchBanner = (chunk: Buffer): void => {
    if (!this.#banner.push(chunk)) return;
    this.#stream.off('data', this.#watchBanner);
    this.#enter('handshake');
  };

  /** The next key, or `false` when there is none or the server takes no keys. */
  readonly #nextAttempt = (methodsLeft: readonly string[] | null): object | false => {
    const { attempts } = this.#options.identities;
    const next = methodsLeft?.includes('publickey') === false ? undefined : attempts[this.#attempt];
    if (next === undefined) {
      this.#exhausted = true;
      return false;
    }
    this.#attempt += 1;
    return next;
  };

  #enter(phase: LoginPhase): void {
    this.#phase = phase;
    this.#deadline?.cancel();
    this.#deadline = undefined;
    if (phase === 'open' || this.#ended) return;
    const { connectTimeoutMs } = this.#options.session;
    // A key on a token may have to be touched.
    const timeoutMs = phase === 'login' ? LIMITS.tunnelGateMs : connectTimeoutMs;
    this.#deadline = this.#clock.after(timeoutMs, () => this.#fail(explainLate(this.#state())));
  }

  #state(): LoginState {
    return {
      phase: this.#phase,
      label: this.label,
      otherSpeech: this.#banner.otherSpeech,
      offered: this.#attempt,
      exhausted: this.#exhausted,
      leftOut: this.#options.identities.leftOut,
    };
  }

  /** Why it ended, with the machine that it was. */
  #outcome(): SessionFailed {
    this.#failure ??= explainEnd(this.#state());
    const { code, message } = this.#failure.failure;
    return new SessionFailed(code, this.#options.role + message);
  }

  #fail(failed: SessionFailed): void {
    this.#failure ??= failed;
    this.end();
  }

  #closeStream(): void {
    const stream = this.#stream;
    if (stream instanceof Socket) {
      // What was said still leaves; a frozen server is not waited for.
      if (stream.connecting) stream.destroy();
      if (stream.destroyed) return;
      stream.destroySoon();
      this.#deadline = this.#clock.after(LIMITS.closeGraceMs, () => stream.destroy());
    } else {
      stream.close();
      stream.resume();
    }
  }
}

/** Several addresses were tried: the reason of the first one that says something. */
function unwrapped(error: Ssh2Error & { readonly errors?: readonly Ssh2Error[] }): Ssh2Error {
  const first = error.errors?.find(({ code }) => code === 'ECONNREFUSED') ?? error.errors?.[0];
  if (first === undefined) return error;
  return {
    message: first.message,
    ...(first.code === undefined ? {} : { code: first.code }),
    level: 'client-socket',
  };
}
