/** The token for a hub: from HF_TOKEN or the file in which the hub's own tools keep it. Never from argv, never shown. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { ExoError, LIMITS } from '../../shared/index.js';

/** Where a token may be. */
export interface TokenPlaces {
  readonly env: NodeJS.ProcessEnv;
  /** The user's home folder. */
  readonly userHome: string;
}

/** The token, or undefined where there is none. Throws `option-invalid` for one that cannot stand in a header. */
export function readHubToken({ env, userHome }: TokenPlaces): string | undefined {
  const given = env['HF_TOKEN'] ?? env['HUGGING_FACE_HUB_TOKEN'];
  const token = (given === undefined || given.trim() === '' ? fromFile(env, userHome) : given).trim();
  if (token === '') return undefined;
  if (token.length > LIMITS.hubTokenCharsMax || !/^[\x21-\x7e]+$/.test(token)) {
    throw new ExoError(
      'option-invalid',
      'the token for the hub (HF_TOKEN or $HF_HOME/token) has characters that no token has; write it anew',
    );
  }
  return token;
}

function fromFile(env: NodeJS.ProcessEnv, userHome: string): string {
  const home =
    env['HF_HOME'] || path.join(env['XDG_CACHE_HOME'] || path.join(userHome, '.cache'), 'huggingface');
  try {
    return readFileSync(env['HF_TOKEN_PATH'] || path.join(home, 'token'), 'utf8');
  } catch {
    // Most models need none; a hub that wants one says so.
    return '';
  }
}
