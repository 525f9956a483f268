/** What a download is asked for, works with and gives. Types only; `download.ts` does it. */
import type { Clock, Random } from '../../shared/index.js';
import type { Hub } from '../hub/hub.js';
import type { Sharing } from '../peers/sharing.js';
import type { FetchRates } from './fetch-rates.js';
import type { LayerRange } from './plan.js';
import type { DownloadProgress } from './progress.js';

/** What to fetch. */
export interface DownloadRequest {
  /** `org/repo`. */
  readonly repository: string;
  /** Branch, tag or commit. @default 'main' */
  readonly revision?: string;
  /** Absent: the whole model. Without `layers` the model's configuration tells them. */
  readonly shard?: Omit<LayerRange, 'layers'> & { readonly layers?: number };
  /** The model's own folder; made where it is missing. */
  readonly directory: string;
  /** Requests under way at once. */
  readonly parallelMax: number;
  /** Compare sizes, not hashes, of what is there. @default false */
  readonly quick?: boolean;
  /** A commit that is here, or at another node, is good enough: no newer one is looked for. @default false */
  readonly settled?: boolean;
  /** No weights: what tells of them. @default false */
  readonly smallOnly?: boolean;
  /** @default LIMITS.downloadPartBytes */
  readonly partBytes?: number;
}

/** What a download works with. */
export interface DownloadComponents {
  /** Undefined: no hub may be asked. */
  readonly hub: Hub | undefined;
  /** Other nodes, asked for bytes before the hub is; what they send is checked by the hub's hashes where whole files are fetched. */
  readonly sharing?: Sharing | undefined;
  /** Told how fast files come. */
  readonly rates?: FetchRates | undefined;
  readonly clock: Clock;
  readonly random: Random;
  /** Throws where the model is of a kind that cannot be computed. */
  checkConfig?(config: unknown): void;
  onProgress?(progress: DownloadProgress): void;
}

/** What came of it. */
export interface Downloaded {
  readonly directory: string;
  readonly commit: string;
  readonly progress: DownloadProgress;
}
