/**
 * What a connection logs of the other side's faults: at most one warning per source in ten seconds, the rest at debug.
 * Used by `connection.ts`.
 */
import type { Clock, ExoError, LogFields, Logger, Sheds, SourceLimiter } from '../shared/index.js';
import type { ConnectionRole } from './connection-api.js';

/** Ends that are ordinary: the requests that they cost say so themselves. */
const ORDINARY: ReadonlySet<string> = new Set(['request-timeout', 'connection-closed']);

interface Who {
  readonly remote: string;
  readonly remoteHost: string;
  readonly role: ConnectionRole;
}

interface Components {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly rejections: SourceLimiter;
  readonly sheds: Sheds;
}

/** One per connection; the limiter is the node's. */
export class RejectionLog {
  readonly #who: Who;
  readonly #components: Components;

  constructor(who: Who, components: Components) {
    this.#who = who;
    this.#components = components;
  }

  /** The connection is closed because of what the other side sent, or did not send. */
  rejected(error: ExoError, bytesIn: number): void {
    if (ORDINARY.has(error.code)) return;
    if (error.code === 'slow-peer') this.#components.sheds.add('slow-peer');
    const { remote, role } = this.#who;
    const fields = { remote, role, code: error.code, message: error.message };
    // somebody who connects and says nothing is looking whether the port is open
    if (bytesIn === 0) this.#components.logger.debug('connection-rejected', fields);
    else this.#warn('connection-rejected', fields);
  }

  /** A handler of this side failed, and the other side cannot be told. */
  handlerFailed(kind: string, error: ExoError): void {
    this.#warn('handler-failed', {
      remote: this.#who.remote,
      kind,
      code: error.code,
      message: error.message,
    });
  }

  /** A message that is never answered was refused. */
  dropped({ code, message }: ExoError): void {
    this.#warn('message-dropped', { remote: this.#who.remote, code, message });
  }

  #warn(event: string, fields: LogFields): void {
    const { clock, logger, rejections } = this.#components;
    if (rejections.take(this.#who.remoteHost, clock.now())) logger.warn(event, fields);
    else logger.debug(event, fields);
  }
}
