/**
 * One end of an exo connection over real sockets: the shipped transport, connection and session, and a handler that does
 * what the message itself says. Tests use it in their own process; `wire-end-process.ts` is the same as a program.
 *
 *   prompt            a command: `hold N`, `release`, `ask N`, `load MIB`
 *   topology, tensor  held until `hold`'s number has come or until `release`, then answered in random order
 *   tensor of model   `take`: taken and thrown away; `throw`, `reject`, `refuse`: fails in three ways
 *   status            the report of `ask` and `load`, which the other end waits for
 */
import {
  type Connection,
  type ConnectionHandlers,
  createConnection,
  createTcpTransport,
  createWireShared,
  type Listener,
  type Message,
  type Tensor,
  type WireShared,
} from '../../src/protocol/index.js';
import {
  ExoError,
  type Random,
  randomInt,
  seededRandom,
  silentLogger,
  systemClock,
} from '../../src/shared/index.js';
import { handlersOf, helloOf } from './connection-pair.js';
import { type AskReport, askMany, type LoadReport, loadAndProbe } from './wire-work.js';

const OK: Message = { kind: 'prompt-response' };

/** An end with its connection. */
export interface WireEnd {
  readonly connection: Connection;
  readonly wire: WireShared;
  /** Sends a command and waits for its answer. */
  command(text: string): Promise<void>;
  /** Lets the other end do it, and waits for what it reports. */
  remote(text: `ask ${number}`): Promise<AskReport>;
  remote(text: `load ${number}`): Promise<LoadReport>;
  /** Holds so many requests of the other end. */
  hold(count: number): void;
}

/** What a connection's requests are done with. */
class Answerer {
  readonly #random: Random = seededRandom(11);
  #held: Array<() => void> = [];
  #holdCount = Number.POSITIVE_INFINITY;
  #onReport: ((text: string) => void) | undefined;

  readonly handlers: ConnectionHandlers = handlersOf({
    onHello: () => helloOf('far'),
    onMessage: (connection, message) => this.#answer(connection, message),
  });

  hold(count: number): void {
    this.#holdCount = count;
  }

  /** The next report of the other end. */
  report(): Promise<string> {
    return new Promise((resolve) => {
      this.#onReport = resolve;
    });
  }

  #answer(connection: Connection, message: Message): Promise<Message> | Message | undefined {
    switch (message.kind) {
      case 'prompt':
        return this.#command(connection, message.prompt);
      case 'opaque-status':
        this.#onReport?.(message.status);
        return undefined;
      case 'topology-request': {
        const nodes = new Map([[message.visited[0] ?? '', helloOf('x').capabilities]]);
        return this.#later({ kind: 'topology-response', nodes, peerGraph: new Map() });
      }
      case 'tensor-request':
        return this.#tensor(message.shard.modelId, message.tensor);
      default:
        throw new ExoError('request-unsupported', `this end does not answer ${message.kind}`);
    }
  }

  #tensor(modelId: string, tensor: Tensor): Promise<Message> | Message {
    switch (modelId) {
      case 'take':
        return { kind: 'tensor-response', tensor: null };
      case 'throw':
        throw new Error('the handler broke');
      case 'reject':
        return Promise.reject(new TypeError('the handler broke later'));
      case 'refuse':
        throw new ExoError('ring-incomplete', 'no second node', { retryable: true });
      default:
        return this.#later({ kind: 'tensor-response', tensor });
    }
  }

  #later(answer: Message): Promise<Message> {
    return new Promise((resolve) => {
      this.#held.push(() => resolve(answer));
      if (this.#held.length >= this.#holdCount) this.#release();
    });
  }

  /** Answers everything held, in random order. */
  #release(): void {
    this.#holdCount = Number.POSITIVE_INFINITY;
    const held = this.#held;
    this.#held = [];
    for (let left = held.length; left > 0; left -= 1) {
      const pick = randomInt(this.#random, 0, left - 1);
      held[pick]?.();
      held[pick] = held[left - 1] as () => void;
    }
  }

  #command(connection: Connection, text: string): Message {
    const [verb, argument] = text.split(' ');
    const count = Number(argument);
    if (verb === 'release') this.#release();
    else if (verb === 'hold') this.hold(count);
    else if (verb === 'ask') report(connection, askMany(connection, count));
    else if (verb === 'load') report(connection, loadAndProbe(connection, count));
    else throw new ExoError('request-unsupported', `no such command: ${text}`);
    return OK;
  }
}

function report(connection: Connection, work: Promise<unknown>): void {
  const tell = (value: unknown) =>
    connection.notify({ kind: 'opaque-status', requestId: 'report', status: JSON.stringify(value) });
  work.then(tell, (error: Error) => tell({ failed: error.message }));
}

/** Accepts connections, each with an answerer of its own. */
export async function listenEnd(host: string, port = 0): Promise<Listener> {
  const wire = createWireShared();
  const listener = createTcpTransport({ clock: systemClock }).listen({ host, port }, (stream) => {
    createConnection(
      stream,
      { role: 'acceptor', trusted: true },
      { ...wire, clock: systemClock, logger: silentLogger, handlers: new Answerer().handlers },
    );
  });
  await listener.start();
  return listener;
}

/** An established connection to an end that listens. */
export async function dialEnd(host: string, port: number): Promise<WireEnd> {
  const wire = createWireShared();
  const answerer = new Answerer();
  const transport = createTcpTransport({ clock: systemClock });
  const stream = await transport.dial({ host, port }, { timeoutMs: 5_000 });
  const connection = createConnection(
    stream,
    { role: 'dialler', trusted: true },
    { ...wire, clock: systemClock, logger: silentLogger, handlers: answerer.handlers },
  );
  await connection.introduce(helloOf('near', { nodePort: 0 }));
  const command = async (text: string) => {
    const shard = { modelId: 'command', startLayer: 0, endLayer: 0, nLayers: 1 };
    await connection.request({ kind: 'prompt', shard, prompt: text, requestId: null, inferenceState: null });
  };
  const remote = async (text: string) => {
    const reported = answerer.report();
    await command(text);
    const value = JSON.parse(await reported) as { failed?: string };
    if (value.failed !== undefined) throw new Error(`the other end: ${value.failed}`);
    return value;
  };
  return { connection, wire, command, remote: remote as WireEnd['remote'], hold: (n) => answerer.hold(n) };
}
