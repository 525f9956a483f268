/**
 * `-L` and `-R` in ssh's own syntax: `[address:]port:host:port`, `[address:]port:socket`, `socket:host:port` and
 * `socket:socket`, IPv6 in brackets, `*` or an empty address for every interface, port 0 in front for any free port.
 * Not dynamic forwards (`-D`, or `-R port` alone): a tunnel leads to a place that is known and can be proven.
 */
import { isSocketPath, socketEndpoint, tcpEndpoint } from './endpoint.js';
import { formatEndpoint } from './endpoint-text.js';
import { textFault, wordRefused } from './forbidden-text.js';
import type { Endpoint, Forward } from './tunnel-spec.js';

const EXAMPLE = { L: '50052:localhost:50051', R: '50060:localhost:50060' } as const;

/** Which of the two. */
export type ForwardKind = 'L' | 'R';

/** Reads one forward. Throws `tunnel-spec-invalid`. */
export function parseForward(text: string, kind: ForwardKind): Forward {
  const instead = `write it as ssh -${kind}: ${EXAMPLE[kind]}`;
  const fault = textFault(text, { percent: true });
  if (fault !== undefined) throw wordRefused(text, fault, instead);
  const fields = cutFields(text, instead);
  // Read from the end: a target is one field (a socket) or two (host and port), and what is before it listens.
  const cut = fields.length - (isSocketPath(fields.at(-1) ?? '') ? 1 : 2);
  const front = fields.slice(0, Math.max(cut, 0));
  if (front.length === 0) {
    const what =
      kind === 'R' ? 'has no target, which ssh takes for a dynamic forward (SOCKS)' : 'has no target';
    throw wordRefused(text, what, instead);
  }
  return { listen: listenOf(text, front, instead), target: targetOf(text, fields.slice(cut), instead), text };
}

/** A forward in full, as it goes to ssh: the address in front is always said, so that no configuration decides it. */
export function formatForward(forward: Forward): string {
  return `${formatEndpoint(forward.listen)}:${formatEndpoint(forward.target)}`;
}

/** Whether two forwards are the same however they were written. */
export function sameForward(a: Forward, b: Forward): boolean {
  return formatForward(a) === formatForward(b);
}

/** Cuts at colons outside of brackets; the brackets go. */
function cutFields(text: string, instead: string): string[] {
  const fields: string[] = [];
  let rest = text;
  for (;;) {
    const bracketed = /^\[([^\]]*)\](?=:|$)/.exec(rest);
    const field = bracketed === null ? (/^[^:]*/.exec(rest)?.[0] ?? '') : (bracketed[1] ?? '');
    if (bracketed === null && /[[\]]/.test(field)) {
      throw wordRefused(text, 'has a bracket out of place', instead);
    }
    fields.push(field);
    const used = bracketed === null ? field.length : bracketed[0].length;
    if (used === rest.length) return fields;
    rest = rest.slice(used + 1);
  }
}

function listenOf(text: string, fields: readonly string[], instead: string): Endpoint {
  const [first = '', second] = fields;
  if (fields.length > 2 || (second !== undefined && isSocketPath(first))) throw tooMany(text, instead);
  if (isSocketPath(first)) return socketEndpoint(text, first);
  if (second === undefined) return tcpEndpoint(text, 'localhost', first, true);
  return tcpEndpoint(text, first === '' ? '*' : first, second, true);
}

function targetOf(text: string, fields: readonly string[], instead: string): Endpoint {
  const [first = '', port] = fields;
  if (port === undefined) return socketEndpoint(text, first);
  if (isSocketPath(first)) throw tooMany(text, instead);
  if (first === '*' || first === '') throw wordRefused(text, 'has no host as its target', instead);
  return tcpEndpoint(text, first, port, false);
}

function tooMany(text: string, instead: string): Error {
  return wordRefused(
    text,
    'has parts that do not belong together',
    `${instead}; an IPv6 address stands in brackets: [::1]`,
  );
}
