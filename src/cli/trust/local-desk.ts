/**
 * Keys and trust in the files, where no node runs. What is changed so is read by the next start; a node that runs would see it too,
 * but is asked itself (`remote-desk.ts`), because it may use a key that only its own environment has.
 */
import {
  invitationJson,
  joinedJson,
  keyJson,
  shownKeyJson,
  type TrustControl,
  trustedJson,
} from '../../api/index.js';
import { exoHome, meshKeysFile, nodeFolder, restingIdentity, trustFile } from '../../node/home/index.js';
import { ExoError, silentLogger } from '../../shared/index.js';
import { loadNodeKey, openMeshKeys, TrustStore } from '../../trust/index.js';
import type { CliHost } from '../host.js';
import type {
  InvitationJson,
  JoinedJson,
  KeyJson,
  ShownKeyJson,
  TrustDesk,
  TrustedJson,
  TrustListJson,
} from './shapes.js';
import { StoredTrust } from './trust-control.js';

/** The desk of this account's files. Throws `trust-file-invalid`, `option-invalid`, `option-conflict` or `state-unwritable`. */
export async function openLocalDesk(host: CliHost, nodeId: string | undefined): Promise<TrustDesk> {
  const { clock, random } = host;
  const home = exoHome(host.env);
  const id = restingIdentity({ home, nodeId: nodeId ?? null }, { random });
  const components = { clock, random, log: silentLogger };
  const keys = await openMeshKeys(
    { file: meshKeysFile(home), environmentToken: host.env['EXO_AUTH_TOKEN'] },
    components,
  );
  // Its folder is made, for the owner alone, before the store writes into it.
  const { nodeKey } = loadNodeKey(nodeFolder(home, id), { random });
  const store = new TrustStore(trustFile(home, id), components);
  return new LocalDesk(
    new StoredTrust({
      clock,
      keys,
      store,
      ...(keys.givenId === undefined ? {} : { givenKeyId: keys.givenId }),
      self: { id, fingerprint: nodeKey.fingerprint },
      address: () => {
        throw new ExoError(
          'option-missing',
          'no node runs here that could be asked for its address; start it, or name the address: exo key invite --address host:port',
        );
      },
    }),
  );
}

class LocalDesk implements TrustDesk {
  readonly running = undefined;
  readonly #control: TrustControl;

  constructor(control: TrustControl) {
    this.#control = control;
  }

  async keys(): Promise<readonly KeyJson[]> {
    return this.#control.keys().map(keyJson);
  }

  async showKeys(): Promise<readonly ShownKeyJson[]> {
    return this.#control.showKeys().map(shownKeyJson);
  }

  async newKey(): Promise<KeyJson> {
    return keyJson(await this.#control.newKey());
  }

  async joinKey(key: string, replace: boolean): Promise<KeyJson> {
    return keyJson(await this.#control.joinKey(key, { replace }));
  }

  async rotateKey(graceMs: number | undefined): Promise<KeyJson> {
    return keyJson(await this.#control.rotateKey(graceMs));
  }

  forgetKey(id: string): Promise<void> {
    return this.#control.forgetKey(id);
  }

  async invite(address: string | undefined): Promise<InvitationJson> {
    return invitationJson(await this.#control.invite(address));
  }

  async join(invitation: string): Promise<JoinedJson> {
    return joinedJson(await this.#control.join(invitation));
  }

  async list(): Promise<TrustListJson> {
    return { self: this.#control.self(), trusted: this.#control.trusted().map(trustedJson) };
  }

  async trust(id: string, fingerprint: string): Promise<TrustedJson> {
    return trustedJson(await this.#control.trust(id, fingerprint));
  }

  async distrust(id: string, how?: 'connect'): Promise<TrustedJson> {
    return trustedJson(await this.#control.distrust(id, how));
  }
}
