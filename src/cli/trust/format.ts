/** Keys and trusted nodes as lines. Pure. */
import { printable } from '../../shared/index.js';
import { columns } from '../format/columns.js';
import { duration } from '../format/units.js';
import type { Colours } from '../host.js';
import type { ShownKeyJson, TrustListJson } from './shapes.js';

/** `exo key show`: the keys with their secrets. */
export function formatKeys(keys: readonly ShownKeyJson[], nowMs: number): string[] {
  if (keys.length === 0) return ['no mesh key is set; exo key new makes one, exo key join takes one over'];
  return keys.flatMap(
    ({ id, key, api_token: token, current, source, created_at_ms: madeMs, until_ms: untilMs }) => {
      const facts = [
        current ? 'in use' : 'accepted',
        ...(source === 'given' ? ['from EXO_AUTH_TOKEN or --auth-token-file'] : []),
        ...(madeMs === null ? [] : [`made ${duration(nowMs - madeMs)} ago`]),
        ...(untilMs === null ? [] : [`ends in ${duration(untilMs - nowMs)}`]),
      ];
      return [
        `mesh key ${id}  ${facts.join(', ')}`,
        ...columns([
          ['key', key],
          ['API token', `${token}  (Authorization: Bearer, or EXO_API_TOKEN)`],
        ]),
      ];
    },
  );
}

/** What a level of trust means, in a few words. */
const LEVELS: Readonly<Record<string, string>> = {
  trusted: 'trusted',
  invited: 'trusted until it has the mesh key',
  pin: 'must show this key, and prove the mesh key',
};

/** `exo trust list`. */
export function formatTrust({ self, trusted }: TrustListJson, nowMs: number, c: Colours): string[] {
  const head = `${c.bold(printable(self.id, 128))}  ${self.fingerprint}  (this node)`;
  if (trusted.length === 0) return [head, '', 'no other node is known by its key yet'];
  return [
    head,
    '',
    ...columns(
      trusted.map(({ id, fingerprint, trust, how, since_ms: sinceMs }) => [
        id,
        fingerprint,
        LEVELS[trust] ?? trust,
        `by ${how}, ${duration(nowMs - sinceMs)} ago`,
      ]),
      { head: ['NODE', 'KEY', 'TRUST', 'LEARNT'] },
    ),
  ];
}
