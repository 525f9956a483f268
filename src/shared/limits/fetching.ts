/** Of downloads from a hub. Put together with the others in `limits.ts`. */
import { KIB, type LimitTable, MIB } from './limit-table.js';

/** Each with its reason. */
export const FETCHING = {
  hubSilenceMs: [
    30_000,
    'without a byte from a hub before a request is given up and sent again; huggingface_hub takes 10 s, its CDN is slower at times',
  ],
  hubAnswerBytesMax: [16 * MIB, 'JSON of a hub; a page of 1,000 files has 300 KB'],
  hubFilesMax: [10_000, 'files of one repository; the largest models have some 300'],
  hubFailuresMax: [
    8,
    'failed requests in a row for the same bytes without one that came: half a minute with the waits between',
  ],
  hubRetryCeilingMsMin: [500, 'first ceiling of the wait after a failed request (full jitter)'],
  hubRetryCeilingMsMax: [30_000, 'highest such ceiling'],
  hubRetryAfterMsMax: [
    5 * 60 * 1000,
    'longest Retry-After of a hub that is waited for; the usual window of its limits. Longer ones are told to the person',
  ],
  modelFileBytesMax: [1024 * 1024 * MIB, 'one file of a model; hubs allow 50 GB'],
  downloadPartBytes: [
    64 * MIB,
    'bytes of one request: the address of a CDN that it leads to is valid for a while only',
  ],
  downloadGapBytes: [
    256 * KIB,
    'bytes between two needed ranges that are fetched along: less than a request costs in time',
  ],
  downloadProgressMs: [200, 'least time between two reports of a download; the original’s'],
  modelLockBeatMs: [
    5_000,
    'whoever fetches a file says so often that it lives, for other machines with the same folder',
  ],
  modelLockSilentMs: [60_000, 'of another machine’s silence before its lock is left over'],
  parallelDownloadsMax: [
    64,
    '`--max-parallel-downloads`: a few fill a link, and each has a file and a connection open',
  ],
  hubTokenCharsMax: [1_024, 'a token of the hub has some forty'],
} as const satisfies LimitTable;
