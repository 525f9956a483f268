/** What a look at tunnels has found, with a node (`doctor.ts`) or without one (`offline.ts`). */
import type { WarningJson } from '../api-shapes.js';
import type { Diagnosis } from './diagnosis.js';

/** One tunnel and what is wrong with it. */
export interface Examined extends Diagnosis {
  readonly name: string;
  /** As the node shows it; absent where no node was asked. */
  readonly state?: string;
}

/** What was found, and what could not be looked at. */
export interface Examination {
  readonly tunnels: readonly Examined[];
  readonly warnings: readonly WarningJson[];
  /** For a person: from where it was looked at, and what that cannot show. */
  readonly remarks: readonly string[];
}
