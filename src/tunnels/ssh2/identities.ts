/**
 * Which keys are offered to a server, and in which order: for every key file the agent's copy where it has one, else the file;
 * then the rest of the agent, unless IdentitiesOnly. Passphrases are never asked for: a locked key works through the agent.
 */
import type { AgentAuthMethod, ParsedKey, PublicKeyAuthMethod } from 'ssh2';
import type { Clock } from '../../shared/index.js';
import { type Agent, openAgent } from './agent.js';
import type { HopSettings } from './hop-settings.js';
import { type KeyFile, readKeyFile } from './key-file.js';
import type { Ssh2Module } from './load.js';

/** One thing to try. */
export type AuthAttempt = PublicKeyAuthMethod | AgentAuthMethod;

/** The keys of one login. */
export interface Identities {
  readonly attempts: readonly AuthAttempt[];
  /** Files that cannot be used, each with why: the reason where no other key is accepted. */
  readonly leftOut: readonly string[];
  /** The agent in use, to be closed with the session. */
  readonly agent: Agent | undefined;
}

/** Never rejects: what cannot be used only matters when nothing else is accepted. */
export async function gatherIdentities(
  ssh2: Ssh2Module,
  settings: HopSettings,
  clock: Clock,
): Promise<Identities> {
  const agent = settings.agent === undefined ? undefined : await openAgent(ssh2, settings.agent, clock);
  const { user: username } = settings;
  const attempts: AuthAttempt[] = [];
  const leftOut: string[] = [];
  const taken: Buffer[] = [];

  const add = (file: KeyFile): string | undefined => {
    if (file.kind === 'missing') return 'there is no such file';
    if (file.kind === 'unusable') return file.why;
    if (taken.some((key) => key.equals(file.publicKey))) return undefined;
    const inAgent = agent?.keys.find((key) => key.getPublicSSH().equals(file.publicKey));
    if (inAgent === undefined && file.kind === 'agent-only') {
      return `${file.why}, and no agent holds it; ssh-add it`;
    }
    taken.push(file.publicKey);
    if (agent !== undefined && inAgent !== undefined) attempts.push(fromAgent(agent, username, [inAgent]));
    else if (file.kind === 'private') attempts.push({ type: 'publickey', username, key: file.key });
    return undefined;
  };

  for (const path of settings.identities) {
    const file = await readKeyFile(ssh2, path);
    // Of the usual ones most are missing.
    if (file.kind === 'missing' && !settings.namedIdentities.includes(path)) continue;
    const fault = add(file);
    if (fault !== undefined) leftOut.push(`the key ${path} cannot be used: ${fault}`);
  }
  if (agent !== undefined && !settings.identitiesOnly) {
    const rest = agent.keys.filter((key) => !taken.some((blob) => blob.equals(key.getPublicSSH())));
    if (rest.length > 0) attempts.push(fromAgent(agent, username, rest));
  }
  return { attempts, leftOut, agent };
}

function fromAgent(agent: Agent, username: string, keys: readonly ParsedKey[]): AgentAuthMethod {
  return { type: 'agent', username, agent: agent.offering(keys) };
}
