/**
 * The user's ssh agent, behind its socket: lists its keys within a deadline and signs with those that are wanted. ssh2's own
 * agent waits for ever and offers all keys; this one can be ended with its session.
 */
import { connect, type Socket } from 'node:net';
import type { AgentProtocol, BaseAgent, ParsedKey, SignCallback, SigningRequestOptions } from 'ssh2';
import type { Clock } from '../../shared/index.js';
import type { Ssh2Module } from './load.js';

/** Agents answer in milliseconds; one that asks a person does so for signatures only. */
const LIST_TIMEOUT_MS = 3_000;

/** An agent that is in use. */
export interface Agent {
  /** Public keys that it holds and ssh2 knows the kind of. */
  readonly keys: readonly ParsedKey[];
  /** As ssh2 wants it: offers these keys, in this order. */
  offering(keys: readonly ParsedKey[]): BaseAgent<ParsedKey>;
  /** Ends what is still asked. */
  close(): void;
}

/** Undefined where no agent answers at the socket. */
export async function openAgent(ssh2: Ssh2Module, path: string, clock: Clock): Promise<Agent | undefined> {
  const sockets = new Set<Socket>();
  const ask = <T>(
    request: (protocol: AgentProtocol, done: (error: Error | undefined, value?: T) => void) => void,
    done: (error: Error | undefined, value?: T) => void,
  ): void => {
    const socket = connect({ path });
    sockets.add(socket);
    let settled = false;
    const settle = (error: Error | undefined, value?: T): void => {
      if (settled) return;
      settled = true;
      socket.destroy();
      done(error, value);
    };
    socket.on('error', (error) => settle(error));
    socket.on('close', () => {
      sockets.delete(socket);
      settle(new Error('the agent ended the connection'));
    });
    socket.on('connect', () => {
      const protocol = new ssh2.AgentProtocol(true);
      protocol.on('error', (error: Error) => settle(error));
      socket.pipe(protocol).pipe(socket);
      try {
        request(protocol, settle);
      } catch (error) {
        settle(error as Error);
      }
    });
  };

  const keys = await new Promise<readonly ParsedKey[] | undefined>((resolve) => {
    const timer = clock.after(LIST_TIMEOUT_MS, () => {
      for (const socket of sockets) socket.destroy();
    });
    ask<ParsedKey[]>(
      (protocol, done) =>
        protocol.getIdentities((error, list) => done(error ?? undefined, (list ?? []) as ParsedKey[])),
      (error, list) => {
        timer.cancel();
        resolve(error === undefined ? (list ?? []) : undefined);
      },
    );
  });
  if (keys === undefined) return undefined;

  class Offering extends ssh2.BaseAgent<ParsedKey> {
    constructor(private readonly offered: readonly ParsedKey[]) {
      super();
    }

    override getIdentities(done: (error?: Error | null, keys?: ParsedKey[]) => void): void {
      done(null, [...this.offered]);
    }

    override sign(
      key: ParsedKey,
      data: Buffer,
      options: SigningRequestOptions | SignCallback,
      done?: SignCallback,
    ): void {
      const callback = (typeof options === 'function' ? options : done) as SignCallback;
      const settings = typeof options === 'function' ? {} : options;
      ask<Buffer>(
        (protocol, settle) =>
          protocol.sign(key, data, settings, (error, signature) => settle(error ?? undefined, signature)),
        (error, signature) => callback(error ?? null, signature),
      );
    }
  }
  return {
    keys,
    offering: (offered) => new Offering(offered),
    close() {
      for (const socket of sockets) socket.destroy();
    },
  };
}
