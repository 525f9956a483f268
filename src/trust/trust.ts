/**
 * Everything of trust that one node has, put together from its settings: its key, the mesh keys, whom it knows, and the authenticator
 * over them. Made by the composition of the node; the commands open the parts that they need themselves.
 */
import path from 'node:path';
import { type Clock, type Logger, type Random, type Startable, startAll, stopAll } from '../shared/index.js';
import { createAuthenticator } from './authenticator.js';
import type { Credentials } from './certificate.js';
import { type NodeKey, nodeKeyFromSeed, SEED_BYTES } from './ed25519.js';
import type { Authenticator } from './handshake.js';
import { keptCredentials } from './kept-certificate.js';
import { KeyListWatch } from './key-list-watch.js';
import { type MeshKeys, openMeshKeys } from './mesh-keys.js';
import { loadNodeKey } from './node-key.js';
import { AuthorizedKeys } from './ssh-authorized-keys.js';
import { SshChallenges } from './ssh-challenge.js';
import { TrustStore } from './trust-store.js';

/** What decides. */
export interface TrustOptions {
  /** `$EXO_HOME/nodes/<node-id>`; null: key and trust live in memory and end with the process. */
  readonly nodeFolder: string | null;
  /** `$EXO_HOME/mesh-keys.json`; null: in memory. */
  readonly meshKeysFile: string | null;
  /** `--auth-token-file`, else EXO_AUTH_TOKEN. */
  readonly token?: { readonly file: string } | { readonly text: string } | undefined;
  /** Only trusted peers may join, also without a mesh key. @default false */
  readonly requireTrust?: boolean;
  /** authorized_keys: whose ssh key is accepted. Absent: nobody's. */
  readonly sshAuthorizedKeys?: string | undefined;
  /** SSH_AUTH_SOCK: proves by its keys where nothing else does. Absent: not by an agent. */
  readonly sshAgentSocket?: string | undefined;
  /** Private keys, or `.pub` of those of the agent that may sign. Absent: all of the agent. */
  readonly sshKeyFiles?: readonly string[];
}

/** What it works with. */
export interface TrustComponents {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** @default what the system says */
  readonly machineId?: () => string | undefined;
}

/** Trust of one node. Started, it sees what commands change. */
export interface Trust extends Startable {
  readonly nodeKey: NodeKey;
  /** The key was made just now. */
  readonly isNew: boolean;
  /** In words, where the folder seems to come from another machine. */
  readonly copyWarning?: string;
  readonly keys: MeshKeys;
  readonly store: TrustStore;
  readonly authenticator: Authenticator;
  /** Sessions by ssh key for the HTTP API, where authorized_keys was named. */
  readonly sshSessions?: SshChallenges;
  /** Certificate and key for TLS. */
  credentials(): Promise<Credentials>;
}

/** Opens it. Throws `trust-file-invalid`, `option-invalid` or `state-unwritable`. */
export async function openTrust(options: TrustOptions, components: TrustComponents): Promise<Trust> {
  const { nodeFolder, token, sshAuthorizedKeys, sshAgentSocket, sshKeyFiles } = options;
  const { clock, random, log } = components;
  const loaded =
    nodeFolder === null
      ? { nodeKey: nodeKeyFromSeed(random.bytes(SEED_BYTES)), isNew: true }
      : loadNodeKey(nodeFolder, components);
  const keys = await openMeshKeys(
    {
      file: options.meshKeysFile,
      ...(token === undefined
        ? {}
        : 'file' in token
          ? { tokenFile: token.file }
          : { environmentToken: token.text }),
    },
    components,
  );
  const store = new TrustStore(nodeFolder === null ? null : path.join(nodeFolder, 'trust.json'), components);
  const authorizedKeys = sshAuthorizedKeys === undefined ? undefined : new AuthorizedKeys(sshAuthorizedKeys);
  const keyListWatch = authorizedKeys && new KeyListWatch(authorizedKeys, components);
  const hasSigners = sshAgentSocket !== undefined || (sshKeyFiles?.length ?? 0) > 0;
  const authenticator = createAuthenticator(
    {
      requireTrust: options.requireTrust ?? false,
      ssh: {
        authorizedKeys,
        signers: hasSigners ? { agentSocket: sshAgentSocket, keyFiles: sshKeyFiles ?? [] } : undefined,
      },
    },
    { keys, store, keyListWatch, clock, log },
  );
  const parts: Startable[] = [keys, store, ...(keyListWatch === undefined ? [] : [keyListWatch])];
  let credentials: Promise<Credentials> | undefined;
  return {
    ...loaded,
    keys,
    store,
    authenticator,
    ...(authorizedKeys === undefined
      ? {}
      : { sshSessions: new SshChallenges(authorizedKeys, { clock, random }) }),
    credentials: () => {
      credentials ??= keptCredentials(nodeFolder, loaded.nodeKey);
      return credentials;
    },
    start: () => startAll(parts),
    stop: () => stopAll(parts),
  };
}
