/**
 * Opens what makes a node somebody: its key, the mesh keys and its trust store, the authenticator over them, and a transport that
 * encrypts. The command line calls it before `createNode`, and hands keys and store to the API as well. Nothing listens yet.
 */
import { createTcpTransport, createTlsTransport, type Transport } from '../protocol/index.js';
import type { Clock, Logger, Random, Startable } from '../shared/index.js';
import {
  AuthorizedKeys,
  createAuthenticator,
  createCredentials,
  loadNodeKey,
  type MeshKeys,
  openMeshKeys,
  TrustStore,
} from '../trust/index.js';
import type { NodeTrust } from './admission.js';
import type { NodeSettings } from './config/index.js';
import { meshKeysFile, nodeFolder, trustFile } from './home/index.js';
import { parseHostList } from './host-list.js';

/** A node's trust, open. */
export interface OpenedTrust {
  /** For `createNode`. */
  readonly trust: NodeTrust;
  /** For `createNode`: TCP that dials and accepts encrypted too. */
  readonly transport: Transport;
  readonly keys: MeshKeys;
  readonly store: TrustStore;
  /** `SHA256:…` of the node key. */
  readonly fingerprint: string;
  /** The keys that `--ssh-authorized-keys` names. */
  readonly authorizedKeys?: AuthorizedKeys;
  /** Id of the mesh key that the environment or a token file gave to this process. */
  readonly givenKeyId?: string;
  /** To be started before the node and stopped after it. */
  readonly parts: readonly Startable[];
  /** What the user should hear: the folder is a copy. */
  readonly warning?: string;
}

/**
 * Opens the files of a node. Throws `trust-file-invalid`, `option-invalid` (a token that is none) or `state-unwritable`; no message
 * shows a secret.
 */
export async function openNodeTrust(
  settings: NodeSettings['trust'],
  place: { readonly home: string; readonly nodeId: string },
  components: { readonly clock: Clock; readonly random: Random; readonly logger: Logger },
): Promise<OpenedTrust> {
  const { home, nodeId } = place;
  const { clock, random, logger: log } = components;
  const { token, sshAuthorizedKeys, sshIdentity, sshAgentSocket } = settings;
  // Its folder is made, for the owner alone, before the store writes into it.
  const { nodeKey, copyWarning } = loadNodeKey(nodeFolder(home, nodeId), { random });
  const shared = { clock, random, log };
  const keys = await openMeshKeys(
    {
      file: meshKeysFile(home),
      tokenFile: token !== undefined && 'file' in token ? token.file : undefined,
      environmentToken: token !== undefined && 'text' in token ? token.text : undefined,
    },
    shared,
  );
  const store = new TrustStore(trustFile(home, nodeId), shared);
  const authorizedKeys = sshAuthorizedKeys === undefined ? undefined : new AuthorizedKeys(sshAuthorizedKeys);
  // The public keys of an agent are shown to nobody unless the operator said so.
  const signers =
    sshIdentity === undefined
      ? undefined
      : { agentSocket: sshAgentSocket, keyFiles: sshIdentity === 'agent' ? [] : [sshIdentity] };
  const authenticator = createAuthenticator(
    { ssh: { signers, authorizedKeys } },
    { keys, store, clock, log },
  );
  const credentials = await createCredentials(nodeKey);
  return {
    trust: {
      authenticator,
      publicKey: nodeKey.publicKey,
      allowLegacy: parseHostList(settings.allowLegacy, '--allow-legacy'),
    },
    transport: createTlsTransport(createTcpTransport({ clock }), { clock, credentials }),
    keys,
    store,
    fingerprint: nodeKey.fingerprint,
    ...(authorizedKeys === undefined ? {} : { authorizedKeys }),
    ...(token === undefined || keys.current === undefined ? {} : { givenKeyId: keys.current.id }),
    parts: [keys, store],
    ...(copyWarning === undefined ? {} : { warning: copyWarning }),
  };
}
