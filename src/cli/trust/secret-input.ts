/** Reads a secret: from a file, from standard input, or from the person at the terminal without an echo. Never from argv. */
import { readFileSync } from 'node:fs';
import { ExoError, LIMITS, printable } from '../../shared/index.js';
import { HintedError } from '../errors.js';
import type { CliHost } from '../host.js';

/** The text without the white space around it. Throws `option-invalid` or `option-missing`; no message shows the text. */
export async function readSecret(
  host: CliHost,
  what: string,
  options: { readonly file?: string; readonly hint: string },
): Promise<string> {
  const text =
    options.file === undefined
      ? ((await host.askSecret(`${what} (not shown while you paste it): `)) ?? (await host.readInput()))
      : readText(options.file);
  const secret = text.trim();
  if (secret === '')
    throw new HintedError('option-missing', `${what} is needed, and nothing came`, options.hint);
  if (secret.length > LIMITS.secretCharsMax) {
    throw new ExoError('option-invalid', `${what} has ${secret.length} characters; that is something else`);
  }
  return secret;
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new ExoError(
      'option-invalid',
      `--file ${printable(file, 200)} cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown'})`,
    );
  }
}
