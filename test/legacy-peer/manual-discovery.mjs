/** Manual discovery: a file read again every five seconds when its time changed; healthy entries are peers. */
import { readFileSync, statSync } from 'node:fs';
import { PeerHandle } from './peer-handle.mjs';

const LOOP_MS = 5_000;
const UNKNOWN = {
  model: 'Unknown Model',
  chip: 'Unknown Chip',
  memory: 0,
  flops: { fp32: 0, fp16: 0, int8: 0 },
};

export class ManualDiscovery {
  #known = new Map();
  #config = {};
  #readAt = 0;
  #timer = null;
  #stopped = false;

  constructor(path, selfId, record) {
    Object.assign(this, { path, selfId, record });
  }

  get peers() {
    return [...this.#known.values()];
  }

  async start() {
    await this.#round();
  }

  stop() {
    this.#stopped = true;
    clearTimeout(this.#timer);
    for (const peer of this.#known.values()) peer.disconnect();
  }

  #read() {
    const mtime = statSync(this.path).mtimeMs;
    if (mtime <= this.#readAt) return;
    this.#readAt = mtime;
    const peers = JSON.parse(readFileSync(this.path, 'utf8')).peers;
    const config = {};
    for (const [id, entry] of Object.entries(peers)) {
      if (id === this.selfId) continue;
      const split = /^(.*):(\d+)$/.exec(entry.address);
      const host = entry.port === undefined ? split?.[1] : entry.address;
      const port = entry.port ?? Number(split?.[2]);
      config[id] = { id, host, port, caps: entry.device_capabilities ?? UNKNOWN, description: 'MAN' };
    }
    this.#config = config;
  }

  async #round() {
    try {
      this.#read();
    } catch (error) {
      console.error(`peers file not used: ${error.message}`);
    }
    for (const [id, peer] of this.#known) {
      if (this.#config[id] === undefined) {
        this.#known.delete(id);
        peer.disconnect();
      }
    }
    await Promise.all(
      Object.entries(this.#config).map(async ([id, entry]) => {
        const peer = this.#known.get(id) ?? new PeerHandle(entry, this.record);
        const healthy = await peer.healthCheck();
        if (this.#stopped || !healthy) {
          this.#known.delete(id);
          peer.disconnect();
        } else if (!this.#known.has(id)) this.#known.set(id, peer);
      }),
    );
    if (!this.#stopped) this.#timer = setTimeout(() => void this.#round(), LOOP_MS);
  }
}
