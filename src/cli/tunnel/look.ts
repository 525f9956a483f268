/** Two small looks at the network for `exo doctor`: may a port be taken here, and does an sshd greet there. */
import { connect, createServer } from 'node:net';
import { type Address, ExoError, formatAddress, LIMITS, printable } from '../../shared/index.js';

/** Whether this machine would let somebody listen there now. */
export function canListen({ host, port }: Address): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ host: host === '*' || host === '' ? '0.0.0.0' : host, port, exclusive: true }, () =>
      server.close(() => resolve(true)),
    );
  });
}

/** The first line of an sshd. Rejects with `connect-failed` in words, or the signal's reason. */
export function greets(address: Address, signal: AbortSignal): Promise<string> {
  const where = formatAddress(address);
  return new Promise((resolve, reject) => {
    let said = '';
    const socket = connect({ host: address.host, port: address.port });
    const finish = (settle: () => void) => {
      signal.removeEventListener('abort', onAbort);
      socket.destroy();
      settle();
    };
    const fail = (why: string) => finish(() => reject(new ExoError('connect-failed', `${where} ${why}`)));
    const onAbort = () =>
      finish(() =>
        reject(
          new ExoError(
            'connect-failed',
            `${where} ${socket.connecting ? 'does not answer' : 'accepts and says nothing'} (${(signal.reason as Error).message})`,
          ),
        ),
      );
    signal.addEventListener('abort', onAbort, { once: true });
    socket.setEncoding('latin1');
    socket.on('data', (text: string) => {
      said += text;
      const line = /^SSH-[^\r\n]*/m.exec(said)?.[0];
      if (line !== undefined && /[\r\n]/.test(said.slice(said.indexOf(line)))) {
        finish(() => resolve(printable(line, 100)));
      } else if (said.length > LIMITS.sshGreetingBytesMax) fail('speaks, but not ssh');
    });
    socket.on('error', (error: NodeJS.ErrnoException) =>
      fail(`cannot be reached (${error.code ?? error.message})`),
    );
    socket.on('end', () => fail(said === '' ? 'closed without a word' : 'speaks, but not ssh'));
    if (signal.aborted) onAbort();
  });
}
