/**
 * Which kinds of messages carry bytes. Used where memory of bodies is given back.
 */
import type { Message } from './messages.js';

/** Bytes of a message that are views of the body that it came in. */
export function bytesOf(message: Message): Buffer | undefined {
  switch (message.kind) {
    case 'ping':
    case 'pong':
      return message.data;
    case 'tensor-request':
    case 'tensor-response':
    case 'result':
      return message.tensor?.data;
    default:
      return undefined;
  }
}
