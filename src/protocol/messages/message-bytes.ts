/**
 * Which kinds of messages carry bytes. Used where memory of bodies is given back.
 */
import { TYPE } from '../frame.js';
import { COPY_BYTES_MAX } from '../frame-writer.js';
import type { Message } from './messages.js';

/** Bytes of a message that are views of the body that it came in. */
export function bytesOf(message: Message): Buffer | undefined {
  switch (message.kind) {
    case 'ping':
    case 'pong':
    case 'bytes-response':
      return message.data;
    case 'tensor-request':
    case 'tensor-response':
    case 'result':
      return message.tensor?.data;
    default:
      return undefined;
  }
}

/** Whether the message of a body may still show its bytes after it was handed over. A small ping is answered at once, by a copy. */
export function isKept(type: number, bodyLength: number): boolean {
  switch (type) {
    case TYPE.ping:
      return bodyLength > COPY_BYTES_MAX;
    case TYPE.pong:
    case TYPE.bytesResponse:
    case TYPE.tensorRequest:
    case TYPE.tensorResponse:
    case TYPE.result:
      return true;
    default:
      return false;
  }
}
