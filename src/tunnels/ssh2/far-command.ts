/** The two commands of ours that the ssh2 driver runs on the far machine (ssh/anchor.ts has their words): hold, and evict. */
import type { Client, ClientChannel } from 'ssh2';
import { type Clock, LIMITS } from '../../shared/index.js';
import type { SessionFacts } from '../driver.js';
import { AnchorReader, saysEnded } from '../ssh/anchor.js';

/** A shell that takes longer to start is not waited for: the tunnel is worth more than the pid. */
const ANCHOR_WAIT_MS = 2_000;

/** What came of the anchor. */
export interface AnchorFacts {
  readonly pty: SessionFacts['pty'];
  readonly farPid?: number;
}

/**
 * Starts the anchor; resolves when it has spoken, cannot, or takes too long. Never rejects. It ends with the session. What
 * it says is told to `onFarPid`, however late.
 */
export async function holdAnchor(
  client: Client,
  anchor: { readonly label: string; readonly command: string; readonly pty: boolean },
  clock: Clock,
  onFarPid: (farPid: number) => void = () => undefined,
): Promise<AnchorFacts> {
  const { label, command } = anchor;
  if (anchor.pty) {
    const channel = await started(client, command, true);
    if (channel !== undefined) {
      const said = await listen(channel, label, clock, onFarPid);
      if (said !== 'ended') return { pty: 'held', ...said };
    }
  }
  const pty = anchor.pty ? 'refused' : 'not-asked';
  const channel = await started(client, command, false);
  if (channel === undefined) return { pty };
  const said = await listen(channel, label, clock, onFarPid);
  return said === 'ended' ? { pty } : { pty, ...said };
}

/** Runs the evict command; resolves to whether it says that something was ended. Never rejects. */
export async function runEvict(client: Client, command: string): Promise<boolean> {
  const channel = await started(client, command, false);
  if (channel === undefined) return false;
  return new Promise((resolve) => {
    let text = '';
    channel.on('data', (chunk: Buffer) => {
      if (text.length < LIMITS.sshOutputCharsMax) text += chunk.toString('latin1');
    });
    channel.on('close', () => resolve(saysEnded(text)));
    channel.end();
  });
}

/** Undefined when the server refuses the command (or the pty). */
function started(client: Client, command: string, pty: boolean): Promise<ClientChannel | undefined> {
  return new Promise((resolve) => {
    try {
      client.exec(command, pty ? { pty: { term: 'dumb' } } : {}, (error, channel) => {
        if (error !== undefined && error !== null) {
          resolve(undefined);
          return;
        }
        channel.on('error', () => undefined);
        channel.stderr.on('error', () => undefined);
        channel.stderr.resume();
        resolve(channel);
      });
    } catch {
      resolve(undefined);
    }
  });
}

function listen(
  channel: ClientChannel,
  label: string,
  clock: Clock,
  onFarPid: (farPid: number) => void,
): Promise<{ readonly farPid?: number } | 'ended'> {
  return new Promise((resolve) => {
    const reader = new AnchorReader(label);
    const timer = clock.after(ANCHOR_WAIT_MS, () => resolve({}));
    channel.on('data', (chunk: Buffer) => {
      const farPid = reader.push(chunk.toString('latin1'));
      if (farPid === undefined) return;
      timer.cancel();
      onFarPid(farPid);
      resolve({ farPid });
    });
    channel.on('close', () => {
      timer.cancel();
      resolve('ended');
    });
  });
}
