/** Of connections: how many, how long they wait, what they hold. Put together with the others in `limits.ts`. */
import { KIB, type LimitTable, MIB } from './limit-table.js';

/** Each with its reason. */
export const CONNECTIONS = {
  handshakeTimeoutMs: [
    5_000,
    'first complete frame of an accepted connection that has begun to speak; memberlist and NATS take 2-10 s',
  ],
  heldBytesMax: [
    MIB,
    'what came behind the proofs of a connection while they are judged: it is not read any further, so this is a chunk or two',
  ],
  silentConnectionTimeoutMs: [
    60_000,
    'an accepted connection that never says a byte (port checks leave at once; the original connects before it has something to say)',
  ],
  slowBodyGraceMs: [30_000, 'a body may be this old before its rate is judged'],
  slowBodyBytesPerSecondMin: [16 * KIB, 'slower than any link worth splitting a model over: 0.13 Mbit/s'],
  pendingHandshakes: [128, 'accepted connections in state fresh; OpenSSH drops from 10 to 100'],
  pendingHandshakesPerSource: [
    32,
    'one machine may restart its tunnels, not fill the table; loopback counts as one source and gets four times this',
  ],
  handshakeChanceMs: [
    250,
    'an accepted connection is not turned away for a newcomer before it was there for so long: a hello takes a few round trips',
  ],
  silentInCrowdMs: [
    5_000,
    'an accepted connection that never says a byte, when more than a quarter of the places are taken by such: as long as one that has begun',
  ],
  connectionsPerSecondPerSource: [
    16,
    'new connections of one machine; a node dials each address once and then every half second at most. Loopback, where tunnels and every local program end, gets sixty-four times this',
  ],
  connectionsBurst: [64, 'a machine with many nodes that starts; loopback again sixty-four times this'],
  connectionSourcesMax: [1_024, 'rate-limiter entries, as for datagrams'],
  acceptedConnections: [
    2_048,
    'below the file limit of every system we start on, and twice a thousand peers',
  ],
  requestsInFlightPerConnection: [
    4_096,
    'answers not yet given, per direction; beyond it the sender gets `overloaded`',
  ],
  serialQueuePerConnection: [64, 'base-protocol requests that wait for their turn on one connection'],
  assembliesPerConnection: [256, 'fragmented messages being put together at once on one connection'],
  bulkInRotation: [
    8,
    'fragmented messages that take turns on one connection; the others wait, so that each is done sooner',
  ],
  sendQueueBytesSoft: [
    8 * MIB,
    'above it another request with a large body waits, within its deadline, before it is queued',
  ],
  sendQueueBytesHard: [
    64 * MIB,
    'beyond it, the largest message not counted, the other side is a slow peer and is closed; NATS allows a client as much',
  ],
  sendBudgetBytes: [
    1024 * MIB,
    'the send queues of all connections together; beyond it the one with the longest queue is closed. As much as is received at once',
  ],
  slowPeerMs: [
    10_000,
    'a queue over the soft bound for so long, drained slower than slowBodyBytesPerSecondMin, makes a slow peer; NATS writes for 10 s',
  ],
  stalledWriteMs: [
    10_000,
    'no byte accepted by the socket for this long with data waiting: the path is dead; yamux takes 10 s',
  ],
  requestTimeoutMs: [30_000, 'default deadline of a request; the original’s read timeout'],
  healthTimeoutMs: [5_000, 'deadline of a health check; the original’s'],
  connectTimeoutMs: [5_000, 'TCP connect; the original takes 5 s when it adds a peer'],
  dialAttemptMs: [
    1_000,
    'a dial without an answer gets a fresh attempt for company: Linux before 6.5 sends a lost first packet again only after 1, 3 and 7 s',
  ],
  dialAttemptsMax: [
    3,
    'sockets of one dial at once: with what the system repeats, a first packet leaves every second until connectTimeoutMs',
  ],
  closeGraceMs: [500, 'time for the last bytes (goodbye, error) to leave before a socket is destroyed'],
  streamHighWaterBytes: [
    256 * KIB,
    'bytes given to a socket and not yet taken by the system before bulk waits: one fragment, so that priorities can pass',
  ],
  writeBatchBytes: [
    512 * KIB,
    'most bytes of one system call: each one taken is progress that is seen; smaller ones cost throughput',
  ],
  tlsBatchBytes: [
    64 * KIB,
    'the same where it is encrypted: a copy is made of each, and a batch should fit into a small window as a whole',
  ],
  writeBurstBytes: [
    1 * MIB,
    'bytes written before the event loop turns: a fast reader must not keep this side from reading',
  ],
  receiveScratchBytes: [
    256 * KIB,
    'one buffer for all sockets of a transport; with 64 KiB the system often leaves the window small, at half the rate',
  ],
  tcpKeepaliveMs: [15_000, 'idle time before TCP probes; keeps NAT and firewall entries alive'],
  acceptBacklog: [511, 'connections made by the system and not yet accepted; Node’s default'],
} as const satisfies LimitTable;
