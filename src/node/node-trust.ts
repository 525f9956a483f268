/**
 * What makes a node somebody, from its settings: its key, the mesh keys and whom it knows (`openTrust`), and a transport that
 * encrypts with that key. The command line calls it before `createNode`, and hands keys and store to the API as well.
 */
import { createTcpTransport, createTlsTransport, type Transport } from '../protocol/index.js';
import type { Clock, Logger, Random } from '../shared/index.js';
import { openTrust, type Trust } from '../trust/index.js';
import type { NodeTrust } from './admission.js';
import type { NodeSettings } from './config/index.js';
import { meshKeysFile, nodeFolder } from './home/index.js';
import { parseHostList } from './host-list.js';

/** A node's trust, open; to be started before the node and stopped after it. */
export interface OpenedTrust extends Trust {
  /** For `createNode`. */
  readonly node: NodeTrust;
  /** For `createNode`: TCP that dials and accepts encrypted too. */
  readonly transport: Transport;
  /** Id of the mesh key that the environment or a token file gave to this process. */
  readonly givenKeyId?: string;
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
  const { clock, random, logger } = components;
  const { token, sshIdentity, sshAgentSocket, sshAuthorizedKeys, allowLegacy } = settings;
  const trust = await openTrust(
    {
      nodeFolder: nodeFolder(place.home, place.nodeId),
      meshKeysFile: meshKeysFile(place.home),
      token,
      sshAuthorizedKeys,
      // The public keys of an agent are shown to nobody unless the operator said so.
      ...(sshIdentity === undefined ? {} : { sshAgentSocket }),
      ...(sshIdentity === undefined || sshIdentity === 'agent' ? {} : { sshKeyFiles: [sshIdentity] }),
    },
    { clock, random, log: logger },
  );
  const credentials = await trust.credentials();
  const { keys, authenticator, nodeKey } = trust;
  return {
    ...trust,
    node: {
      authenticator,
      publicKey: nodeKey.publicKey,
      allowLegacy: parseHostList(allowLegacy, '--allow-legacy'),
    },
    transport: createTlsTransport(createTcpTransport({ clock }), { clock, credentials }),
    ...(keys.givenId === undefined ? {} : { givenKeyId: keys.givenId }),
  };
}
