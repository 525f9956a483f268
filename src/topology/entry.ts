/**
 * One node's entry of the gossip state, indexed: which of two is newer, and whether one may be taken in at all.
 * Pure; only the view and its helpers use it.
 */
import type { DeviceCapabilities, TopologyEntry } from '../protocol/index.js';
import { idFault, isPrintable, LIMITS } from '../shared/index.js';

/** An accepted entry with its edges and losses by id. Texts are made when they are first asked for. */
export class StoredEntry {
  readonly entry: TopologyEntry;
  /** Description by dialled id. */
  readonly edges: ReadonlyMap<string, string>;
  /** Epoch by lost id. */
  readonly lost: ReadonlyMap<string, number>;
  #contentText: string | undefined;
  #shownText: string | undefined;

  constructor(entry: TopologyEntry) {
    this.entry = entry;
    this.edges = new Map(entry.edges.map((edge) => [edge.toId, edge.description]));
    this.lost = new Map(entry.lost.map((loss) => [loss.id, loss.epoch]));
  }

  /** What the entry says, without its age; equal for equal content in any order. */
  get contentText(): string {
    this.#contentText ??= JSON.stringify([
      this.entry.legacy === true,
      capabilitiesText(this.entry.capabilities),
      sortedPairs(this.edges),
      sortedPairs(this.lost),
    ]);
    return this.#contentText;
  }

  /** What the digest is made of where every edge is shown. */
  get shownText(): string {
    this.#shownText ??= this.shownTextOf(this.edges);
    return this.#shownText;
  }

  /** What the digest is made of where only these edges are shown. */
  shownTextOf(edges: ReadonlyMap<string, string>): string {
    return JSON.stringify([
      this.entry.id,
      this.entry.legacy === true,
      capabilitiesText(this.entry.capabilities),
      [...edges].map((edge) => JSON.stringify(edge)).sort(),
    ]);
  }
}

/** Accepted entries by id. */
export type EntryTable = ReadonlyMap<string, StoredEntry>;

/** No epoch reaches this (2^52: far beyond any wall clock in milliseconds), not even what a node says of itself. */
export const EPOCH_MAX = 2 ** 52;

/** Indexes an entry. */
export function storeEntry(entry: TopologyEntry): StoredEntry {
  return new StoredEntry(entry);
}

/** Positive when `a` is newer than `b`: by epoch, then version. */
export function compareAge(
  a: { readonly epoch: number; readonly version: number },
  b: { readonly epoch: number; readonly version: number },
): number {
  return a.epoch - b.epoch || a.version - b.version;
}

/**
 * As `compareAge`, but two different entries of one age are ordered by content, so that all nodes keep the same
 * one. (Two nodes may speak for one old peer within the same millisecond.)
 */
export function compareEntries(a: StoredEntry, b: StoredEntry): number {
  const byAge = compareAge(a.entry, b.entry);
  if (byAge !== 0) return byAge;
  const left = a.contentText;
  const right = b.contentText;
  return left < right ? -1 : left > right ? 1 : 0;
}

/** Cuts entries into messages of about `bytesMax` each; an entry that is larger alone travels alone. */
export function splitBySize(entries: readonly TopologyEntry[], bytesMax: number): TopologyEntry[][] {
  const parts: TopologyEntry[][] = [];
  let bytes = Number.POSITIVE_INFINITY;
  for (const entry of entries) {
    const size = estimatedBytes(entry);
    if (bytes + size > bytesMax) {
      parts.push([]);
      bytes = 0;
    }
    parts.at(-1)!.push(entry);
    bytes += size;
  }
  return parts;
}

/** JSON keys and numbers around each part, measured; text counts its characters. */
function estimatedBytes({ id, capabilities, edges, lost }: TopologyEntry): number {
  return (
    250 +
    id.length +
    capabilities.model.length +
    capabilities.chip.length +
    edges.reduce((sum, edge) => sum + 40 + edge.toId.length + edge.description.length, 0) +
    lost.reduce((sum, loss) => sum + 40 + loss.id.length, 0)
  );
}

/** Why an entry can't be taken in, in words; undefined when it can. `epochMax`: the highest that is believed of it. */
export function entryProblem(entry: TopologyEntry, epochMax = EPOCH_MAX): string | undefined {
  const fault = idFault(entry.id);
  if (fault !== undefined) return `its id ${fault}`;
  if (!isCount(entry.epoch) || entry.epoch >= EPOCH_MAX || !isCount(entry.version)) {
    return 'its epoch or version is out of range';
  }
  if (entry.epoch > epochMax) {
    return 'its epoch is more than a day ahead of the clock of this machine; compare the clocks of both';
  }
  if (!isCapabilities(entry.capabilities)) return 'its capabilities are not usable';
  if (entry.edges.length > LIMITS.topologyEdgesPerNode) {
    return `it has more than ${LIMITS.topologyEdgesPerNode} edges`;
  }
  if (entry.lost.length > LIMITS.topologyEdgesPerNode) {
    return `it has more than ${LIMITS.topologyEdgesPerNode} losses`;
  }
  const edgesFit = entry.edges.every((edge) => isId(edge.toId) && isText(edge.description));
  if (!edgesFit) return 'one of its edges has an id or description that is empty, too long or not printable';
  if (!entry.lost.every((loss) => isId(loss.id) && isCount(loss.epoch))) {
    return 'one of its losses has an id or epoch that is out of range';
  }
  return undefined;
}

function isId(id: string): boolean {
  return idFault(id) === undefined;
}

function isText(text: string): boolean {
  return text.length <= LIMITS.topologyTextCharsMax && isPrintable(text);
}

function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}

function isCapabilities(capabilities: DeviceCapabilities): boolean {
  const { model, chip, memory, flops } = capabilities;
  return (
    isText(model) &&
    isText(chip) &&
    memory <= LIMITS.memoryMbMax &&
    [memory, flops.fp32, flops.fp16, flops.int8].every((figure) => Number.isFinite(figure) && figure >= 0)
  );
}

function capabilitiesText({ model, chip, memory, flops }: DeviceCapabilities): string {
  return JSON.stringify([model, chip, memory, flops.fp32, flops.fp16, flops.int8]);
}

function sortedPairs<V>(map: ReadonlyMap<string, V>): Array<[string, V]> {
  return [...map].sort(([a], [b]) => (a < b ? -1 : 1));
}
