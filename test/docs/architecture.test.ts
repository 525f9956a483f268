/** docs/ARCHITECTURE.md names what is there and draws the state machines that the code has. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import type { Candidate } from '../../src/discovery/index.js';
import { Target, type TargetState } from '../../src/node/target.js';
import type { ConnectionState } from '../../src/protocol/index.js';
import { transition } from '../../src/protocol/session-state.js';
import type { TunnelState } from '../../src/tunnels/index.js';
import { TUNNEL_TRANSITIONS } from '../../src/tunnels/supervisor/transitions.js';
import { ROOT } from '../support/processes.js';
import { blocks, read, tableRows } from './documents.js';

const TEXT = read('docs/ARCHITECTURE.md');
/** A page that is read before the code; beyond this it is not. */
const LINES_MAX = 200;

/** Edges of the diagram that has this state, as `from to`. */
function edgesOf(state: string): string[] {
  const diagram = blocks(TEXT, 'mermaid').find(
    (text) => text.includes(` ${state}\n`) || text.includes(` ${state}:`),
  );
  assert.ok(diagram !== undefined, `no diagram has the state ${state}`);
  return [...diagram.matchAll(/^ *(\w+) --> (\w+)/gm)].map(([, from, to]) => `${from} ${to}`).sort();
}

function allowedOf<S extends string>(states: readonly S[], isAllowed: (from: S, to: S) => boolean): string[] {
  return states
    .flatMap((from) => states.filter((to) => to !== from && isAllowed(from, to)).map((to) => `${from} ${to}`))
    .sort();
}

function throws(action: () => void): boolean {
  try {
    action();
    return false;
  } catch {
    return true;
  }
}

const CANDIDATE: Candidate = {
  key: 'k',
  module: 'manual',
  address: { host: '127.0.0.1', port: 1 },
  claimedId: 'p',
  description: 'MAN',
  priority: 4,
  configured: true,
};

/** Shortest ways to each state, so that every transition can be tried from there. */
const WAYS: Readonly<Record<TargetState, readonly TargetState[]>> = {
  waiting: [],
  dialling: ['dialling'],
  connected: ['dialling', 'connected'],
  resting: ['resting'],
  parked: ['dialling', 'parked'],
};

describe('the architecture document', () => {
  it('names files and folders that exist', () => {
    const named = new Set(
      [...TEXT.matchAll(/\b(?:src|test|tools|docs|bench)\/[\w./-]*\w/g)].map(([name]) => name),
    );
    assert.ok(named.size > 50, `only ${named.size} paths were found`);
    assert.deepEqual(
      [...named].filter((name) => !existsSync(path.join(ROOT, name))),
      [],
    );
  });

  it('has every room in its table, each with its entrance', () => {
    const rows = tableRows(TEXT).filter(([room]) => room?.startsWith('`src/'));
    const rooms = readdirSync(path.join(ROOT, 'src')).map((room) => `\`src/${room}\``);
    assert.deepEqual(rows.map(([room]) => room).sort(), rooms.sort());
    for (const [room, , entrance] of rows) {
      assert.ok(entrance!.startsWith(room!.slice(0, -1)), `${entrance} is not in ${room}`);
    }
  });

  it('draws the states of a dial target as the table of transitions has them', () => {
    const allowed = allowedOf(Object.keys(WAYS) as TargetState[], (from, to) => {
      const target = new Target(CANDIDATE, 0);
      for (const step of WAYS[from]) target.become(step);
      assert.equal(target.state, from);
      return !throws(() => target.become(to));
    });
    assert.deepEqual(edgesOf('dialling'), allowed);
  });

  it('draws the states of a connection as the table of transitions has them', () => {
    const states: ConnectionState[] = ['fresh', 'legacy', 'established', 'closed'];
    assert.deepEqual(
      edgesOf('legacy'),
      allowedOf(states, (from, to) => !throws(() => transition(from, to))),
    );
  });

  it('draws the states of a tunnel as the table of transitions has them', () => {
    const inSession = ['starting', 'gate', 'up', 'degraded'];
    const drawn = edgesOf('degraded').flatMap((edge) =>
      edge.startsWith('session ') ? inSession.map((state) => edge.replace('session', state)) : [edge],
    );
    // The text says it of `stopped`: reached from everywhere, and leads to starting.
    const states = (Object.keys(TUNNEL_TRANSITIONS) as TunnelState[]).filter((state) => state !== 'stopped');
    const allowed = allowedOf(states, (from, to) => TUNNEL_TRANSITIONS[from].includes(to));
    assert.deepEqual(drawn.sort(), allowed);
    for (const state of states) assert.ok(TUNNEL_TRANSITIONS[state].includes('stopped'));
    assert.deepEqual(TUNNEL_TRANSITIONS.stopped, ['starting']);
  });

  it(`has at most ${LINES_MAX} lines`, () => {
    assert.ok(TEXT.split('\n').length <= LINES_MAX);
  });
});
