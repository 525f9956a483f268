/**
 * The certificate of a node, kept beside its key: it depends on the key alone, and to make it loads packages that cost a tenth of
 * a second. A file that does not fit the key, or cannot be read or written, is as good as none. Called by `trust.ts`.
 */
import { X509Certificate } from 'node:crypto';
import path from 'node:path';
import { LIMITS } from '../shared/index.js';
import { type Credentials, createCredentials } from './certificate.js';
import type { NodeKey } from './ed25519.js';
import { readPrivateFile, writePrivateFile } from './private-file.js';

const CERTIFICATE_FILE = 'certificate.pem';

/** @param folder of the node; null: nothing is kept */
export async function keptCredentials(folder: string | null, nodeKey: NodeKey): Promise<Credentials> {
  if (folder === null) return createCredentials(nodeKey);
  const file = path.join(folder, CERTIFICATE_FILE);
  const certificatePem = readFitting(file, nodeKey);
  if (certificatePem !== undefined) {
    const privateKeyPem = nodeKey.privateKey.export({ format: 'pem', type: 'pkcs8' }) as string;
    return { certificatePem, privateKeyPem };
  }
  const made = await createCredentials(nodeKey);
  try {
    writePrivateFile(file, made.certificatePem);
  } catch {
    // The next start makes it again.
  }
  return made;
}

function readFitting(file: string, { privateKey }: NodeKey): string | undefined {
  try {
    const text = readPrivateFile(file, { bytesMax: LIMITS.nodeKeyFileBytesMax });
    if (text === undefined) return undefined;
    const certificate = new X509Certificate(text);
    // Signed by itself, and for this key: nothing else is looked at by the other end.
    const isFitting = certificate.checkPrivateKey(privateKey) && certificate.verify(certificate.publicKey);
    return isFitting ? text : undefined;
  } catch {
    return undefined;
  }
}
