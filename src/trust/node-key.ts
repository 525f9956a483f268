/** The key of a node. */
import type { KeyObject } from 'node:crypto';

/** Who a node is: an Ed25519 key pair that lives as long as the node's folder. */
export interface NodeKey {
  readonly privateKey: KeyObject;
  /** Raw, 32 bytes. */
  readonly publicKey: Buffer;
  /** `SHA256:…`, as ssh prints it. */
  readonly fingerprint: string;
}
