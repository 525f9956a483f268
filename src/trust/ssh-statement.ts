/**
 * What an ssh key signs for this program: the form of `ssh-keygen -Y sign` (PROTOCOL.sshsig of OpenSSH). Its first bytes cannot begin
 * the data of a login, so that a signature made here opens no ssh session, nor the other way round. Pure.
 */
import { createHash } from 'node:crypto';
import { prefixed } from './transcript.js';

/** Tells our signatures from those of mails and commits. */
export const SSH_NAMESPACE = 'exo-mesh';
const MAGIC = Buffer.from('SSHSIG');
const HASH = 'sha512';

/** The bytes that are signed for `message`. */
export function sshSignedData(message: Buffer): Buffer {
  const digest = createHash(HASH).update(message).digest();
  return Buffer.concat([
    MAGIC,
    prefixed([Buffer.from(SSH_NAMESPACE), Buffer.alloc(0), Buffer.from(HASH), digest]),
  ]);
}
