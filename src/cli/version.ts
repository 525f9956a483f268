/** The version of this program, read from its package. */
import { readFileSync } from 'node:fs';

let known: string | undefined;

/** As in package.json; the file is two folders up both from the sources and from the built program. */
export function version(): string {
  known ??= (
    JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string }
  ).version;
  return known;
}
