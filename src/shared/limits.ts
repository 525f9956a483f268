/**
 * Every bound of the program, in one place: the tables of `limits/`, a file a subject, in which each entry is `[value, reason]` and the
 * unit is the last word of the name. docs/LIMITS.md is made from them.
 */
import { COMMAND_LINE } from './limits/command-line.js';
import { CONNECTIONS } from './limits/connections.js';
import { DISCOVERY } from './limits/discovery.js';
import { ENGINES } from './limits/engines.js';
import { FETCHING } from './limits/fetching.js';
import { FRAMES } from './limits/frames.js';
import { HTTP } from './limits/http.js';
import { INFERENCE } from './limits/inference.js';
import { MEMBERSHIP } from './limits/membership.js';
import { MODEL_STORE } from './limits/model-store.js';
import { MODELS } from './limits/models.js';
import { NODE_FILES } from './limits/node-files.js';
import { TOPOLOGY } from './limits/topology.js';
import { TRUST } from './limits/trust.js';
import { TUNNELS } from './limits/tunnels.js';

/** The tables by subject, in the order of docs/LIMITS.md. */
const SUBJECTS = {
  'frames, by state of the connection': FRAMES,
  connections: CONNECTIONS,
  membership: MEMBERSHIP,
  discovery: DISCOVERY,
  tunnels: TUNNELS,
  trust: TRUST,
  topology: TOPOLOGY,
  models: MODELS,
  'models on disk': MODEL_STORE,
  'fetching models': FETCHING,
  'files between nodes': NODE_FILES,
  engines: ENGINES,
  inference: INFERENCE,
  HTTP: HTTP,
  'the command line': COMMAND_LINE,
} as const;

type Tables = (typeof SUBJECTS)[keyof typeof SUBJECTS];

/** The name of a bound. */
export type LimitName = {
  [Table in keyof typeof SUBJECTS]: keyof (typeof SUBJECTS)[Table];
}[keyof typeof SUBJECTS];

/** Every bound with its reason, by subject: what docs/LIMITS.md is made of. */
export const LIMIT_REASONS: ReadonlyArray<{
  readonly subject: string;
  readonly name: LimitName;
  readonly value: number;
  readonly reason: string;
}> = Object.entries<Tables>(SUBJECTS).flatMap(([subject, table]) =>
  (Object.entries(table) as Array<[LimitName, readonly [number, string]]>).map(([name, [value, reason]]) => ({
    ...{ subject, name, value, reason },
  })),
);

/** Every bound by name. */
export const LIMITS = Object.freeze(
  Object.fromEntries(LIMIT_REASONS.map(({ name, value }) => [name, value])),
) as { readonly [Name in LimitName]: number };
