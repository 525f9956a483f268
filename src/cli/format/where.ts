/** Where an answer was computed, for people. Pure. */
import { printable } from '../../shared/index.js';
import type { ChatExoJson } from '../api-shapes.js';

/** `mac1 (layers 0-11), mac2 (layers 12-23)`. */
export function whereText(ring: NonNullable<ChatExoJson['ring']>): string {
  return ring
    .map(({ node, layers: [from, to] }) => `${printable(node, 60)} (layers ${from}-${to})`)
    .join(', ');
}
