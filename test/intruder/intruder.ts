/**
 * Somebody with a socket and no key of the mesh: says any bytes, in plain or over TLS with a certificate of its own, and keeps what
 * comes back as frames. Speaks by hand, so that it can say what the shipped connection never would.
 */
import { createPrivateKey, createPublicKey, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import net from 'node:net';
import { performance } from 'node:perf_hooks';
import tls from 'node:tls';
import {
  type Hello,
  type Message,
  MessageDecoder,
  type TlsCredentials,
  TYPE,
} from '../../src/protocol/index.js';
import type { HandshakeFacts, Party } from '../../src/trust/index.js';
import { helloOf } from '../support/connection-pair.js';
import { eventually } from '../support/eventually.js';
import { baseFrame, collectingDecoder, correlatedFrame, type SeenFrame } from '../support/frames.js';
import type { Cleanup } from '../support/processes.js';
import { tlsCredentials } from '../support/tls-credentials.js';

const PATIENCE_MS = 10_000;

/** How an intruder comes. */
export interface IntruderOptions {
  /** Its certificate; absent: in plain. */
  readonly credentials?: TlsCredentials;
}

/** One connection of an intruder. */
export class Intruder {
  readonly #socket: net.Socket;
  readonly #decoder = collectingDecoder();
  readonly #messages = new MessageDecoder();
  #closed = false;
  /** `performance.now()` of the last bytes that came. */
  heardMs = 0;

  constructor(socket: net.Socket) {
    this.#socket = socket;
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.#closed = true;
    });
    socket.on('data', (chunk: Buffer) => {
      this.heardMs = performance.now();
      this.#decoder.decoder.push(chunk);
    });
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  /** Every frame that came. */
  get frames(): readonly SeenFrame[] {
    return this.#decoder.frames;
  }

  /** Types of the frames that came, without bit 7. */
  get types(): number[] {
    return this.frames.map(({ type }) => type & 0x7f);
  }

  /** What both ends of its TLS session have. */
  get binding(): Buffer {
    return (this.#socket as tls.TLSSocket).exportKeyingMaterial(32, 'EXPORTER-exo-mesh-1', Buffer.alloc(0));
  }

  /** Raw Ed25519 key that the other end has shown. */
  get peerKey(): Buffer {
    const { x } = (this.#socket as tls.TLSSocket)
      .getPeerX509Certificate()!
      .publicKey.export({ format: 'jwk' });
    return Buffer.from(x!, 'base64url');
  }

  send(...bytes: Uint8Array[]): void {
    if (!this.#socket.destroyed) this.#socket.write(Buffer.concat(bytes));
  }

  say(message: Message, id: number): void {
    this.send(correlatedFrame(message, id));
  }

  /** Says hello and returns the answer. */
  async greet(hello: Hello): Promise<Message> {
    this.send(baseFrame({ kind: 'health-request', hello }));
    return this.#message(await this.answer(TYPE.healthResponse));
  }

  /** Asks, and returns the answer, or the error. */
  async ask(message: Message, id: number): Promise<Message> {
    this.say(message, id);
    const { value } = await eventually(
      { timeoutMs: PATIENCE_MS, what: `an answer to ${message.kind}`, everyMs: 5 },
      () => this.frames.find((frame) => frame.id === id && frame.type >= 0x80),
    );
    return this.#message(value);
  }

  /** The first frame of a type. */
  async answer(type: number): Promise<SeenFrame> {
    const { value } = await eventually(
      { timeoutMs: PATIENCE_MS, what: `a frame of type 0x${type.toString(16)}`, everyMs: 5 },
      () => this.frames.find((frame) => (frame.type & 0x7f) === type),
    );
    return value;
  }

  /** Resolves when the other end has closed it. */
  async shownOut(): Promise<void> {
    await eventually(
      { timeoutMs: PATIENCE_MS, what: 'the end of the connection', everyMs: 5 },
      () => this.#closed,
    );
  }

  end(): void {
    this.#socket.destroy();
  }

  #message({ type, body }: SeenFrame): Message {
    return this.#messages.decode(type & 0x7f, body);
  }
}

/** Connects; ends with the test. */
export async function intrude(
  cleanup: Cleanup,
  port: number,
  { credentials }: IntruderOptions = {},
): Promise<Intruder> {
  const socket =
    credentials === undefined
      ? net.connect({ host: '127.0.0.1', port })
      : tls.connect({
          host: '127.0.0.1',
          port,
          cert: credentials.certificatePem,
          key: credentials.privateKeyPem,
          rejectUnauthorized: false,
          minVersion: 'TLSv1.3',
        });
  cleanup.add(() => socket.destroy());
  const intruder = new Intruder(socket);
  await once(socket, credentials === undefined ? 'connect' : 'secureConnect');
  return intruder;
}

/** A hello of a connection, with a nonce. */
export function boundHello(
  id: string,
  changes: Partial<Hello> = {},
): Hello & { readonly auth: { nonce: string } } {
  return {
    ...helloOf(id, { instance: randomBytes(8).toString('hex'), nodePort: 0, ...changes }),
    auth: changes.auth ?? { nonce: randomBytes(32).toString('base64url') },
  };
}

/** Comes encrypted and says hello: as far as anybody gets without a proof. */
export async function knock(
  cleanup: Cleanup,
  port: number,
  { hello = boundHello('mallory'), credentials }: { hello?: Hello; credentials?: TlsCredentials } = {},
): Promise<{ intruder: Intruder; answer: Message; facts: HandshakeFacts }> {
  const own = credentials ?? (await tlsCredentials());
  const intruder = await intrude(cleanup, port, { credentials: own });
  const { peerKey, binding } = intruder;
  const answer = await intruder.greet(hello);
  const theirs = answer.kind === 'health-response' ? answer.hello : undefined;
  const facts: HandshakeFacts = {
    role: 'dialler',
    dialler: partyOf(hello, publicKeyOf(own)),
    acceptor: partyOf(theirs ?? hello, peerKey),
    binding,
  };
  return { intruder, answer, facts };
}

/** An end as the facts have it. */
export function partyOf(hello: Hello, publicKey: Buffer): Party {
  const { nodeId, instance, auth } = hello;
  return { nodeId, instance, publicKey, nonce: Buffer.from(auth?.nonce ?? '', 'base64url') };
}

/** The raw public key of a certificate's key. */
export function publicKeyOf({ privateKeyPem }: TlsCredentials): Buffer {
  const { x } = createPublicKey(createPrivateKey(privateKeyPem)).export({ format: 'jwk' });
  return Buffer.from(x!, 'base64url');
}
