/** Of the HTTP API and who talks to it. Put together with the others in `limits.ts`. */
import { KIB, type LimitTable, MIB } from './limit-table.js';

/** Each with its reason. */
export const HTTP = {
  httpBodyBytesMax: [
    100 * MIB,
    'a refused body is read and thrown away up to here, so that its sender sees the answer; the original’s client_max_size',
  ],
  httpChatBodyBytesMax: [16 * MIB, 'a chat request with long history; images come later'],
  httpHeadersTimeoutMs: [10_000, 'slow-header clients are gone by then; Node’s default is 60 s'],
  httpRequestTimeoutMs: [60_000, 'a whole request body'],
  httpCheckIntervalMs: [2_000, 'Node looks only every 30 s by default'],
  httpConnectionsMax: [256, 'open HTTP connections; beyond it the one that waited longest makes room'],
  httpConnectionsPerSource: [
    64,
    'of one address that is not loopback, so that four hosts cannot keep out the rest; a browser opens 6',
  ],
  httpBodyBytesPerSecondMin: [
    1 * KIB,
    'a body that comes slower is cut; the slowest mobile link has 5 KiB/s',
  ],
  httpBodyRateGraceMs: [5_000, 'before the rate of a body counts: a path may stall this long'],
  httpStalledAnswerMs: [
    60_000,
    'an answer of which the system takes nothing for so long is given up: its buffer of up to 4 MiB moves by a third at a time',
  ],
  httpAuthPerSecondPerSource: [2, 'ssh challenges and answers of one address; each costs a signature check'],
  httpAuthBurst: [20, 'of them at once: a team behind one address'],
  httpAuthSourcesMax: [1_024, 'addresses of which that is remembered'],
  httpKeepAliveMs: [5_000, 'an idle kept-alive HTTP connection; Node’s default'],
  httpSmallBodyBytesMax: [64 * KIB, 'bodies of the control endpoints: a model name, a node id'],
  httpAcceptMs: [
    1_000,
    'a generation that is refused within this gets an HTTP status; later the stream has begun and carries the error',
  ],
  httpPingMs: [10_000, 'a comment in a silent event stream; proxies cut silence after 30-60 s'],
  httpEventIntervalMs: [200, 'least time between two snapshots on /v1/events'],
  httpEventRefreshMs: [
    5_000,
    'a snapshot even without a change: round trip times; the original’s page polls so',
  ],
  httpEventStreamsMax: [64, 'open /v1/events streams; a person has a few tabs'],
  httpStartingMs: [
    10_000,
    'a question waits for a node that starts, which takes a second; then it is told so',
  ],
  httpStreamBufferBytes: [64 * KIB, 'text waiting for a slow reader of a stream before the source is held'],
  httpClosingMax: [64, 'connections that Node may hold beside those in the table: they are being closed'],
  apiTokenCharsMax: [1_024, 'a token in an HTTP header; longer ones are not looked at'],
  httpPathCharsMax: [4_096, 'a folder or the address of a hub in a body: Linux takes no longer path'],
  httpJsonDepthMax: [64, 'deeper than the schemas that clients send in bodies'],
  httpJsonValuesMax: [40_000, 'a conversation of ten thousand messages has thirty thousand'],
  httpJsonNamesMax: [
    4_096,
    'fields of one object in a large body: looking at each costs a microsecond and more',
  ],
  httpJsonNumberCharsMax: [
    1_024,
    'a number or word in a large body; what a double holds is written with 17 digits',
  ],
} as const satisfies LimitTable;
