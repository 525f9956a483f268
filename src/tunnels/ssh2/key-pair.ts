/** Makes an ed25519 key pair without ssh-keygen: host keys of the embedded server, client keys of the demo and of tests. */
import { ExoError } from '../../shared/index.js';
import { loadSsh2 } from './load.js';

/** Both halves as text, each as OpenSSH writes it to a file. */
export interface KeyPair {
  /** `-----BEGIN OPENSSH PRIVATE KEY-----…`; a secret: write it with mode 0600. */
  readonly privateKey: string;
  /** `ssh-ed25519 AAAA… comment`, without a line end. */
  readonly publicKey: string;
}

/** One key of two hundred that ssh2 1.17 writes cannot be read again, by nobody: so many in a row are another fault. */
const TRIES = 16;

/** A new pair from the system's source of randomness. The comment must be one line. */
export async function generateKeyPair(comment = 'exo'): Promise<KeyPair> {
  const { utils } = await loadSsh2();
  for (let left = TRIES; left > 0; left--) {
    const pair = utils.generateKeyPairSync('ed25519', { comment });
    if (utils.parseKey(pair.private) instanceof Error) continue;
    return { privateKey: pair.private, publicKey: pair.public.trim() };
  }
  throw new ExoError('internal', `none of ${TRIES} new ssh keys could be read again`);
}
