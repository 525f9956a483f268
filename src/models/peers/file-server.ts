/**
 * Answers other nodes about the files of models: of those that this node fetched itself, and of these only files that the hub
 * listed, as the record in the model's folder says. What a peer names is looked up there and never becomes a path. Who may ask
 * is the caller's matter (`node`: trusted peers).
 */
import { constants } from 'node:fs';
import { lstat, open } from 'node:fs/promises';
import path from 'node:path';
import { ExoError, LIMITS, printable } from '../../shared/index.js';
import { folderName, isRepository } from '../catalogue/catalogue.js';
import { PARTIAL_SUFFIX, recordedRanges } from '../download/partial.js';
import { isFetched } from '../download/plan.js';
import { type ByteRange, covers } from '../download/ranges.js';
import { Slots } from '../download/slots.js';
import type { ModelFile } from '../hub/answer.js';
import type { ModelPlace } from '../store/places.js';
import { type RecordData, type RecordedFile, readRecord } from '../store/record.js';
import { type Claims, claimName } from './claims.js';
import type { BytesQuestion, FilesAnswer, FilesQuestion, PeerFile } from './peer-files.js';

/** What the server looks at. */
export interface FileServerComponents {
  readonly selfId: string;
  readonly places: readonly ModelPlace[];
  readonly claims: Claims;
}

interface Shared {
  readonly directory: string;
  readonly record: RecordData;
}

/** What of a file is there, and under which name. */
interface OnDisk {
  readonly file: string;
  readonly present: readonly ByteRange[];
}

const NOTHING: FilesAnswer = { commit: null, revision: '', files: [], granted: true };

/** Serves the models of one node. */
export class FileServer {
  readonly #parts: FileServerComponents;
  readonly #all = new Slots(LIMITS.fileReadsMax);
  readonly #byPeer = new Map<string, { readonly slots: Slots; users: number }>();
  #queued = 0;

  constructor(components: FileServerComponents) {
    this.#parts = components;
  }

  /** What is there of a model, and whether the peer may fetch what it claims. */
  async list(nodeId: string, question: FilesQuestion): Promise<FilesAnswer> {
    const { claims } = this.#parts;
    for (let look = 0; ; look += 1) {
      const before = claims.changes;
      const answer = await this.#list(nodeId, question);
      // What was fetched while the disk was looked at is neither claimed any more nor seen.
      if (question.path === undefined || claims.changes === before) return answer;
      if (look >= LIMITS.fileLooksMax) return { ...answer, granted: false };
    }
  }

  async #list(nodeId: string, question: FilesQuestion): Promise<FilesAnswer> {
    const { selfId, claims } = this.#parts;
    const { repository, path: name, claim } = question;
    // Before anything is awaited, so that two that ask at once get answers that fit together.
    const granted =
      name === undefined || claim === undefined || isEmpty(claim.range)
        ? true
        : claims.grant(selfId, nodeId, claimName(repository, name, claim.hash), claim.range);
    const shared = await this.#find(repository);
    if (shared === undefined) return { ...NOTHING, granted };
    const { record, directory } = shared;
    const wanted = [...record.files.values()].filter((file) =>
      name === undefined ? isFetched(file.path) : file.path === name,
    );
    const files: PeerFile[] = [];
    let ranges = 0;
    for (const file of wanted.slice(0, LIMITS.filesListedMax)) {
      const { present } = await look(directory, file);
      const claimed = claims.held(claimName(repository, file.path, file.hash.hex));
      ranges += present.length + claimed.length;
      const fits = ranges <= LIMITS.fileRangesListedMax;
      files.push({
        path: file.path,
        size: file.size,
        hash: file.hash,
        present: fits ? present.slice(0, LIMITS.fileRangesMax) : [],
        claimed: fits ? claimed.slice(0, LIMITS.fileRangesMax) : [],
      });
    }
    return { commit: record.commit, revision: record.revision, files, granted };
  }

  /** The bytes of a range. Throws `model-absent` where they are not there, `option-invalid` for no range, `overloaded`. */
  async read(nodeId: string, question: BytesQuestion, signal: AbortSignal): Promise<Buffer> {
    const { range } = question;
    if (isEmpty(range) || range[1] - range[0] > LIMITS.fileBytesMax) {
      throw new ExoError('option-invalid', `a range has 1 to ${LIMITS.fileBytesMax} bytes`);
    }
    if (this.#queued >= LIMITS.fileReadsQueuedMax) {
      throw new ExoError('overloaded', 'too many nodes read files of models here; ask again later', {
        retryable: true,
      });
    }
    this.#queued += 1;
    const peer = this.#byPeer.get(nodeId) ?? { slots: new Slots(LIMITS.fileReadsPerPeer), users: 0 };
    this.#byPeer.set(nodeId, peer);
    peer.users += 1;
    try {
      return await peer.slots.run(signal, () => this.#all.run(signal, () => this.#read(question)));
    } finally {
      this.#queued -= 1;
      peer.users -= 1;
      if (peer.users === 0) this.#byPeer.delete(nodeId);
    }
  }

  async #read({ repository, path: name, hash, range }: BytesQuestion): Promise<Buffer> {
    const shared = await this.#find(repository);
    const file = shared?.record.files.get(name);
    if (shared === undefined || file === undefined || file.hash.hex !== hash || !isFetched(name)) {
      throw absent(repository, name);
    }
    const found = await look(shared.directory, file);
    if (!covers(found.present, range)) throw absent(repository, name);
    const bytes = Buffer.allocUnsafe(range[1] - range[0]);
    // A link in the folder of a model could lead anywhere. A partial file may just have got its name.
    const flags = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0);
    const handle = await open(found.file, flags)
      .catch(() => open(path.join(shared.directory, file.path), flags))
      .catch(() => undefined);
    if (handle === undefined) throw absent(repository, name);
    try {
      for (let done = 0; done < bytes.length; ) {
        const { bytesRead } = await handle.read(bytes, done, bytes.length - done, range[0] + done);
        if (bytesRead === 0) throw absent(repository, name);
        done += bytesRead;
      }
      return bytes;
    } finally {
      await handle.close();
    }
  }

  /** Folders that this program fetches into; what lies elsewhere is somebody else's. */
  async #find(repository: string): Promise<Shared | undefined> {
    if (!isRepository(repository)) return undefined;
    for (const place of this.#parts.places) {
      if (!place.isWritable) continue;
      const directory = path.join(place.path, folderName(repository));
      const stats = await lstat(directory).catch(() => undefined);
      if (stats?.isDirectory() !== true) continue;
      const record = await readRecord(directory);
      if (record?.repository === repository) return { directory, record };
    }
    return undefined;
  }
}

/** A whole file that was found right, else what the record of its parts says. */
async function look(directory: string, known: RecordedFile): Promise<OnDisk> {
  const file = path.join(directory, known.path);
  const stats = await lstat(file).catch(() => undefined);
  const { verified } = known;
  if (stats?.isFile() === true && verified?.size === stats.size && verified.mtimeMs === stats.mtimeMs) {
    return { file, present: stats.size === 0 ? [] : [[0, stats.size]] };
  }
  const recorded = await recordedRanges(file);
  const isSame = recorded?.head.identity === known.hash.hex && recorded.head.size === known.size;
  return { file: `${file}${PARTIAL_SUFFIX}`, present: isSame ? recorded.ranges : [] };
}

function isEmpty([from, to]: ByteRange): boolean {
  return from >= to;
}

function absent(repository: string, file: ModelFile['path']): ExoError {
  return new ExoError(
    'model-absent',
    `these bytes of ${printable(file, 100)} of ${printable(repository, 100)} are not here`,
  );
}
