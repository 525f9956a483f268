/**
 * An old peer's part in a ring, written from what the original does and without anything of `src/inference`: it knows no
 * origin, no errors and no cancel, handles one message after the other, computes its own partition, tells its results to
 * everyone and forgets nothing. Its engine is the original's dummy.
 */
import type { Message, Prompt, Tensor, TensorRequest } from '../../src/protocol/index.js';
import type { RingNet } from './ring-net.js';

const EOS = 69;

export class LegacyMember {
  readonly id: string;
  readonly #net: RingNet;
  /** That it makes of a prompt itself. */
  readonly #promptTokens: number;
  /** Tokens by request, of the results that came in and its own: what its API queues hold. */
  readonly results = new Map<string, number[]>();
  readonly finished = new Set<string>();
  #serial: Promise<unknown> = Promise.resolve();

  constructor(id: string, net: RingNet, promptTokens = 1) {
    this.id = id;
    this.#net = net;
    this.#promptTokens = promptTokens;
  }

  onMessage(message: Message): Promise<Message | undefined> {
    const turn = this.#serial.then(() => this.#handle(message));
    this.#serial = turn.catch(() => undefined);
    return turn;
  }

  /** A client of this old node asks. */
  ask(requestId: string): void {
    const shard = { modelId: 'dummy', startLayer: 0, endLayer: 0, nLayers: 8 };
    const prompt = 'dummy_tokenized_prompt';
    void this.#prompt({ kind: 'prompt', shard, prompt, requestId, inferenceState: null });
  }

  async #handle(message: Message): Promise<Message | undefined> {
    switch (message.kind) {
      case 'prompt':
        await this.#prompt(message);
        return undefined;
      case 'tensor-request':
        // The original computes before it answers, and sends on in a task of its own.
        this.#forward(message.requestId ?? 'none', message.tensor.data.readBigInt64LE(0), message);
        return { kind: 'tensor-response', tensor: null };
      case 'result':
        this.#keep(message.requestId, message.result, message.isFinished);
        return undefined;
      case 'opaque-status':
        return undefined;
      default:
        throw new Error(`an old peer was sent ${message.kind}`);
    }
  }

  async #prompt(message: Prompt): Promise<void> {
    const [first] = this.#net.members('dummy', 8);
    if (first?.nodeId === this.id) this.#forward(message.requestId ?? 'none', 1n, message);
    else if (first !== undefined) this.#send(first.nodeId, { ...message, shard: first.shard });
  }

  #forward(requestId: string, value: bigint, message: Prompt | TensorRequest): void {
    const members = this.#net.members('dummy', 8);
    const place = members.findIndex((member) => member.nodeId === this.id);
    const isLast = place === members.length - 1;
    let out = value;
    if (isLast) {
      const next = value + 1n;
      const token = next > 10n ? EOS : Number(next);
      const isFinished = token === EOS;
      this.#keep(requestId, [token], isFinished);
      for (const id of this.#net.others(this.id)) {
        this.#send(id, { kind: 'result', requestId, result: [token], isFinished });
      }
      if (isFinished) return;
      out = BigInt(token);
    }
    const target = members[isLast ? 0 : place + 1];
    if (target === undefined) return;
    const { inferenceState } = message;
    const tensor = tensorOf(out, message.kind === 'prompt' ? this.#promptTokens : 1);
    const request: Message = {
      kind: 'tensor-request',
      shard: target.shard,
      tensor,
      requestId,
      inferenceState,
    };
    if (target.nodeId === this.id) this.#forward(requestId, out, message);
    else this.#send(target.nodeId, request);
  }

  #send(to: string, message: Message): void {
    this.#net.send(this.id, to, message).catch(() => undefined);
  }

  #keep(requestId: string, tokens: readonly number[], isFinished: boolean): void {
    this.results.set(requestId, [...(this.results.get(requestId) ?? []), ...tokens]);
    if (isFinished) this.finished.add(requestId);
  }
}

function tensorOf(value: bigint, tokens: number): Tensor {
  const values = new BigInt64Array(tokens).fill(value);
  return { shape: [1, tokens], dtype: 'int64', data: Buffer.from(values.buffer) };
}
