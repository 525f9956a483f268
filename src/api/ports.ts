/**
 * What the API needs from the rest of the program: the mesh as `node` shows it, and a chat service. `node/node.ts`
 * hands both in; a test may hand in a small service of its own.
 */
import type {
  ChatMessage,
  GeneratedLogprobs,
  ModelOnDisk,
  NodeDownload,
  Placement,
  PlanAsked,
  PlanErrors,
  PlanNote,
  PlannedModel,
  RequestedSampling,
} from '../inference/index.js';

/** A model that a request may name. */
export interface ChatModel {
  readonly id: string;
  /** Name for people. @default the id */
  readonly name?: string;
  /** It can answer now, without a download. */
  readonly ready: boolean;
  /** Why it cannot be computed; absent: nothing is known against it. */
  readonly unusable?: string;
  /** Layers of the whole model, to show which node holds which. */
  readonly nLayers?: number;
}

/** One question to the ring, and how to sample its answer; a temperature that is absent is `--default-temp`. */
export interface ChatRequest extends RequestedSampling {
  readonly model: string;
  readonly messages: readonly ChatMessage[];
  /** Absent: `--max-generate-tokens`. */
  readonly maxTokens?: number;
  /** Which nodes compute it. Absent: the node’s own setting. */
  readonly placement?: Placement;
  /** Aborted when the client leaves, the deadline passes or the node stops; the work must then end. */
  readonly signal: AbortSignal;
}

/** One token of an answer. */
export interface ChatToken {
  /** The text that this token adds; may be empty (a part of a character). */
  readonly text: string;
  readonly token: number;
  /** Counts from 0. */
  readonly index: number;
  /** Where they were asked for and the ring has them; never of the token that ends the answer. */
  readonly logprobs?: GeneratedLogprobs;
}

/** Where an answer is computed. */
export interface AnswerPlan {
  /** Absent: each member computes the ring by itself, as with an old peer in it. */
  readonly ring?: ReadonlyArray<{
    readonly nodeId: string;
    readonly shard: { readonly startLayer: number; readonly endLayer: number };
  }>;
  readonly prediction?: { readonly tokensPerS: number };
  /** Why there, in words. */
  readonly reason: string;
  /** Nodes that take no layers of the model, each with the reason. */
  readonly outsiders: ReadonlyArray<{ readonly id: string; readonly reason: string }>;
}

/** A generation that was accepted. */
export interface Generation {
  readonly requestId: string;
  readonly model: string;
  readonly promptTokens: number;
  /** Of the latest attempt. */
  readonly plan?: AnswerPlan | undefined;
  /** In order; ends when the generation is finished, throws what ended it early. Read at most once. */
  readonly tokens: AsyncIterable<ChatToken>;
  /** Settles after the last token; rejects as `tokens` throws. */
  readonly result: Promise<{
    readonly finishReason: 'stop' | 'length';
    readonly completionTokens: number;
  }>;
}

/** The token ids of a conversation. */
export interface EncodedChat {
  /** What the conversation became by the model's chat template. */
  readonly prompt: string;
  readonly tokens: readonly number[];
}

/** Where the last answers were computed. */
export interface AnswerPlans {
  /** Oldest first. */
  readonly notes: readonly PlanNote[];
  /** Of the last prediction that could be measured. */
  readonly lastErrors: PlanErrors | undefined;
}

/** Answers questions with the models of the mesh. */
export interface ChatService {
  /** What computes on this node, and what keeps it from that. */
  readonly engine?: { readonly name: string; readonly state?: string };
  models(): readonly ChatModel[];
  /** What `gpt-*` and a request without a model mean. */
  readonly defaultModel: string;
  /**
   * Resolves when the generation is accepted, before the prompt has gone through the ring. Rejects with
   * `model-unknown`, `overloaded`, `ring-incomplete` or `peer-unreachable`.
   */
  start(request: ChatRequest): Promise<Generation>;
  /** Rejects with `model-unknown`, `prompt-too-long` or `overloaded`, and with the signal's reason. */
  encode(model: string, messages: readonly ChatMessage[], signal: AbortSignal): Promise<EncodedChat>;
  /** Absent: nothing is told of it. */
  readonly plans?: AnswerPlans;
  /** Where a model would be computed now; absent: nobody plans. Rejects as `start`. */
  plan?(model: string | undefined, asked: PlanAsked): Promise<PlannedModel>;
}

/** How far a download of this node is. */
export interface PullProgress {
  readonly downloadedBytes: number;
  readonly downloadedBytesThisSession: number;
  readonly totalBytes: number;
  readonly bytesPerSecond: number;
  readonly etaSeconds: number | null;
  readonly files: ReadonlyArray<{
    readonly path: string;
    readonly totalBytes: number;
    readonly downloadedBytesThisSession: number;
    /** Somebody else fetches it. */
    readonly isWaiting: boolean;
  }>;
}

/** The files of models. */
export interface ModelFilesService {
  /** Downloads under way, of all nodes that tell of theirs. */
  readonly running: readonly NodeDownload[];
  /**
   * Begins to fetch what this node would hold of a model; resolves when it has begun, or there is nothing to fetch. Rejects with
   * `model-unknown`, `model-unsupported`, `model-absent` or what a hub says.
   */
  start(model: string, signal: AbortSignal): Promise<{ readonly id: string; readonly isReady: boolean }>;
  /**
   * Fetches a model, or layers of it (both included), for a client that waits: with the signal the download ends, unless others want it.
   * Rejects as `start`, and with `option-conflict` where this node would fetch it to another folder or from another hub.
   */
  pull(
    request: {
      readonly model: string;
      readonly layers?: readonly [from: number, to: number] | undefined;
      readonly directory?: string | undefined;
      readonly endpoint?: string | undefined;
    },
    onProgress: (progress: PullProgress) => void,
    signal: AbortSignal,
  ): Promise<{
    readonly id: string;
    readonly repository: string;
    readonly directory: string;
    /** Null: not known. */
    readonly commit: string | null;
    /** Absent: everything was there. */
    readonly progress?: PullProgress;
  }>;
  /** Removes the files of a model. Rejects with `model-unknown`, `model-absent`, `model-in-use` or `state-unwritable`. */
  remove(model: string): Promise<{
    readonly id: string;
    readonly directories: readonly string[];
    readonly bytes: number;
    readonly kept: readonly string[];
  }>;
  /** What is on disk, and what could be fetched by a short name. */
  files(signal: AbortSignal): Promise<readonly ModelOnDisk[]>;
}

/** Shows ways in by an ssh key: `trust` keeps the challenges and sessions, the operator named the keys. */
export interface SshSessions {
  /**
   * A challenge for this key: base64, 32 bytes; single use, bound to the key. Throws `http-invalid` for what is no
   * ssh public key; whether the key is listed is not told here.
   */
  challenge(publicKey: string): { readonly challenge: string; readonly expiresAtMs: number };
  /** Checks the signature over the text of the challenge and opens a session. Throws `http-invalid` or `http-forbidden`. */
  connect(request: SshAnswer): SshSession | Promise<SshSession>;
  /** Whether the token is of a session that has not ended. Takes the same time for every token of one length. */
  check(token: string): boolean;
  /** Ends the session; false where there is none of that token. */
  disconnect(token: string): boolean;
}

/** What a client sends after it has signed. */
export interface SshAnswer {
  /** A line as in authorized_keys. */
  readonly publicKey: string;
  /** As it was given. */
  readonly challenge: string;
  /** The signature blob, base64. */
  readonly signature: string;
  /** `ssh-ed25519`, `rsa-sha2-256`, …; absent: as the key says. */
  readonly signatureFormat?: string;
}

/** A session that an ssh key opened. */
export interface SshSession {
  /** base64url, 32 bytes. */
  readonly token: string;
  readonly expiresAtMs: number;
}

/** A mesh key, without its secret. */
export interface KeySummary {
  /** 8 hex digits of a digest. */
  readonly id: string;
  /** `file`: $EXO_HOME/mesh-keys.json; `given`: EXO_AUTH_TOKEN or --auth-token-file. */
  readonly source: 'file' | 'given';
  /** Null for a given one. */
  readonly createdAtMs: number | null;
  /** Not used after this; null: no end. */
  readonly untilMs: number | null;
  /** The one that this node proves first. */
  readonly current: boolean;
}

/** A mesh key with its secret, for who asked for just that. */
export interface ShownKey extends KeySummary {
  /** `exo1-…`, or the text as it was given. */
  readonly key: string;
  /** The bearer token that it gives, see `apiTokenOf`. */
  readonly apiToken: string;
}

/** A node that is known by its own key. */
export interface TrustedNode {
  readonly id: string;
  /** `SHA256:…`, as ssh prints it. */
  readonly fingerprint: string;
  /**
   * `trusted`: until it is removed. `invited`: until it has proven the mesh key once. `pin`: its id belongs to this key,
   * and it proves the mesh key each time.
   */
  readonly trust: string;
  /** How it was learnt, in a word: `invitation`, `mesh-key`, `ssh-key`, `connect`, `by-hand`. */
  readonly how: string;
  readonly sinceMs: number;
}

/** An invitation that was made. */
export interface Invitation {
  /** The whole line to copy: `exo join …`. */
  readonly line: string;
  readonly expiresAtMs: number;
}

/** Who invited. */
export interface Joined {
  /** Null while it has not been met: the invitation is kept until then. */
  readonly id: string | null;
  readonly fingerprint: string;
  readonly address: string;
  /** The mesh key that came with it; null where that mesh has none. */
  readonly keyId: string | null;
}

/** Keys and trusted nodes: for the owner of the node alone. What changes is written before a promise resolves. */
export interface TrustControl {
  keys(): readonly KeySummary[];
  /** The keys in use with their secrets, the current one first. */
  showKeys(): readonly ShownKey[];
  /** Makes the first key. Rejects with `option-conflict`. */
  newKey(): Promise<KeySummary>;
  /** Takes over a key that another node made. Rejects with `option-invalid` or `option-conflict`. */
  joinKey(key: string, options: { readonly replace: boolean }): Promise<KeySummary>;
  /** A new current key; the others end after `graceMs` (absent: the usual grace). Rejects with `mesh-key-unknown`. */
  rotateKey(graceMs?: number): Promise<KeySummary>;
  /** Removes a key from this machine. Rejects with `mesh-key-unknown` or `option-conflict`. */
  forgetKey(id: string): Promise<void>;
  /** @param address under which others reach this node, `host:port`; absent: one of its own addresses */
  invite(address?: string): Promise<Invitation>;
  /** Uses an invitation of another node; where no node runs it is kept for its next start. */
  join(invitation: string): Promise<Joined>;
  /** This node's own id and fingerprint, for others to add. */
  self(): { readonly id: string; readonly fingerprint: string };
  trusted(): readonly TrustedNode[];
  /**
   * Trusts a node by its key; `how` it was learnt (absent: by hand). Rejects with `option-invalid`, or `identity-changed` where it is
   * pinned to another.
   */
  trust(id: string, fingerprint: string, how?: 'connect'): Promise<TrustedNode>;
  /**
   * Forgets a node; its connections end. With `how` only what was learnt so is taken back, and what was known of the node before
   * counts again. Resolves with what was known. Rejects with `peer-unknown`.
   */
  distrust(id: string, how?: 'connect'): Promise<TrustedNode>;
}

/** What the API needs of trust; what is absent is not there for its callers either. */
export interface ApiTrust {
  /** The bearer tokens that the mesh's keys give at present, see `apiTokenOf`; empty without a key. */
  meshTokens?(): readonly string[];
  readonly sessions?: SshSessions;
  readonly control?: TrustControl;
}

/** Numbers that others count, for status and metrics. */
export interface ApiGauges {
  /** Generations that run or wait here. */
  generations?(): number;
  /** Open connections between nodes. */
  connections?(): number;
}
