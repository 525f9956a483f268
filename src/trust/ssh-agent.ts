/**
 * An ssh agent (SSH_AUTH_SOCK): which keys it has, and signatures by them. The protocol is ssh2's; the socket is ours, so that an agent
 * that does not answer is left after `sshAgentTimeoutMs` and nothing stays open.
 */
import { connect } from 'node:net';
import { type Clock, ExoError, LIMITS } from '../shared/index.js';
import { loadSsh2, type Ssh2Module } from './ssh-load.js';

/** One client of the agent, as ssh2 makes it. */
type Agent = InstanceType<Ssh2Module['AgentProtocol']>;
type Answer<T> = (error: Error | null | undefined, value?: T) => void;

/** Keys of the agent as they travel; of kinds that ssh2 does not know none. Throws `ssh-key-unusable`. */
export async function agentKeys(socketPath: string, clock: Clock): Promise<readonly Buffer[]> {
  const keys = await ask<ReadonlyArray<{ getPublicSSH(): Buffer }>>(socketPath, clock, (agent, answer) =>
    agent.getIdentities(answer),
  );
  return keys.map((key) => key.getPublicSSH());
}

/** A signature by a key of the agent, without its format in front; RSA with SHA-512. Throws `ssh-key-unusable`. */
export function agentSign(
  socketPath: string,
  publicKey: Buffer,
  data: Buffer,
  clock: Clock,
): Promise<Buffer> {
  return ask<Buffer>(socketPath, clock, (agent, answer) =>
    agent.sign(publicKey, data, { hash: 'sha512' }, answer as (error?: Error | null, value?: Buffer) => void),
  );
}

async function ask<T>(
  socketPath: string,
  clock: Clock,
  question: (agent: Agent, answer: Answer<T>) => void,
): Promise<T> {
  const { AgentProtocol } = await loadSsh2();
  const socket = connect(socketPath);
  const agent = new AgentProtocol(true);
  try {
    return await new Promise<T>((resolve, reject) => {
      const fail = (why: string) => (error?: Error | null) =>
        reject(unusable(socketPath, error instanceof Error ? error.message : why));
      const timer = clock.after(LIMITS.sshAgentTimeoutMs, () =>
        fail(`no answer within ${LIMITS.sshAgentTimeoutMs} ms`)(),
      );
      socket.once('close', () => timer.cancel());
      socket.once('error', fail('it cannot be reached'));
      socket.once('close', () => fail('it hung up')());
      agent.once('error', fail('it answers what no agent answers'));
      socket.once('connect', () => {
        agent.pipe(socket).pipe(agent);
        question(agent, (error, value) => {
          if (error != null || value === undefined) fail('it refused')(error);
          else resolve(value);
        });
      });
    });
  } finally {
    socket.destroy();
    // What comes after the answer is of no interest, and must not be an error without a listener.
    agent.on('error', () => undefined);
    agent.destroy();
  }
}

function unusable(socketPath: string, why: string): ExoError {
  return new ExoError(
    'ssh-key-unusable',
    `the ssh agent at ${socketPath} cannot be used (${why}); look whether ssh-add -l lists its keys`,
  );
}
