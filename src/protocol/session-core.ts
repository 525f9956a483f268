/**
 * A session as its parts see it (`inbound.ts`, `requester.ts`, `responder.ts`), and what it is made with. Types only: the session
 * knows its parts, and they know no more of it than this.
 */
import type { ExoError } from '../shared/index.js';
import type { AccessLevel } from './access.js';
import type { CloseReason, ConnectionRole, ConnectionState } from './connection-api.js';
import type { MemoryBudget } from './memory-budget.js';
import type { Hello } from './messages/hello.js';
import type { Message, MessageKind } from './messages/messages.js';
import type { BulkMessage, Outbox } from './outbox.js';
import type { PayloadPool } from './payload-pool.js';
import type { WireSlabs } from './wire-shared.js';

/** What a session asks of its owner. */
export interface SessionHost {
  /** A hello came in. Returns the own one; throws to refuse. */
  onHello(hello: Hello): Hello;
  /** A message for the owner. Returns or resolves to the answer; throws to fail. */
  onMessage(message: Message, answerWanted: boolean): Promise<Message | undefined> | Message | undefined;
  /** A handler failed and the other side cannot be told. */
  onSilentFailure(kind: MessageKind, error: ExoError): void;
  /** A one-way message was refused, and the other side is not told. */
  onDropped(error: ExoError): void;
  /** The outbox has something new. */
  wake(): void;
  /** The session is over; what is in the outbox should still leave. */
  end(reason: CloseReason): void;
}

/** How a session begins. */
export interface SessionOptions {
  readonly role: ConnectionRole;
  /** The other end is on loopback or at a configured address: an old peer may send large bodies. */
  readonly trusted: boolean;
  /** What it may say at first. @default 'member' */
  readonly access?: AccessLevel | undefined;
  readonly budget: MemoryBudget;
  readonly pool: PayloadPool;
  readonly slabs: WireSlabs;
  readonly nowMs: number;
}

/** What the parts of a session ask of it. */
export interface SessionCore {
  readonly outbox: Outbox;
  readonly role: ConnectionRole;
  readonly trusted: boolean;
  readonly state: ConnectionState;
  /** What the other end may say. */
  readonly access: AccessLevel;
  /** Whether another request can be served. */
  readonly hasRoom: boolean;
  /** Into the outbox; nothing happens where it is closed. */
  send(message: Message, id: number | undefined): BulkMessage | undefined;
  becomeLegacy(): void;
  /** The answer type that is expected for an id, or undefined when nobody waits. */
  expectedAnswer(id: number | undefined): number | undefined;
  /** An answer is complete. */
  answered(id: number | undefined, answer: Message): void;
  /** An answer could not be kept. */
  answerLost(id: number, error: ExoError): void;
  /** A request or one-way message is complete. `done` gives its body back. */
  incoming(
    message: Message,
    type: number,
    id: number | undefined,
    done: ((answer: Message | undefined) => void) | undefined,
  ): void;
  /** Answers a hello with a refusal. */
  refuse(error: ExoError, id: number | undefined): void;
  dropped(error: ExoError): void;
  /** Answers a correlated request with an error. */
  answerError(id: number, error: ExoError): void;
  introduced(own: Hello, theirs: Hello | undefined): void;
  /** Whether the message goes correlated. Throws when this connection cannot take it. */
  checkOutgoing(message: Message, type: number): boolean;
}
