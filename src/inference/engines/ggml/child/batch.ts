/**
 * Which steps are computed together: those of one shard, decode steps first because each of them is a person who waits
 * for a token, then parts of prompts up to a bound. Pure. Called by the scheduler.
 */

/** Tokens of one run: more would hold up the requests that decode beside a long prompt. */
export const BATCH_TOKENS_MAX = 512;
/** Requests of one run; each adds some nodes to the graph. */
export const BATCH_REQUESTS_MAX = 32;

/** A step as the batch sees it. */
export interface BatchStep {
  readonly requestId: string;
  readonly shardKey: string;
  /** Tokens that are still to be computed. */
  readonly remaining: number;
}

/** A step and how many of its tokens are in the batch. */
export interface BatchPart<S> {
  readonly step: S;
  readonly tokens: number;
}

/**
 * Parts for one run, from the steps that wait, oldest first. Not empty unless `waiting` is.
 * @param decodesMax steps of one token that may be in it, 1 or more; beside a part of a prompt they cost next to nothing, and all may
 */
export function chooseBatch<S extends BatchStep>(
  waiting: readonly S[],
  decodesMax = BATCH_REQUESTS_MAX,
): BatchPart<S>[] {
  const shardKey = waiting[0]?.shardKey;
  const seen = new Set<string>();
  const first = waiting.filter((step) => {
    if (step.shardKey !== shardKey || seen.has(step.requestId)) return false;
    seen.add(step.requestId);
    return true;
  });
  const parts: BatchPart<S>[] = [];
  let room = BATCH_TOKENS_MAX;
  const take = (step: S) => {
    const tokens = Math.min(step.remaining, room);
    if (tokens === 0 || parts.length === BATCH_REQUESTS_MAX) return;
    parts.push({ step, tokens });
    room -= tokens;
  };
  // The oldest is always served, so that a stream of decode steps does not keep a prompt out.
  const [oldest, ...others] = first;
  const hasPrompt = first.some(({ remaining }) => remaining > 1);
  const further = Math.min(BATCH_REQUESTS_MAX, hasPrompt ? BATCH_REQUESTS_MAX : decodesMax) - 1;
  const decodes = others.filter(({ remaining }) => remaining === 1).slice(0, further);
  if (oldest?.remaining === 1) take(oldest);
  for (const step of decodes) take(step);
  if (oldest !== undefined && oldest.remaining > 1) take(oldest);
  for (const step of others) if (step.remaining > 1) take(step);
  return parts;
}
