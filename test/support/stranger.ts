/** Another program that has taken a port, on every address that `localhost` may mean. */
import { once } from 'node:events';
import net from 'node:net';

/** Takes the port; resolves with what gives it back. Rejects where somebody has it already. */
export async function takePort(port: number): Promise<() => Promise<void>> {
  const servers: net.Server[] = [];
  const release = async () => {
    await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  };
  for (const host of ['127.0.0.1', '::1']) {
    const server = net.createServer((socket) => socket.destroy());
    try {
      await once(server.listen({ port, host }), 'listening');
      servers.push(server);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      // A system without IPv6 has no ::1.
      if (code === 'EADDRNOTAVAIL' || code === 'EAFNOSUPPORT') continue;
      await release();
      throw error;
    }
  }
  return release;
}
