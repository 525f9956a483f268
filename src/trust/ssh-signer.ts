/**
 * Signs with the ssh keys of this account: by the agent, or by key files without a passphrase. Which keys: those that were named, or
 * all of the agent. Never a password, never a passphrase: what needs one goes into the agent.
 */
import { createPrivateKey, sign } from 'node:crypto';
import { type Clock, ExoError, LIMITS, type Logger } from '../shared/index.js';
import { readPrivateFile } from './private-file.js';
import { agentKeys, agentSign } from './ssh-agent.js';
import { loadSsh2 } from './ssh-load.js';
import {
  packSignature,
  parseSshPublicKey,
  type SshPublicKey,
  sshPublicKeyOf,
  toMpint,
} from './ssh-public-key.js';
import { prefixed } from './transcript.js';

/** Where keys come from. */
export interface SshSignerOptions {
  /** `SSH_AUTH_SOCK`; undefined: no agent. */
  readonly agentSocket?: string | undefined;
  /** Private keys, or `.pub` files of keys that the agent has. Empty: all keys of the agent. */
  readonly keyFiles?: readonly string[];
}

/** One key that can sign. */
export interface SshSigner {
  readonly publicKey: SshPublicKey;
  /** `type base64`, as in authorized_keys. */
  readonly line: string;
  /** The signature with its format in front. Throws `ssh-key-unusable`. */
  sign(data: Buffer): Promise<Buffer>;
}

/** The keys that can sign now, at most `sshSignKeysMax`. Never rejects: what cannot be used is logged. */
export async function findSshSigners(
  options: SshSignerOptions,
  components: { readonly clock: Clock; readonly log: Logger },
): Promise<readonly SshSigner[]> {
  const { agentSocket, keyFiles = [] } = options;
  const { clock, log } = components;
  const signers: SshSigner[] = [];
  const attempt = async (key: string, find: () => SshSigner | Promise<SshSigner>): Promise<void> => {
    if (signers.length >= LIMITS.sshSignKeysMax) return;
    try {
      signers.push(await find());
    } catch (error) {
      log.warn('ssh-key-not-used', { key, error });
    }
  };
  for (const file of keyFiles) await attempt(file, () => signerOfFile(file, agentSocket, clock));
  if (keyFiles.length === 0 && agentSocket !== undefined) {
    try {
      for (const blob of await agentKeys(agentSocket, clock)) {
        await attempt('of the agent', () => agentSigner(sshPublicKeyOf(blob), agentSocket, clock));
      }
    } catch (error) {
      log.warn('ssh-agent-not-used', { error });
    }
  }
  return signers;
}

async function signerOfFile(file: string, agentSocket: string | undefined, clock: Clock): Promise<SshSigner> {
  const isPublic = file.endsWith('.pub');
  const text = readPrivateOrPublic(file, isPublic);
  if (isPublic) {
    if (agentSocket === undefined)
      throw unusable(file, 'is a public key, and there is no agent that has the private one');
    return agentSigner(parseSshPublicKey(text), agentSocket, clock);
  }
  const { utils } = await loadSsh2();
  const parsed: unknown = utils.parseKey(text);
  const key = (Array.isArray(parsed) ? parsed[0] : parsed) as
    | { getPrivatePEM(): string | null; getPublicSSH(): Buffer }
    | Error;
  if (key instanceof Error || key.getPrivatePEM() === null) {
    const advice = `if it has a passphrase, run: ssh-add ${file}, and name ${file}.pub`;
    throw unusable(file, `holds no private key that can be used as it is; ${advice}`);
  }
  const publicKey = sshPublicKeyOf(key.getPublicSSH());
  const privateKey = createPrivateKey(key.getPrivatePEM()!);
  return {
    ...describe(publicKey),
    sign: (data) => {
      const raw = sign(hashOf(publicKey), data, { key: privateKey, dsaEncoding: 'ieee-p1363' });
      return Promise.resolve(pack(publicKey, publicKey.type.startsWith('ecdsa-') ? pointFields(raw) : raw));
    },
  };
}

function agentSigner(publicKey: SshPublicKey, agentSocket: string, clock: Clock): SshSigner {
  return {
    ...describe(publicKey),
    sign: async (data) => pack(publicKey, await agentSign(agentSocket, publicKey.blob, data, clock)),
  };
}

function describe(publicKey: SshPublicKey): Pick<SshSigner, 'publicKey' | 'line'> {
  return { publicKey, line: `${publicKey.type} ${publicKey.blob.toString('base64')}` };
}

function pack(publicKey: SshPublicKey, signature: Buffer): Buffer {
  return packSignature(publicKey.type === 'ssh-rsa' ? 'rsa-sha2-512' : publicKey.type, signature);
}

/** What Node calls the hash; null: the key has its own. */
function hashOf({ type }: SshPublicKey): string | null {
  if (type === 'ssh-ed25519') return null;
  if (type === 'ssh-rsa') return 'sha512';
  return { nistp256: 'sha256', nistp384: 'sha384' }[type.slice('ecdsa-sha2-'.length)] ?? 'sha512';
}

/** r and s as ssh writes them, from the two halves that Node gives. */
function pointFields(raw: Buffer): Buffer {
  const half = raw.length / 2;
  return prefixed([toMpint(raw.subarray(0, half)), toMpint(raw.subarray(half))]);
}

function readPrivateOrPublic(file: string, isPublic: boolean): string {
  const text = readPrivateFile(file, { bytesMax: LIMITS.sshKeyFileBytesMax, isPublic });
  if (text === undefined) throw unusable(file, 'is not there');
  return text;
}

function unusable(file: string, fault: string): ExoError {
  return new ExoError('ssh-key-unusable', `${file} ${fault}`);
}
