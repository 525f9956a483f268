/** Of what says where peers might be. Put together with the others in `limits.ts`. */
import { KIB, type LimitTable, MIB } from './limit-table.js';

/** Each with its reason. */
export const DISCOVERY = {
  candidatesMax: [1_024, 'addresses in the pool; the oldest unproven one makes room'],
  candidatesPerHostMax: [64, 'unproven addresses of one host; sixty nodes on one machine is a test bench'],
  refusalsMax: [256, 'refused candidates kept for `exo peers --all`'],
  refusalsPerStrangerMax: [
    8,
    'of them about one host that nobody knows; the rest is for what the user configured',
  ],
  refusalsPerKnownHostMax: [64, 'of them about one host where peers are; as candidatesPerHostMax'],
  newcomersPerSecond: [8, 'unproven announcements let in at first hearing; above it a flood is assumed'],
  newcomersBurst: [32, 'as many as are dialled at once: a LAN of thirty starts together without delay'],
  announcementsRemembered: [
    131_072,
    'slots of 8 bytes that tell a second hearing from a first; ten seconds of ten thousand a second',
  ],
  datagramBytesMax: [8 * KIB, 'a received datagram; ours are under 1200 bytes to pass any MTU'],
  datagramsPerSecondPerSource: [5, 'a sender with five interfaces announces twice a second at most'],
  datagramBurst: [20, 'several nodes behind one address'],
  datagramSourcesMax: [1_024, 'rate-limiter entries; memory under a spoofed flood stays level'],
  announceBytesMax: [64 * KIB, 'a TCP announce; the original reads 4096 in one piece'],
  announceTimeoutMs: [5_000, 'server side of a TCP announce; the original’s'],
  announceConnectionsMax: [32, 'TCP announces being read at once'],
  announceDialsMax: [64, 'TCP announces being sent at once: two seconds of a sweep'],
  sweepDialsPerSecond: [32, 'a /24 takes 8 s: polite to the network'],
  peersFileBytesMax: [4 * MIB, 'ten thousand peers; larger is not a peers file'],
  neighboursMax: [
    1_024,
    'addresses read from the neighbour table of the system, a very large LAN; what is beyond is swept',
  ],
  udpReceiveBufferBytes: [
    2 * MIB,
    'asked of the system, for half a second of ten thousand announcements while a tick is busy',
  ],
  announcedNameCharsMax: [120, 'kept of the name of a model or chip; the original’s longest is under 60'],
  announcedInterfaceCharsMax: [64, 'the name of an interface; Linux has at most 15'],
} as const satisfies LimitTable;
