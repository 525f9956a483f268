/**
 * Nodes that are known and were not even considered when a ring was decided on: one that has just come back, that is not reached at
 * the moment, that has measured nothing yet. The ring is right without them; whoever looks at it is told why they are not in it. Pure.
 */
import type { OfferResponse } from '../../protocol/index.js';
import type { MeshNow, RingPort } from '../ring/index.js';
import { isMeasured } from './costs.js';
import type { RingPlan } from './plan.js';
import type { Outsider } from './plan-errors.js';

/** Everybody whose offer does not count, though nothing is wrong with it. `offers`: of those that were asked. */
export function asideOf(
  port: Pick<RingPort, 'away'>,
  { present }: MeshNow,
  offers: ReadonlyMap<string, OfferResponse>,
): readonly Outsider[] {
  const away = new Map(port.away().map(({ nodeId, reason }) => [nodeId, reason]));
  const someMeasured = [...offers.values()].some((each) => each.reason === undefined && isMeasured(each));
  const aside: Outsider[] = [];
  for (const id of new Set([...present, ...away.keys()])) {
    const offer = offers.get(id);
    if (offer === undefined) {
      aside.push({ id, reason: away.get(id) ?? 'in the mesh, but without a connection to this node' });
    } else if (someMeasured && offer.reason === undefined && !isMeasured(offer)) {
      aside.push({ id, reason: 'has measured nothing of this model yet' });
    }
  }
  return aside;
}

/** The plan, with those that have no layers of it among its outsiders. */
export function withAside(plan: RingPlan, aside: readonly Outsider[]): RingPlan {
  const { ring, outsiders } = plan;
  if (ring === undefined) return plan;
  const named = new Set([...ring.map(({ nodeId }) => nodeId), ...outsiders.map(({ id }) => id)]);
  const unnamed = aside.filter(({ id }) => !named.has(id));
  return unnamed.length === 0 ? plan : { ...plan, outsiders: [...outsiders, ...unnamed] };
}
