/**
 * Where the bytes of a file come from while other nodes have it, or fetch it, too: those that a node has come from it, those that a
 * node is fetching from the hub are waited for, and only what nobody has or fetches comes from the hub, once for all.
 * Decides; `../download/file.ts` does it.
 */
import { type Clock, ExoError, LIMITS, type Random } from '../../shared/index.js';
import { type ByteRange, common, normalized, sum, without } from '../download/ranges.js';
import { Slots } from '../download/slots.js';
import type { ModelFile } from '../hub/answer.js';
import type { ByteSource } from '../hub/hub.js';
import { type Claim, type Claims, claimName } from './claims.js';
import type { FilesAnswer, PeerFile, PeerFiles } from './peer-files.js';
import { type PeerLane, PeerSource } from './peer-source.js';
import { PieceSize } from './piece-size.js';

/** What is to be done next for a file. */
export type ShareStep =
  | { readonly kind: 'peer'; readonly nodeId: string; readonly source: ByteSource; readonly range: ByteRange }
  /** This node fetches it for all; `done` when it has, or has failed. */
  | { readonly kind: 'hub'; readonly range: ByteRange; done(): void }
  /** Somebody else is fetching all of it. */
  | { readonly kind: 'wait'; readonly delayMs: number };

/** What the sharing works with. */
export interface SharingComponents {
  readonly port: PeerFiles;
  readonly claims: Claims;
  readonly clock: Clock;
  readonly random: Random;
}

/** The other nodes as places where files are. One for each node; all its downloads share it. */
export class Sharing {
  readonly #parts: SharingComponents;
  readonly #lanes = new Map<string, PeerLane>();

  constructor(components: SharingComponents) {
    this.#parts = components;
  }

  file(repository: string, file: ModelFile): FileSharing {
    return new FileSharing(repository, file, this.#parts, (nodeId) => this.#laneOf(nodeId));
  }

  /** What another node knows of a model: the answer with the most files; undefined where none knows it. */
  async listing(repository: string, signal: AbortSignal): Promise<FilesAnswer | undefined> {
    const { port } = this.#parts;
    const answers = await Promise.all(
      port.peers().map((nodeId) => port.ask(nodeId, { repository }, signal).catch(() => undefined)),
    );
    signal.throwIfAborted();
    return answers
      .filter((answer) => answer?.commit != null)
      .reduce(
        (best, answer) => (best && best.files.length >= answer!.files.length ? best : answer),
        undefined,
      );
  }

  #laneOf(nodeId: string): PeerLane {
    const { clock } = this.#parts;
    const slots = new Slots(LIMITS.fileReadsPerPeer);
    const known = this.#lanes.get(nodeId) ?? { slots, size: new PieceSize(), clock };
    this.#lanes.set(nodeId, known);
    if (this.#lanes.size > LIMITS.fileReadsQueuedMax) this.#forgetOthers();
    return known;
  }

  /** Nodes that are gone; those that are there keep their count. */
  #forgetOthers(): void {
    const present = new Set(this.#parts.port.peers());
    for (const nodeId of this.#lanes.keys()) if (!present.has(nodeId)) this.#lanes.delete(nodeId);
  }
}

interface Look {
  readonly atMs: number;
  readonly answers: Promise<ReadonlyMap<string, PeerFile>>;
}

/** One file on its way. */
export class FileSharing {
  readonly #repository: string;
  readonly #file: ModelFile;
  readonly #name: string;
  readonly #parts: SharingComponents;
  readonly #laneOf: (nodeId: string) => PeerLane;
  readonly #failures = new Map<string, { readonly count: number; readonly atMs: number }>();
  /** Nodes that are not asked for this file any more. */
  readonly #failed = new Set<string>();
  /** How much of the file a node had, and when that last became more. */
  readonly #growth = new Map<string, { bytes: number; atMs: number }>();
  #look: Look | undefined;

  constructor(
    repository: string,
    file: ModelFile,
    components: SharingComponents,
    laneOf: (nodeId: string) => PeerLane,
  ) {
    this.#repository = repository;
    this.#file = file;
    this.#name = claimName(repository, file.path, file.hash.hex);
    this.#parts = components;
    this.#laneOf = laneOf;
  }

  /**
   * The next step towards `missing` (normalized, not empty). `hasHub`: whether there is a hub to ask; without one, what nobody has
   * throws `model-absent`.
   */
  async next(missing: readonly ByteRange[], hasHub: boolean, signal: AbortSignal): Promise<ShareStep> {
    const { claims, port, random } = this.#parts;
    const answers = await this.#answers(signal);
    const having = [...answers].flatMap(([nodeId, { present }]) => {
      const range = common(missing, present)[0];
      return range === undefined ? [] : [{ nodeId, range }];
    });
    if (having.length > 0) {
      const { nodeId, range } = having[Math.floor(random.next() * having.length)]!;
      const source = new PeerSource(nodeId, port, this.#laneOf(nodeId));
      return { kind: 'peer', nodeId, source, range };
    }
    const patient = [...answers].filter(([nodeId, file]) => this.#grows(nodeId, file));
    const claimed = normalized(patient.flatMap(([, file]) => file.claimed));
    const free = without(missing, claimed)[0];
    if (free === undefined) return { kind: 'wait', delayMs: LIMITS.peerFilesLookMs };
    if (!hasHub) {
      throw new ExoError(
        'model-absent',
        `no node that this one trusts has all that is needed of ${this.#file.path} of ${this.#repository}, and no hub may be asked (--offline)`,
      );
    }
    const claim = claims.begin(this.#name, free);
    try {
      const isGranted = await this.#askAll(claim, new Set(patient.map(([nodeId]) => nodeId)), signal);
      if (isGranted && claims.hold(claim)) {
        return { kind: 'hub', range: free, done: () => claims.release(claim) };
      }
    } catch (error) {
      claims.release(claim);
      throw error;
    }
    claims.release(claim);
    this.#look = undefined;
    return { kind: 'wait', delayMs: (0.5 + random.next() / 2) * LIMITS.peerFilesLookMs };
  }

  /**
   * A node did not give what it said it has; it is asked again some times. `gaveSome`: bytes came before. The parts of a file that fail
   * at one moment fail for one reason.
   */
  failed(nodeId: string, error: unknown, gaveSome: boolean): void {
    const nowMs = this.#parts.clock.now();
    const before = this.#failures.get(nodeId) ?? { count: 0, atMs: Number.NEGATIVE_INFINITY };
    const counts = !gaveSome && nowMs - before.atMs >= LIMITS.peerFilesLookMs;
    const count = counts ? before.count + 1 : before.count;
    if (counts) this.#failures.set(nodeId, { count, atMs: nowMs });
    const isPassing = error instanceof ExoError && (error.retryable || error.code === 'model-absent');
    if (!isPassing || count >= LIMITS.peerFileFailuresMax) this.#failed.add(nodeId);
    this.#look = undefined;
  }

  /** What a node gives is not to be taken. */
  avoid(nodeId: string): void {
    this.#failed.add(nodeId);
    this.#look = undefined;
  }

  /** While the file gets its name nobody else fetches what is not to be seen for a moment. Call what it returns afterwards. */
  keep(): () => void {
    const { claims } = this.#parts;
    const claim = claims.begin(this.#name, [0, Math.max(1, this.#file.size)]);
    claims.hold(claim);
    return () => claims.release(claim);
  }

  /** What the others have; asked again when it is older than a moment. */
  #answers(signal: AbortSignal): Promise<ReadonlyMap<string, PeerFile>> {
    const { clock } = this.#parts;
    const nowMs = clock.now();
    if (this.#look === undefined || nowMs - this.#look.atMs >= LIMITS.peerFilesLookMs) {
      this.#look = { atMs: nowMs, answers: this.#ask(signal) };
      // The parts of the file that wait for it have signals of their own.
      this.#look.answers.catch(() => {
        this.#look = undefined;
      });
    }
    return this.#look.answers;
  }

  async #ask(signal: AbortSignal): Promise<ReadonlyMap<string, PeerFile>> {
    const { port } = this.#parts;
    const { path, hash } = this.#file;
    const found = new Map<string, PeerFile>();
    await Promise.all(
      this.#others().map(async (nodeId) => {
        try {
          const { files } = await port.ask(nodeId, { repository: this.#repository, path }, signal);
          const file = files.find((each) => each.path === path && each.hash.hex === hash.hex);
          if (file !== undefined) found.set(nodeId, clean(file, this.#file.size));
        } catch (error) {
          // Old, or it does not trust this one: not asked again for this file.
          if (!signal.aborted && !(error instanceof ExoError && error.retryable)) this.#failed.add(nodeId);
        }
      }),
    );
    signal.throwIfAborted();
    return found;
  }

  /** False where one that still gets on refuses, or has some of it by now. Who does not answer does not count. */
  async #askAll(claim: Claim, growing: ReadonlySet<string>, signal: AbortSignal): Promise<boolean> {
    const { port } = this.#parts;
    const { path, hash } = this.#file;
    const question = {
      repository: this.#repository,
      path,
      claim: { hash: hash.hex, range: claim.range },
    };
    const answers = await Promise.all(
      this.#others().map(async (nodeId) => {
        const answer = await port.ask(nodeId, question, signal).catch(() => undefined);
        if (answer === undefined) return true;
        // It may have come and gone there since the last look: then the bytes are there.
        const there = answer.files.find((file) => file.path === path && file.hash.hex === hash.hex);
        if (there !== undefined && common([claim.range], normalized(there.present)).length > 0) return false;
        return answer.granted || (this.#growth.has(nodeId) && !growing.has(nodeId));
      }),
    );
    signal.throwIfAborted();
    return answers.every((isFine) => isFine);
  }

  /** Whether a node that fetches the file gets on with it. */
  #grows(nodeId: string, { present, claimed }: PeerFile): boolean {
    const nowMs = this.#parts.clock.now();
    const bytes = sum(present);
    const before = this.#growth.get(nodeId);
    if (before === undefined || before.bytes !== bytes || claimed.length === 0) {
      this.#growth.set(nodeId, { bytes, atMs: nowMs });
      return true;
    }
    return nowMs - before.atMs < LIMITS.peerFilesPatienceMs;
  }

  #others(): string[] {
    return this.#parts.port.peers().filter((nodeId) => !this.#failed.has(nodeId));
  }
}

/** What another node says of ranges is a claim: in order, and inside the file. */
function clean(file: PeerFile, size: number): PeerFile {
  const inside = (ranges: readonly ByteRange[]) => common(normalized(ranges), [[0, size]]);
  return { ...file, present: inside(file.present), claimed: inside(file.claimed) };
}
