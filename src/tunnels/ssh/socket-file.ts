/** Unix sockets of `-L`: ssh, and a node that was killed, leave their files behind. */
import { lstatSync, rmSync } from 'node:fs';
import net from 'node:net';

/** Removes the socket file at `path` if nobody listens on it; a session that was killed leaves one. */
export async function clearSocketFile(path: string): Promise<void> {
  if (lstatSync(path, { throwIfNoEntry: false })?.isSocket() !== true) return;
  const refused = await new Promise<boolean>((resolve) => {
    const socket = net.connect({ path });
    socket.once('connect', () => {
      socket.destroy();
      resolve(false);
    });
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code === 'ECONNREFUSED'));
  });
  if (refused) rmSync(path, { force: true });
}
