/**
 * Where a tunnel leads and how, as `ssh -G` says. One answer serves one session: the next one sees a changed ~/.ssh/config.
 * Used by the session, the driver and the command connection.
 */
import { type Clock, toExoError } from '../../shared/index.js';
import type { TunnelSpec } from '../description/tunnel-spec.js';
import type { TunnelFailure } from '../failure.js';
import { ConfigQueryFailed, queryConfig } from '../ssh/config-query.js';
import { type Route, resolveRoute } from '../ssh/route.js';

/** The way, or why there is none. */
export type Resolved = { readonly route: Route } | { readonly failure: TunnelFailure };

/** Never rejects; an aborted query is a failure. */
export async function resolve(
  spec: TunnelSpec,
  signal: AbortSignal,
  components: { readonly clock: Clock },
): Promise<Resolved> {
  try {
    return { route: await resolveRoute(spec, (args) => queryConfig(args, spec, signal, components)) };
  } catch (error) {
    if (error instanceof ConfigQueryFailed) return { failure: error.failure };
    return { failure: { code: 'spec-refused', message: toExoError(error).message } };
  }
}
