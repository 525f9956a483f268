/** An old peer's orchestration: a loop of two seconds, prompts and tensors around the ring, results and statuses to all. */
import { partitionsOf, shardsOf } from './partition.mjs';
import { pyJson } from './wire.mjs';

const LOOP_MS = 2_000;

export class OldNode {
  #peers = [];
  #topology;
  #lastSeen = '';
  #timer = null;
  #stopped = false;
  #tokens = new Map();
  #listeners = new Set();
  #activeNodeId = null;

  /** `engineOf`: the engine of a model, by its id. */
  constructor({ id, memory, maxTokens, engineOf }, discovery, record) {
    this.id = id;
    this.maxTokens = maxTokens;
    this.engineOf = engineOf;
    this.discovery = discovery;
    this.record = record;
    this.caps = { model: 'Old Box', chip: 'Old Chip', memory, flops: { fp32: 1, fp16: 2, int8: 4 } };
    this.#topology = { nodes: { [id]: this.caps }, edges: {} };
  }

  async start() {
    await this.discovery.start();
    await this.#round();
  }

  stop() {
    this.#stopped = true;
    clearTimeout(this.#timer);
    this.discovery.stop();
  }

  onTokens(listener) {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  // ------------------------------------------------------------ topology

  async #round() {
    this.#peers = this.discovery.peers;
    const next = await this.#collect();
    if (this.#stopped) return;
    this.#topology = next;
    const seen = pyJson(next);
    if (seen !== this.#lastSeen) {
      this.#lastSeen = seen;
      const status = {
        type: 'supported_inference_engines',
        node_id: this.id,
        engines: ['DummyInferenceEngine'],
      };
      void this.#broadcastStatus('', status);
    }
    this.#timer = setTimeout(() => void this.#round(), LOOP_MS);
  }

  async #collect(visited = new Set(), maxDepth = 4) {
    const next = { nodes: { [this.id]: this.caps }, edges: {} };
    for (const peer of this.#peers) {
      next.nodes[peer.id] = peer.caps;
      next.edges[this.id] ??= [];
      next.edges[this.id].push({ to_id: peer.id, description: peer.description });
    }
    const before = new Set(visited);
    visited.add(this.id);
    for (const peer of this.#peers) visited.add(peer.id);
    for (const peer of this.#peers) {
      if (maxDepth <= 0 || before.has(peer.id)) continue;
      try {
        const other = await peer.collectTopology(visited, maxDepth - 1);
        // Only what a peer says of itself counts.
        if (other.nodes[peer.id] !== undefined) next.nodes[peer.id] = other.nodes[peer.id];
        if (other.peer_graph[peer.id] !== undefined) next.edges[peer.id] = other.peer_graph[peer.id];
      } catch (error) {
        this.record.failure(`collect topology from ${peer.id}: ${error.message}`);
      }
    }
    return next;
  }

  wireTopology() {
    return { nodes: this.#topology.nodes, peer_graph: this.#topology.edges };
  }

  apiTopology() {
    const graph = Object.entries(this.#topology.edges).map(([from, edges]) => [
      from,
      edges.map((edge) => ({ from_id: from, to_id: edge.to_id, description: edge.description })),
    ]);
    return {
      nodes: this.#topology.nodes,
      peer_graph: Object.fromEntries(graph),
      active_node_id: this.#activeNodeId,
    };
  }

  // ------------------------------------------------------------ ring

  #ring(baseShard) {
    const partitions = partitionsOf(this.#topology.nodes);
    const shards = shardsOf(partitions, baseShard.model_id, baseShard.n_layers);
    const index = partitions.findIndex((partition) => partition.id === this.id);
    return { partitions, shards, index };
  }

  #target(ring, index) {
    const { id } = ring.partitions[index];
    const peer = this.#peers.find((candidate) => candidate.id === id);
    if (id !== this.id && peer === undefined)
      throw new Error(`peer for partition ${index} (${id}) not found`);
    return { id, peer, shard: ring.shards[index] };
  }

  async processPrompt(baseShard, prompt, requestId, state) {
    const ring = this.#ring(baseShard);
    const shard = ring.shards[ring.index];
    const status = {
      type: 'node_status',
      node_id: this.id,
      base_shard: baseShard,
      shard,
      prompt,
      request_id: requestId,
    };
    await this.#broadcastStatus(requestId, { ...status, status: 'start_process_prompt' });
    const started = process.hrtime.bigint();
    if (shard.start_layer !== 0) {
      const { id, peer, shard: first } = this.#target(ring, 0);
      this.#task(`forward prompt to ${id}`, peer.sendPrompt(first, prompt, requestId, state ?? null));
    } else {
      const engine = this.engineOf(baseShard.model_id);
      const values = engine.encode(prompt);
      const input = { shape: [1, values.length], dtype: 'int64', values };
      await this.#afterForward(
        baseShard,
        shard,
        await engine.infer(shard, input, requestId),
        requestId,
        state,
      );
    }
    const elapsed = Number(process.hrtime.bigint() - started);
    await this.#broadcastStatus(requestId, {
      ...status,
      status: 'end_process_prompt',
      elapsed_time_ns: elapsed,
    });
  }

  async processTensor(baseShard, tensor, requestId, state) {
    const ring = this.#ring(baseShard);
    const shard = ring.shards[ring.index];
    const engine = this.engineOf(baseShard.model_id);
    await this.#afterForward(
      baseShard,
      shard,
      await engine.infer(shard, tensor, requestId),
      requestId,
      state,
    );
  }

  async #afterForward(baseShard, shard, output, requestId, state) {
    const ring = this.#ring(baseShard);
    let forward = output;
    if (shard.end_layer === shard.n_layers - 1) {
      const engine = this.engineOf(baseShard.model_id);
      const token = engine.sample(output);
      const tokens = this.#tokens.get(requestId) ?? [];
      tokens.push(token);
      this.#tokens.set(requestId, tokens);
      const finished = token === engine.eos || tokens.length >= this.maxTokens;
      this.handleResult(requestId, [token], finished);
      for (const peer of this.#peers) {
        this.#task(`result to ${peer.id}`, peer.sendResult(requestId, [token], finished));
      }
      if (finished) {
        this.#tokens.delete(requestId);
        return;
      }
      forward = { shape: [1, 1], dtype: 'int64', values: [token] };
    }
    const next = (ring.index + 1) % ring.partitions.length;
    const target = this.#target(ring, next);
    const work =
      target.id === this.id
        ? this.processTensor(target.shard, forward, requestId, state)
        : target.peer.sendTensor(target.shard, forward, requestId, state ?? null);
    this.#task(`tensor to ${target.id}`, work);
  }

  #task(what, promise) {
    Promise.resolve(promise).catch((error) => this.record.failure(`${what}: ${error.message}`));
  }

  // ------------------------------------------------------------ what others tell

  handleResult(requestId, tokens, finished) {
    for (const listener of this.#listeners) listener(requestId, tokens, finished);
  }

  handleStatus(_requestId, text) {
    const status = JSON.parse(text);
    this.record.status(status);
    if (status.type !== 'node_status') return;
    if (status.status?.startsWith('start_')) this.#activeNodeId = status.node_id;
    else if (status.status?.startsWith('end_') && status.node_id === this.#activeNodeId)
      this.#activeNodeId = null;
  }

  async #broadcastStatus(requestId, status) {
    const text = pyJson(status);
    await Promise.all(
      this.#peers.map((peer) =>
        peer.sendStatus(requestId, text).catch((error) => this.record.failure(`status: ${error.message}`)),
      ),
    );
    this.handleStatus(requestId, text);
  }
}
