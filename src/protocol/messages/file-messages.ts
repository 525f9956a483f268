/** What trusted peers say to each other about the files of models (0x74 to 0x77). Types only; docs/PROTOCOL.md is the norm. */

/** How a hub names the bytes of a file; `hex` is in lower case. */
export interface WireFileHash {
  readonly kind: 'sha256' | 'git-sha1';
  readonly hex: string;
}

/** Bytes of a file from the first to the one after the last. */
export type WireRange = readonly [from: number, to: number];

/** 0x74, answered by 0x75: what is there of a model's files, and may the sender fetch a range of one from the hub? */
export interface FilesRequest {
  readonly kind: 'files-request';
  /** `org/repo`. */
  readonly repository: string;
  /** Only this file; absent: all that a node would fetch. */
  readonly path?: string;
  /** The sender is about to fetch this range of the file from the hub, unless the receiver is. With `path` only. */
  readonly claim?: { readonly hash: string; readonly range: WireRange };
}

/** A file of a model as another node has it. */
export interface WireModelFile {
  readonly path: string;
  readonly size: number;
  readonly hash: WireFileHash;
  /** Ranges that are there. */
  readonly present: readonly WireRange[];
  /** Ranges that are being fetched from the hub. */
  readonly claimed: readonly WireRange[];
}

/** 0x75. */
export interface FilesResponse {
  readonly kind: 'files-response';
  /** What the files are of; null: nothing is known of the model. */
  readonly commit: string | null;
  readonly revision: string;
  readonly files: readonly WireModelFile[];
  /** False: the receiver fetches bytes of the claimed range itself. */
  readonly granted: boolean;
}

/** 0x76, answered by 0x77: bytes of a file that 0x75 listed. */
export interface BytesRequest {
  readonly kind: 'bytes-request';
  readonly repository: string;
  readonly path: string;
  /** In hex: another file of that name is not meant. */
  readonly hash: string;
  readonly range: WireRange;
}

/** 0x77: just those bytes. */
export interface BytesResponse {
  readonly kind: 'bytes-response';
  readonly data: Buffer;
}
