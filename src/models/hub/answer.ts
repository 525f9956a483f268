/** The JSON of a hub's answers, checked: files of a revision, revisions, found models. Pure. */
import { LIMITS } from '../../shared/index.js';
import { isFilePath, isRepository } from '../catalogue/catalogue.js';

/** How the hub names the bytes of a file: LFS files by SHA-256, small ones by git's hash of the blob. */
export interface FileHash {
  readonly kind: 'sha256' | 'git-sha1';
  /** Lower case. */
  readonly hex: string;
}

/** A file of a revision. */
export interface ModelFile {
  /** Below the root of the repository, with `/`. */
  readonly path: string;
  readonly size: number;
  readonly hash: FileHash;
}

/** A model that a search found. */
export interface FoundModel {
  readonly repository: string;
  readonly downloads: number;
  readonly likes: number;
  readonly gated: boolean;
}

const COMMIT = /^[0-9a-f]{40,64}$/;

/** The commit that a revision means now; undefined where the answer has none. */
export function readCommit(value: unknown): string | undefined {
  const sha = fieldsOf(value)['sha'];
  return typeof sha === 'string' && COMMIT.test(sha) ? sha : undefined;
}

/** Files of one page of a tree; undefined where it is no tree. Folders, and what has no usable name, are left out. */
export function readTree(value: unknown): ModelFile[] | undefined {
  if (!Array.isArray(value)) return undefined;
  const files: ModelFile[] = [];
  for (const entry of value) {
    const { type, path, size, oid, lfs } = fieldsOf(entry);
    if (type !== 'file' || typeof path !== 'string' || !isFilePath(path)) continue;
    const large = fieldsOf(lfs);
    const hash = hashOf(large['oid'], 'sha256', 64) ?? hashOf(oid, 'git-sha1', 40);
    const bytes = large['size'] ?? size;
    if (hash === undefined || !isSize(bytes)) return undefined;
    files.push({ path, size: bytes, hash });
  }
  return files;
}

/** Models that a search found; undefined where it is no such answer. */
export function readFound(value: unknown): FoundModel[] | undefined {
  if (!Array.isArray(value)) return undefined;
  return value.flatMap((entry) => {
    const { id, downloads, likes, gated } = fieldsOf(entry);
    if (typeof id !== 'string' || !isRepository(id)) return [];
    return [
      {
        repository: id,
        downloads: isSize(downloads) ? downloads : 0,
        likes: isSize(likes) ? likes : 0,
        gated: gated !== undefined && gated !== false,
      },
    ];
  });
}

/** The next page that a Link header names. */
export function nextPage(link: string | null): string | undefined {
  return /<([^>]{1,4096})>\s*;\s*rel="?next"?/.exec(link ?? '')?.[1];
}

/** Start and full length that a Content-Range header tells. */
export function readContentRange(text: string | null): { from: number; size: number } | undefined {
  const match = /^bytes (\d{1,15})-\d{1,15}\/(\d{1,15})$/.exec(text ?? '');
  return match === null ? undefined : { from: Number(match[1]), size: Number(match[2]) };
}

function hashOf(value: unknown, kind: FileHash['kind'], chars: number): FileHash | undefined {
  const hex = typeof value === 'string' ? value.toLowerCase().replace(/^sha256:/, '') : '';
  return hex.length === chars && /^[0-9a-f]+$/.test(hex) ? { kind, hex } : undefined;
}

function isSize(value: unknown): value is number {
  return (
    Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) <= LIMITS.modelFileBytesMax
  );
}

function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}
