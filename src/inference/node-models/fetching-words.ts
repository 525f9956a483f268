/** How far a download is, in words for errors and for who waits. Pure. */
import type { DownloadProgress } from '../../models/index.js';

/** `its configuration and tokenizer are being fetched: 3.4 of 10.2 MB, 54 s left`. */
export function fetchingWords(progress: DownloadProgress): string {
  const { isSmall, files, bytesPerSecond } = progress;
  const small = files.filter(({ path }) => !path.endsWith('.safetensors'));
  const [done, total] = isSmall
    ? [sum(small.map((file) => file.downloadedBytes)), sum(small.map((file) => file.totalBytes))]
    : [progress.downloadedBytes, progress.totalBytes];
  const seconds = bytesPerSecond > 0 ? `, ${Math.ceil((total - done) / bytesPerSecond)} s left` : '';
  const what = isSmall ? 'its configuration and tokenizer' : 'its weights';
  return `${what} are being fetched: ${megabytes(done)} of ${megabytes(total)} MB${seconds}`;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0);
}

function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(1);
}
