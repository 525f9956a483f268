/** Loads the ssh2 package with its first use: commands that only ask a running node, and nodes without such a tunnel, never pay for it. */
import type * as Ssh2 from 'ssh2';

/** The package as a module object. */
export type Ssh2Module = typeof Ssh2;

let loaded: Promise<Ssh2Module> | undefined;

/** Resolves to the package; loaded once. */
export function loadSsh2(): Promise<Ssh2Module> {
  // A CommonJS package: what it exports is the default of the imported namespace.
  loaded ??= import('ssh2').then((module) => (module as unknown as { default: Ssh2Module }).default);
  return loaded;
}

/**
 * The ciphers that both the driver and the embedded server speak. Terrapin (CVE-2023-48795) cuts messages from the start of a
 * session where a cipher takes its nonce from the packet counter (ChaCha20-Poly1305) or the MAC is over the ciphertext of CBC or
 * CTR; strict key exchange stops it, but ssh2 does not tell its callers whether that was agreed on. AES-GCM counts its own
 * nonces and is not touched either way; OpenSSH has had it since 6.2 (2013).
 */
export const SAFE_CIPHERS = ['aes128-gcm@openssh.com', 'aes256-gcm@openssh.com'] as const;

/** One of them. */
export type SafeCipher = (typeof SAFE_CIPHERS)[number];
