/** `mesh-key`: both ends have the secret of the mesh. Fields: `key` (id, 8 hex digits) and `mac`. The secret never travels. */
import { LIMITS } from '../../shared/index.js';
import type { HandshakeFacts, Proof } from '../handshake.js';
import { isMacOf, macOf, SECRET_BYTES } from '../mesh-key.js';
import type { MeshKeys } from '../mesh-keys.js';
import { bytesOf, type Finding, type Meeting, type Method } from './method.js';

export class MeshKeyMethod implements Method {
  readonly name = 'mesh-key';
  readonly #keys: MeshKeys;
  /** Stands in for keys that are not here, so that they take as long; what it says is not asked. */
  readonly #nobodys = { proofKey: Buffer.alloc(SECRET_BYTES) };
  /** Which keys a connection has proven. */
  readonly #proven = new WeakMap<HandshakeFacts, Set<string>>();

  constructor(keys: MeshKeys) {
    this.#keys = keys;
  }

  get hasMeans(): boolean {
    return this.#keys.current !== undefined;
  }

  /** With every key that is accepted: the other end may have an older or a newer one. */
  prove(meeting: Meeting): readonly Proof[] {
    const statement = meeting.ownStatement(this.name);
    return this.#keys.valid.slice(0, LIMITS.meshKeyProofsMax).map((key) => ({
      method: this.name,
      key: key.id,
      mac: macOf(key, statement).toString('base64url'),
    }));
  }

  judge(meeting: Meeting, proof: Proof): Finding {
    const id = proof['key'] ?? '';
    const key = this.#keys.all.find((each) => each.id === id);
    const isRight = isMacOf(key ?? this.#nobodys, meeting.otherStatement(this.name), bytesOf(proof, 'mac'));
    const shown = /^[0-9a-f]{8}$/.test(id) ? id : 'without an id';
    if (key === undefined) return { good: false, why: `the mesh key ${shown} is not known here` };
    if (!isRight) return { good: false, why: `the proof of the mesh key ${id} is wrong` };
    const proven = this.#proven.get(meeting.facts) ?? new Set();
    if (!this.#keys.isValid(key) && !(proven.has(id) && this.#keys.hasEndedAsAnnounced(key))) {
      return { good: false, why: `the mesh key ${id} is not valid any more` };
    }
    this.#proven.set(meeting.facts, proven.add(id));
    return { good: true, why: `mesh key ${id}`, id };
  }
}
