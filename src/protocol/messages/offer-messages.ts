/** What nodes say to each other about where layers could be computed (0x72, 0x73). Types only; docs/PROTOCOL.md is the norm. */

/** 0x72, answered by 0x73: what would it cost the receiver to compute layers of a model? */
export interface OfferRequest {
  readonly kind: 'offer-request';
  readonly modelId: string;
  readonly nLayers: number;
  /** False: the asker only looks, nothing is to be fetched for it. */
  readonly mayFetch?: boolean;
}

/** What one layer costs the node that offers it, in the types that its engine keeps. On the wire three numbers in this order. */
export interface OfferedLayer {
  /** Read once for each token of an answer. */
  readonly weightBytes: number;
  /** Of one token. */
  readonly multiplyAdds: number;
  /** Of one position of one request. */
  readonly cacheBytes: number;
}

/** What is known of the path to another node, by its own measurements. On the wire an array in this order. */
export interface OfferedPath {
  readonly nodeId: string;
  /** Round trip, smoothed. */
  readonly rttMs: number;
  /** Null: not measured. */
  readonly bytesPerS: number | null;
}

/** 0x73. With a `reason` it takes no layers, and the rest says nothing. */
export interface OfferResponse {
  readonly kind: 'offer-response';
  readonly engine: string;
  /** Why it takes no layers of the model, in words. */
  readonly reason?: string;
  /** For weights and caches of this model. */
  readonly memoryBytes: number;
  /** Weights read in a second while one request decodes. */
  readonly bytesPerS: number;
  /** Of a prompt. */
  readonly multiplyAddsPerS: number;
  /** One for each layer of the model. */
  readonly layers: readonly OfferedLayer[];
  /** Ranges of layers whose files are on its disk, both ends included. */
  readonly stored: ReadonlyArray<readonly [from: number, to: number]>;
  /** At which it fetched files from a hub last; null: not measured. */
  readonly fetchBytesPerS: number | null;
  /** At which it fetched files from other nodes last. */
  readonly peerFetchBytesPerS?: number;
  /** At which weights came into memory, by the answers of this model (or of its last) that it served as their entry. */
  readonly loadBytesPerS?: number;
  /** What a token costs each member beside its layers, in ms, by the same answers. */
  readonly stepMs?: number;
  readonly paths: readonly OfferedPath[];
}
