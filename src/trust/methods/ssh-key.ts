/**
 * `ssh-key`: a person's ssh key that the operator of this node listed. Fields: `key` (`type base64`, as in authorized_keys) and
 * `signature` (with its format in front). Signed in the form of `ssh-keygen -Y sign`, so that it is of no use for a login.
 */
import type { Clock, Logger } from '../../shared/index.js';
import type { Proof } from '../handshake.js';
import type { AuthorizedKeys } from '../ssh-authorized-keys.js';
import { isSshSignature, parseSshPublicKey, unpackSignature } from '../ssh-public-key.js';
import { findSshSigners, type SshSignerOptions } from '../ssh-signer.js';
import { sshSignedData } from '../ssh-statement.js';
import { bytesOf, type Finding, type Meeting, type Method } from './method.js';

/** What it works with. Undefined: this end does not prove, or does not judge, by ssh keys. */
export interface SshKeyMethodOptions {
  readonly signers: SshSignerOptions | undefined;
  readonly authorizedKeys: AuthorizedKeys | undefined;
}

export class SshKeyMethod implements Method {
  readonly name = 'ssh-key';
  readonly #options: SshKeyMethodOptions;
  readonly #components: { readonly clock: Clock; readonly log: Logger };

  constructor(options: SshKeyMethodOptions, components: { readonly clock: Clock; readonly log: Logger }) {
    this.#options = options;
    this.#components = components;
  }

  get hasMeans(): boolean {
    return this.#options.signers !== undefined || this.#options.authorizedKeys !== undefined;
  }

  async prove(meeting: Meeting): Promise<readonly Proof[]> {
    if (this.#options.signers === undefined) return [];
    const data = sshSignedData(meeting.ownStatement(this.name));
    const proofs: Proof[] = [];
    for (const signer of await findSshSigners(this.#options.signers, this.#components)) {
      try {
        const signature = await signer.sign(data);
        proofs.push({ method: this.name, key: signer.line, signature: signature.toString('base64url') });
      } catch (error) {
        this.#components.log.warn('ssh-key-not-used', { key: signer.publicKey.fingerprint, error });
      }
    }
    return proofs;
  }

  judge(meeting: Meeting, proof: Proof): Finding {
    const { authorizedKeys } = this.#options;
    if (authorizedKeys === undefined) return { good: false, why: 'no ssh keys are accepted here' };
    const key = parseSshPublicKey(proof['key'] ?? '');
    const packed = unpackSignature(bytesOf(proof, 'signature'));
    const data = sshSignedData(meeting.otherStatement(this.name));
    // Both are looked at whatever the other says: a stranger does not learn which keys are listed.
    const isRight = packed !== undefined && isSshSignature(key, data, packed.signature, packed.format);
    const listed = authorizedKeys.find(key, this.#components.clock.wall());
    if (!isRight) return { good: false, why: `the signature by the ssh key ${key.fingerprint} is wrong` };
    if (!listed.allowed) return { good: false, why: listed.why };
    return { good: true, why: `ssh key ${key.fingerprint}` };
  }
}
