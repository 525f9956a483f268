/**
 * Three faults of the kind that people make, put into parts of the product from outside, to show that the simulation finds such
 * things. Each is taken out again after the run.
 */
import { SelfHealth } from '../../src/node/membership.js';
import { PeerTable } from '../../src/node/peer-table.js';
import { TopologyView } from '../../src/topology/index.js';

/** The names of the faults, and what each does. */
export const BUGS = {
  'blind-to-own-sleep': 'a node that was stopped holds the silence of its sleep against the others',
  'own-dial-wins': 'after a simultaneous open each end keeps the connection that it has dialled itself',
  'no-tombstones': 'a node does not tell that a connection of a lost node is gone, and ghosts stay',
} as const;

/** One of them. */
export type Bug = keyof typeof BUGS;

/** Runs with the fault in place. */
export async function withBug<T>(bug: Bug | undefined, run: () => Promise<T>): Promise<T> {
  const undo = bug === undefined ? () => undefined : INJECT[bug]();
  try {
    return await run();
  } finally {
    undo();
  }
}

const INJECT: Readonly<Record<Bug, () => () => void>> = {
  'blind-to-own-sleep': () => replace(SelfHealth.prototype, 'tick', () => () => 0),
  'own-dial-wins': () =>
    replace(
      PeerTable.prototype,
      'adopt',
      (adopt) =>
        function (this: PeerTable, link, hello) {
          return adopt.call(this, Object.assign(link, { diallerId: link.outgoing ? '' : '~' }), hello);
        },
    ),
  'no-tombstones': () => replace(TopologyView.prototype, 'noteLost', () => () => false),
};

function replace<T extends object, K extends keyof T>(
  on: T,
  name: K,
  by: (former: T[K]) => T[K],
): () => void {
  const former = on[name];
  on[name] = by(former);
  return () => {
    on[name] = former;
  };
}
