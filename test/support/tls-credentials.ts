/** Certificates for tests of encryption: made as a node makes its own, of a new key each time. */
import { generateKeyPairSync } from 'node:crypto';
import type { TlsCredentials } from '../../src/protocol/index.js';
import { createCredentials } from '../../src/trust/certificate.js';

/** A node's certificate and key. */
export async function tlsCredentials(): Promise<TlsCredentials> {
  return createCredentials({ privateKey: generateKeyPairSync('ed25519').privateKey });
}
