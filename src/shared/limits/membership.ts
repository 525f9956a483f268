/** When a peer counts as silent, dead, flapping. Put together with the others in `limits.ts`. */
import type { LimitTable } from './limit-table.js';

/** Each with its reason. */
export const MEMBERSHIP = {
  heartbeatMs: [2_000, 'silence after which a health check is sent; any byte counts as life'],
  linkDoubtMs: [
    1_000,
    'without an answer on a connection, while a newer one with the same peer works: the newer one is used',
  ],
  suspectAfterMs: [5_000, 'silence after which a peer is suspect: two heartbeats missed'],
  deadAfterMs: [
    10_000,
    'silence after which a peer is dead: shorter than any person waits, longer than a Wi-Fi roam',
  ],
  patienceMax: [8, 'how many times longer a node waits that is late itself; Lifeguard takes 8'],
  probeHelpersMax: [3, 'members that are asked whether they reach a suspect; memberlist asks 3'],
  probeTimeoutMs: [2_000, 'ping of a suspect for somebody else; two of them fit between suspect and dead'],
  probesInFlight: [64, 'pings of suspects for others at once; what is asked beyond is answered `overloaded`'],
  vouchedPatience: [
    2,
    'how many times longer a suspect is waited for that another member reaches: the path is slow, not the peer gone',
  ],
  flapWindowMs: [
    60_000,
    'a peer that came and went so often within this time flaps; serf looks at 60 s, too',
  ],
  flapsMax: [
    5,
    'deaths within that time after which a return is still believed at once: a restart is tried a few times',
  ],
  flapHoldMsMin: [
    2_500,
    'the next one must stay connected for so long before it is a member again, the one after that twice as long',
  ],
  flapHoldMsMax: [10_000, 'longest such time: views are equal within 15 s of a heal, also after many'],
  wakeProbeMs: [
    3_000,
    'after a sleep that the others noticed, an own connection over which nothing comes for so long is dialled anew',
  ],
  reconnectGraceMs: [
    1_000,
    'a peer that cannot be dialled may dial back this long after its connection broke before it is dead',
  ],
  redialCeilingMsMin: [500, 'first redial ceiling (full jitter)'],
  redialCeilingMsMax: [10_000, 'an outage of any length ends within 10 s of the path’s return'],
  dialsInFlight: [32, 'parallel dials; js-libp2p allows 100 on bigger machines'],
  peersMax: [1_024, 'peers in the table; a mesh is the machines of one team'],
  connectionsPerPeer: [
    4,
    'old and new path while one replaces the other, and the health connection of an old peer',
  ],
  nodeIdCharsMax: [128, 'a UUID has 36, a host name at most 63'],
  warningsKept: [32, 'what a node tells a person to mend, the newest; a screen full'],
  warningsStandingMax: [32, 'of one topic; a file that is wrong as a whole is wrong in every line'],
  warningSourcesMax: [256, 'peers whose rate of warnings is remembered'],
  homeNodesMax: [64, 'nodes without --node-id beside each other with one home; more is a script gone wild'],
  runFileCharsMax: [16_384, 'a run file of another node; it has some 300 bytes'],
  fileNameCharsMax: [
    200,
    'a node id or a mesh as the name of a file; every usual file system takes 255 bytes, and the atomic writer appends a few',
  ],
} as const satisfies LimitTable;
