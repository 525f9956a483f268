/**
 * What this room needs of the mesh to take the files of models from other nodes, and what it answers them. `node` implements
 * the port over its connections to trusted peers, a test in memory. Types only.
 */
import type { ByteRange } from '../download/ranges.js';
import type { ModelFile } from '../hub/answer.js';

/** What is there of a model? */
export interface FilesQuestion {
  /** `org/repo`. */
  readonly repository: string;
  /** Only of this file; absent: of all that a node would fetch. */
  readonly path?: string;
  /** The asking node is about to fetch this range of the file from the hub. */
  readonly claim?: { readonly hash: string; readonly range: ByteRange };
}

/** A file of a model as a node has it. */
export interface PeerFile extends ModelFile {
  /** Ranges that are there. */
  readonly present: readonly ByteRange[];
  /** Ranges that the node is fetching from the hub. */
  readonly claimed: readonly ByteRange[];
}

/** What a node has. */
export interface FilesAnswer {
  /** Null: it knows nothing of the model. */
  readonly commit: string | null;
  readonly revision: string;
  readonly files: readonly PeerFile[];
  /** False: it fetches bytes of the claimed range itself. */
  readonly granted: boolean;
}

/** Bytes of a file. */
export interface BytesQuestion {
  readonly repository: string;
  readonly path: string;
  /** In hex. */
  readonly hash: string;
  /** At most `LIMITS.fileBytesMax`. */
  readonly range: ByteRange;
}

/** The other nodes. Everything rejects after `LIMITS.peerFilesTimeoutMs`, with the peer's own code, or with the signal's reason. */
export interface PeerFiles {
  readonly selfId: string;
  /** Ids of the nodes that may be asked now: connected, and trusted by this one. */
  peers(): readonly string[];
  ask(nodeId: string, question: FilesQuestion, signal: AbortSignal): Promise<FilesAnswer>;
  read(nodeId: string, question: BytesQuestion, signal: AbortSignal): Promise<Uint8Array>;
}
