/** Whether an sshd greets at an address, for `exo doctor`. */
import { connect } from 'node:net';
import { type Address, ExoError, formatAddress, LIMITS, printable } from '../../shared/index.js';

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
