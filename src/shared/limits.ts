/**
 * Every bound of the program, in one place. Each entry is `[value, reason]`; the unit is the last word of
 * the name (Bytes, Ms, PerSecond; a bare noun is a count). docs/LIMITS.md is made from this file.
 */

const KIB = 1024;
const MIB = 1024 * KIB;

const TABLE = {
  // ------------------------------------------------------------------ frames, by state of the connection
  freshFrameBytesMax: [
    64 * KIB,
    'before the first health check nothing large is needed; OpenSSH allows 256 KiB, syncthing’s hello 32 KiB',
  ],
  helloBytesMax: [16 * KIB, 'a hello with capabilities is under 2 KiB; the rest is room for later fields'],
  legacyStrangerFrameBytesMax: [
    1 * MIB,
    'an old peer at an address nobody named may send prompts and results, not weights',
  ],
  legacyFrameBytesMax: [
    256 * MIB,
    'an old peer on loopback or at a configured address: as an established one',
  ],
  establishedFrameBytesMax: [
    256 * MIB,
    'the largest tensor: 8k tokens x 8k hidden x 4 bytes; gRPC in the first exo allowed 256 MiB',
  ],
  controlFrameBytesMax: [1 * MIB, 'topology, status, results and errors; NATS caps a payload at 1 MiB'],
  metadataBytesMax: [64 * KIB, 'JSON in front of a tensor; 175 bytes are usual'],
  promptBytesMax: [8 * MIB, 'about two million tokens of text; longer ones are files'],
  fragmentBytesMax: [256 * KIB, '20 ms of a 100 Mbit/s link: what a health check may have to wait behind'],
  memoryBudgetBytes: [
    1024 * MIB,
    'bodies being received and not yet handled, over all peers; beyond it large messages are refused',
  ],
  legacyBudgetBytes: [512 * MIB, 'the part of it that peers without a hello may use together'],
  smallBodyBytesMax: [64 * KIB, 'bodies up to this come from a shared slab and outside the budget'],
  payloadPoolBytesMax: [
    64 * MIB,
    'large buffers kept for their next use: four 16 MiB tensors; what is more goes back to the system',
  ],
  slabsKept: [
    16,
    'slabs of 64 KiB kept for their next use: what a connection has on its way at once, and some',
  ],
  bodiesShownMax: [16, 'bodies that answers on their way still show; more are left to the garbage collector'],
  metadataKept: [128, 'metadata texts remembered per connection: one for each request and shape in flight'],
  metadataKeptBytesMax: [1 * KIB, 'longer ones, with a large inference state, are not worth remembering'],
  jsonDepthMax: [32, 'topology nests 5 deep; deeper input is hostile'],
  authBytesMax: [32 * KIB, 'proofs of a connection, and keys on their way to a trusted node'],
  authProofsMax: [8, 'ways to be known that one end tries; there are four'],
  authFieldCharsMax: [4 * KIB, 'one field of a proof: an RSA public key of 16,384 bits has 2,800'],
  meshKeysMax: [8, 'mesh keys at once: the newest, and older ones in their grace time'],
  errorTextCharsMax: [1_000, 'what a person reads of a failure on another machine'],
  reasonCharsMax: [400, 'a reason in a message: a sentence that a person reads'],
  tensorRankMax: [8, 'dimensions of a tensor: more than any model has'],
  // ------------------------------------------------------------------ connections
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
  // ------------------------------------------------------------------ membership
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
  // ------------------------------------------------------------------ discovery
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
  // ------------------------------------------------------------------ tunnels
  tunnelsMax: [256, 'ssh sessions of one node; a team has tens of machines'],
  tunnelForwardsMax: [64, '-L and -R of one tunnel together'],
  tunnelConnectTimeoutMs: [
    10_000,
    'TCP connect and ssh banner; the usual ConnectTimeout of supervised tunnels',
  ],
  tunnelKeepaliveIntervalMs: [10_000, 'ServerAliveInterval: a dead session ends after three of them'],
  tunnelKeepaliveCountMax: [3, 'ServerAliveCountMax; ssh’s own default'],
  tunnelProbeIntervalMs: [10_000, 'health check through a forward while nothing is wrong'],
  tunnelProbeTimeoutMs: [3_000, 'answer to such a check; the slowest link worth using takes under 2 s'],
  tunnelGateMs: [30_000, 'from the start of ssh to the first proof; autossh’s gate time'],
  tunnelHistoryMax: [64, 'changes of state kept per tunnel'],
  tunnelWordCharsMax: [1_024, 'one word of a description: a path or a forward; the longest host name is 255'],
  tunnelHostCharsMax: [255, 'a host or a user; DNS ends at 253'],
  tunnelJumpsMax: [8, 'jump hosts of one tunnel, also those that ssh_config adds; two are usual'],
  tunnelSocketPathBytesMax: [
    100,
    'path of a unix socket: macOS takes 103 bytes, Linux 107, and ssh adds some while it makes one',
  ],
  tunnelProbeRepeatMs: [1_000, 'a check that failed is repeated so soon; three in a row end the session'],
  tunnelProbeDownMs: [
    2_000,
    'between two checks while ssh works and nothing answers behind it for a minute: a local connect each',
  ],
  tunnelProbeMissesMax: [
    3,
    'checks in a row without an answer before the session is given up; as ServerAliveCountMax',
  ],
  tunnelProbeUrgentMs: [
    800,
    'answer to a check after sleep or a change of the network; at least four usual round trips',
  ],
  tunnelProbesInFlight: [16, 'forwards of one tunnel checked at once'],
  tunnelBurstProbes: [
    60,
    'messages that show whether small ones are held back: one in twelve is, where it occurs, so two of these nearly always',
  ],
  tunnelBurstBytes: [
    8_192,
    'length of each of them: activations of one token; under one segment of loopback',
  ],
  tunnelBurstMs: [1_500, 'for all of them together; the proof of the tunnel waits for it'],
  tunnelKnockTimeoutMs: [
    1_200,
    'TCP connect to see whether a host is back: the first SYN and the one that follows it after a second',
  ],
  tunnelEvictMs: [20_000, 'to end a stale session on the far machine: one connect and a login'],
  tunnelFirstHopMs: [5_000, 'to ask ssh where it would connect to; it reads its configuration only'],
  tunnelSteadyMs: [60_000, 'a tunnel that was up for so long has no past; autossh forgets after 60 s too'],
  tunnelRestartSpacingMs: [
    2_000,
    'between the starts of two sessions that worked; a flapping server sees no more',
  ],
  tunnelQuickRestartsMax: [
    30,
    'restarts without delay in a row after sessions that had worked; autossh allows 5',
  ],
  tunnelQuickRestartRefillMs: [10_000, 'one more of them is allowed after this'],
  tunnelBackoffCeilingMsMax: [
    60_000,
    'longest wait after a session that never worked; the usual cap is 60 s',
  ],
  tunnelOpeningPerHostMax: [
    8,
    'ssh logins under way at one server: sshd drops from 10 (MaxStartups 10:30:100)',
  ],
  tunnelWakeLateMs: [4_000, 'a second that lasted so much longer, on either clock, was sleep'],
  tunnelNetworkCheckMs: [2_000, 'between two looks at the list of interfaces'],
  tunnelChannelsMax: [
    512,
    'connections at once through one ssh session of the ssh2 driver; a mesh needs a few per peer',
  ],
  knownHostsBytesMax: [4 * MIB, 'a known_hosts file; with hashed names some 20,000 hosts'],
  knownHostsLineCharsMax: [16 * KIB, 'an RSA key of 16,384 bits has 2,800; ssh reads lines of any length'],
  sshKeyFileBytesMax: [64 * KIB, 'a private key; an RSA key of 16,384 bits has 12 KiB'],
  sshConfigBytesMax: [
    1 * MIB,
    'ssh_config where there is no ssh to read it; long ones have some hundred hosts',
  ],
  embeddedSessionsMax: [64, 'ssh connections to the embedded server at once, logged in or not'],
  embeddedChannelsMax: [256, 'channels of one such connection; a window of 2 MiB stands behind each'],
  embeddedAuthTimeoutMs: [10_000, 'time to log in to it; OpenSSH gives 120 s to a person who types'],
  embeddedAuthTriesMax: [6, 'refused keys before it hangs up; OpenSSH’s MaxAuthTries'],
  tunnelFarAddressesMax: [
    64,
    'addresses of the far machine that a tunnel leads to from here: those of its -R, as many as it may have forwards',
  ],
  muxMessageBytesMax: [
    256 * KIB,
    'one message of an ssh master; ssh sends no longer ones, and answers to us are under 200 bytes',
  ],
  sshOutputCharsMax: [
    16_384,
    'kept of what ssh or a login shell writes, of its begin and of its end; a login at DEBUG1 writes 6 KiB',
  ],
  sshSaidCharsMax: [8_192, 'kept of what ssh says while one forward is asked for, or one connection refused'],
  sshConfigCharsMax: [
    256 * KIB,
    'of ssh -G, which prints 4 KiB; a configuration with hundreds of key files stays under this',
  ],
  sshBannerBytesMax: [8_192, 'lines before the banner of a server (RFC 4253, 4.2); more is no server'],
  tunnelProbeTimeoutSecondsMax: [
    60,
    '`--tunnel-probe-timeout`: a path that answers later is of no use to anybody',
  ],
  sshGreetingBytesMax: [1_024, 'an sshd’s greeting has at most 255 bytes; what does not end is none'],
  // ------------------------------------------------------------------ trust
  nodeKeyFileBytesMax: [4 * KIB, 'an Ed25519 key has 120 bytes, the mark of the machine 65'],
  trustFileBytesMax: [4 * MIB, 'four thousand nodes have about 1 MiB'],
  trustPollMs: [
    1_000,
    'between two looks whether a command changed keys or trust, or an editor authorized_keys',
  ],
  modelsLookEveryMs: [
    2_000,
    'between two looks at the folders of models, whatever names are asked for: a look reads headers of files',
  ],
  authorizedKeysSettleMs: [
    250,
    'an editor that empties authorized_keys and writes it again is done by then; looked at again before anybody goes',
  ],
  trustLockMs: [
    10_000,
    'a lock on such a file that does not move for so long is left over; it is held for ms',
  ],
  trustLockWaitMs: [30_000, 'for such a lock before the change is given up'],
  trustedNodesMax: [
    4_096,
    'nodes with a known key; as topologyNodesMax. The oldest that is only pinned makes room',
  ],
  meshKeyGraceMs: [
    7 * 24 * 60 * 60 * 1000,
    'a replaced mesh key is still accepted: a laptop that was off for a week comes back by itself',
  ],
  authTokenCharsMin: [16, 'a token that people made up; every guess costs an attacker one scrypt'],
  invitationsMax: [64, 'invitations not used yet'],
  invitationMs: [24 * 60 * 60 * 1000, 'to walk over to the other machine, or to send a message and wait'],
  invitationGuessesMax: [
    5,
    'wrong proofs for one invitation in a row; more wait for invitationGuessRefillMs each',
  ],
  invitationGuessRefillMs: [10_000, 'one more of them after this'],
  sshAgentTimeoutMs: [3_000, 'answer of an ssh agent; one that asks a person holds up the handshake'],
  sshSignKeysMax: [4, 'ssh keys that sign for one handshake'],
  authorizedKeysBytesMax: [1 * MIB, 'an authorized_keys file; some 2,500 RSA keys'],
  sshRsaBitsMin: [2_048, 'shorter RSA keys are refused; OpenSSH makes 3,072'],
  sshChallengeMs: [5 * 60 * 1000, 'from a challenge to its signature: a person may have to touch something'],
  sshChallengesUsedMax: [
    4_096,
    'challenges that were answered and must not be again, until they are too old',
  ],
  sshSessionMs: [24 * 60 * 60 * 1000, 'a session by ssh key; a day of work'],
  sshSessionsMax: [256, 'sessions by ssh key at once; the oldest of the same key makes room'],
  sshSessionsPerKeyMax: [16, 'sessions of one ssh key at once'],
  tokenFileBytesMax: [4 * KIB, 'a file with one token'],
  meshKeyProofsMax: [5, 'of the eight proofs of a connection; the others are for other methods'],
  meshKeyAheadMsMax: [
    24 * 60 * 60 * 1000,
    'a clock may be a day wrong; a key from next year would stay the newest for a year',
  ],
  secretCharsMax: [4_096, 'a mesh key or an invitation as somebody wrote it; they have some hundred'],
  fingerprintCharsMax: [128, '`SHA256:` and 43 characters, however it is written'],
  meshKeyGraceMsMax: [
    30 * 24 * 60 * 60 * 1000,
    'an older mesh key is accepted for a month at most; a machine that was away longer joins anew',
  ],
  sshKeyLineCharsMax: [
    8_192,
    'a line of authorized_keys with an RSA key of 16,384 bits has 2,800; a signature of one fewer',
  ],
  sshChallengeCharsMax: [128, 'a challenge of ours has 44'],
  sshFormatCharsMax: [64, 'the name of a signature format; OpenSSH’s longest has 43'],
  // ------------------------------------------------------------------ topology
  topologyNodesMax: [4_096, 'nodes in the graph'],
  topologyEdgesPerNode: [1_024, 'as peersMax'],
  topologyTextCharsMax: [256, 'an edge description, model or chip; the longest known chip name has 60'],
  memoryMbMax: [
    64 * 1024 * 1024,
    '64 TiB, twice the largest server on sale; a larger claim counts as this, so that no sum of shares overflows',
  ],
  topologyEpochAheadMs: [
    24 * 60 * 60 * 1000,
    'how far ahead of the clock an entry told by others may start: clocks set to the wrong time zone stay within it',
  ],
  topologyTombstoneMs: [
    600_000,
    'how long an absent node’s entry is kept, so that a late old one is known as old; frames live seconds',
  ],
  formerLinksKept: [
    64,
    'lost nodes whose links are remembered until it is clear who lost them; a whole mesh rarely dies at once',
  ],
  topologyUpdateBytesMax: [
    512 * KIB,
    'entries of one update, estimated: half of a control frame, so that the estimate may be off',
  ],
  topologyPushDelayMs: [50, 'changes within this time travel in one message'],
  topologySettleMs: [250, 'time a newcomer has to announce its links itself before its neighbours do'],
  topologySyncMemoryMs: [5_000, 'views equal to one just asked for are not asked for again within this'],
  topologySyncMs: [15_000, 'a random neighbour’s digest is compared this often, in case a push was lost'],
  legacyTopologyMs: [2_000, 'poll of an old peer’s topology; the original’s own loop'],
  // ------------------------------------------------------------------ models
  safetensorsHeaderBytesMax: [
    100_000_000,
    'names and places of the tensors of one file; the safetensors library takes as much, an 8B model has 30 KB',
  ],
  safetensorsDimensionsMax: [8, 'of one tensor; weights of a decoder have two, ggml takes four'],
  checkpointIndexBytesMax: [16 * MIB, 'model.safetensors.index.json; the largest known has 9 MB'],
  checkpointFilesMax: [1_024, 'files of one checkpoint; the largest known has 191'],
  modelConfigBytesMax: [4 * MIB, 'config.json and its like; 1 to 50 KB are usual'],
  modelSizeMax: [
    16_777_216,
    'hidden size, vocabulary, heads and the like in a config; the largest known vocabulary has 262,208',
  ],
  modelLayersMax: [1_024, 'layers in a config; the largest known model has 126'],
  tokenizerBytesMax: [
    64 * MIB,
    'tokenizer.json; Gemma’s has 33 MB, and is held several times over while it loads',
  ],
  chatTemplateBytesMax: [1 * MIB, 'a chat template; the longest known have 20 KB'],
  chatTemplateRangeMax: [
    10_000,
    'numbers that a chat template counts through at once; templates count messages',
  ],
  tokenizerLoadMs: [
    60_000,
    'to read a tokenizer in its thread; the largest known take 2.4 s, ten times as long on a small machine',
  ],
  tokenizerEncodeMs: [30_000, 'to encode a prompt there; 60,000 tokens take 0.8 s'],
  chatTemplateMs: [5_000, 'to render a conversation there; the longest known templates take 20 ms'],
  tokenizerJobsMax: [64, 'texts that wait for one tokenizer; as generationsMax'],
  tokenizerHeapMbMax: [
    1_024,
    'memory of a tokenizer’s thread; the largest known vocabulary needs 400 MiB while it loads',
  ],
  tokenizersMax: [
    16,
    'tokenizers open at once, each in a thread; more models than a few never are in use at once',
  ],
  attentionHeadsMax: [65_536, 'heads, and elements of one: frequencies are computed for each of these'],
  modelFilePathCharsMax: [512, 'the path of a file in a repository: some folders and a name'],
  // ------------------------------------------------------------------ models on disk
  modelLearnMs: [
    20_000,
    'that a member of a ring waits for configuration and tokenizer of a model: well within ringHopTimeoutMs; the sender then asks again',
  ],
  modelLearnMarginMs: [
    5_000,
    'before the end of its response timeout a client is told how far they are instead',
  ],
  modelsPerPlaceMax: [2_000, 'models in one folder; a look at 300 of them takes a second'],
  modelSurveysKept: [
    4_096,
    'folders of models that are looked into again only when a file there has changed',
  ],
  modelsLookMs: [
    60_000,
    'for one look at all folders; what a slow disk has not shown by then is found when it is asked for',
  ],
  modelsStartMs: [400, 'that a start waits for its first look; it goes on meanwhile'],
  modelRecordCharsMax: [16 * MIB, 'what is recorded of a model’s files; ten thousand have less'],
  // ------------------------------------------------------------------ fetching models
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
  // ------------------------------------------------------------------ files between nodes
  fileBytesMax: [
    1 * MIB,
    'of one file in one answer to another node: four fragments, so that a tensor on the same connection waits for one',
  ],
  fileBytesMin: [
    16 * KIB,
    'of such an answer, where the link is slow or busy: 130 ms at 1 Mbit/s; what is asked for first',
  ],
  fileReadsPerPeer: [2, 'such answers under way for one node: the next is read while the last one travels'],
  fileReadsMax: [4, 'such answers being read for all nodes at once; the disk is also read by the engine'],
  fileReadsQueuedMax: [64, 'such questions that wait for their turn; more are answered `overloaded`'],
  fileRangesMax: [512, 'ranges of one file in a list; a shard’s has some ten'],
  fileRangesListedMax: [8_192, 'ranges of all files in one list: it must fit a message'],
  fileLooksMax: [
    4,
    'looks at a disk on which a claim changes again and again; then the asking node asks again',
  ],
  peerFileFailuresMax: [
    4,
    'failures of one node with one file before it is left: a file that gets its name, or a connection that is replaced, costs one',
  ],
  filesListedMax: [1_024, 'files of a model in one list; the largest models have some 300'],
  peerFilesTimeoutMs: [10_000, 'answer of another node about files; one that takes longer is not waited for'],
  peerFilesLookMs: [
    250,
    'between two looks at what another node has meanwhile, of what it fetches from the hub for both',
  ],
  peerFilesPatienceMs: [
    15_000,
    'without more of a file at the node that fetches it, before this one fetches it, too',
  ],
  modelFetchesMax: [
    64,
    'downloads of a node that run or wait, over all models; as many as it has generations, each of which may name another',
  ],
  downloadTellMs: [500, 'least time between two reports of a download to other nodes'],
  downloadHeardMs: [
    15_000,
    'a download of another node of which nothing is heard for so long is not shown any more',
  ],
  downloadStatusFiles: [32, 'files in such a report: those under way first'],
  downloadsShownMax: [
    256,
    'downloads of all nodes that a node tells of: every node of a large mesh and some that are over',
  ],
  // ------------------------------------------------------------------ engines
  engineLoadMs: [
    30 * 60 * 1000,
    'to load a shard: 32 GiB from a disk of 20 MB/s; what takes longer hangs, and the engine’s process is started anew',
  ],
  engineTurnMs: [
    1_000,
    'for another engine of this machine to end its step: longer than a step of any answer that is worth waiting for; a part of a prompt may take as long',
  ],
  engineProfileMs: [
    5 * 60 * 1000,
    'to measure a machine, which waits for the steps that run: part of a prompt takes two minutes on slow ones; a load is not counted',
  ],
  engineModelsKept: [32, 'models of which an engine remembers how fast it was; a node computes a few'],
  modelNamesKept: [
    256,
    'models that clients have named and that a node remembers something of; they may name any',
  ],
  fatalShardsKept: [64, 'shards that are remembered because the engine’s process ended while it loaded them'],
  engineHeadBytesMax: [
    16 * MIB,
    'head of a frame between node and engine process; the description of a model of a hundred layers is under a megabyte',
  ],
  enginePayloadBytesMax: [
    1024 * MIB,
    'its tensor: eight thousand tokens of a model with 32,768 hidden elements in float32',
  ],
  engineResultBytes: [
    16 * MIB,
    'memory that both share: logits of 26 requests with a vocabulary of 150,000; what has no room goes over the pipe',
  ],
  madeWeightsBytesMax: [
    32 * 1024 * MIB,
    'made weights on the disk: three models of 8 billion weights in both kinds of quantisation',
  ],
  diskSpareBytes: [2 * 1024 * MIB, 'left for everybody else on that disk'],
  engineThreadsMax: [1_024, '`--threads`: the largest machines on sale have some hundred cores'],
  // ------------------------------------------------------------------ inference and HTTP
  generationsMax: [64, 'generations running or waiting on the node that took the request'],
  generationLookMs: [
    250,
    'between two looks whether an answer stands still; a fraction of what is then waited for',
  ],
  generationStillMs: [
    2_000,
    'without a token before the members of the ring are doubted; a token takes a tenth of it on slow machines, and a prompt alone is no reason',
  ],
  resultsRemembered: [
    2_048,
    'results of the last seconds that are sent again when the connection to their reader changes: ten answers at 20 tokens/s, for ten seconds',
  ],
  resultsRememberedMs: [
    20_000,
    'for so long a broken path may go unnoticed where another member reaches the peer; what came before has arrived, or the peer is dead',
  ],
  ringSilentMs: [
    3_000,
    'of silence before a member of a ring that stands still is left: it was asked after two seconds, and a round trip takes less than one',
  ],
  generationRetryMs: [
    5_000,
    'a ring that broke is tried again this long: nodes that met agree in under 1 s, a dead path takes longer',
  ],
  generationBreaksMax: [
    32,
    'times that one answer is taken up in another ring; each costs the whole prompt again',
  ],
  generationRetryDelayMsMin: [50, 'before such a try: a change of the topology travels 50 ms later'],
  generationRetryDelayMsMax: [250, 'as topologySettleMs; a person does not notice it'],
  tokensQueuedMax: [4_096, 'tokens not yet read by a slow client before it is cut'],
  ringSteadyMs: [
    1_000,
    'without a change for so long, a missing connection is no passing state; nodes that met agree in less',
  ],
  modelIdCharsMax: [
    512,
    'name of a model in a question for an offer; a repository of the hub has at most 193',
  ],
  offerWaitMs: [
    500,
    'a node that has not said by then what it offers takes no layers; a person waits for it',
  ],
  offerPatienceMs: [
    5_000,
    'where there is no ring without it: a machine that computes for others says it late, and is not silent',
  ],
  linkRateKeptMs: [
    10 * 60 * 1000,
    'what was measured of a link counts for so long, and it is not tried again before; paths seldom change sooner',
  ],
  linkProbeMs: [
    1_500,
    'for a ping of 64 or 256 KiB that measures a link: what takes longer is slower than any link worth splitting a model over',
  ],
  linkRetryMs: [
    30_000,
    'until a link whose measurement failed is tried again: its far node may have been busy for a moment',
  ],
  linkProbesPerMinute: [
    8,
    'links that a node measures because somebody plans; a ring is chosen among six nodes, and a stranger may ask often',
  ],
  ownOfferMs: [
    20_000,
    'until a node goes on without an offer of its own: the engine starts and measures itself in 2 s, or is stuck',
  ],
  offersKeptMs: [
    5_000,
    'an offer is used again for so long: memory and files of a node seldom change sooner',
  ],
  offersKeptMax: [1_024, 'offers that a node remembers, over all nodes and models'],
  offersInFlight: [16, 'questions for an offer that a node works on at once; each reads a few small files'],
  ringMembersMax: [
    128,
    'places of a ring that is told; the largest open model has 126 layers, and so many names fit the metadata of a tensor',
  ],
  ringsRemembered: [
    64,
    'models of which the last ring is remembered; the next is like it where nothing speaks for another',
  ],
  plansKept: [32, 'answers whose plan is remembered beside what it came to'],
  ringHopTimeoutMs: [30_000, 'a tensor must be accepted by the next node within this'],
  ringRequestsMax: [1_024, 'requests that a ring member works on: full entry nodes, sixteen of them'],
  ringStepsQueuedMax: [
    64,
    'steps of one request that wait on a member that computes longer than ringHoldMs at each; the parts of a prompt of 32,768 tokens',
  ],
  stepTokensMax: [
    65_536,
    'token ids of one tensor for the first layer: one is usual, and reading so many holds up the loop for some ms',
  ],
  promptTokensMax: [
    262_144,
    'token ids of a prompt, and of the answer that it goes on with; the longest contexts of open models, 2 MB of JSON',
  ],
  prefillChunkTokens: [
    512,
    'of a prompt that are computed at once, so that the nodes of a ring work at the same time; the batch that ggml is tuned for',
  ],
  ringStepsHeld: [
    4,
    'steps of one request that wait on a member before it lets the next one wait to be taken over: a slow member slows those before it',
  ],
  ringHoldMs: [10_000, 'a step is held so long at most; well within ringHopTimeoutMs'],
  logitBiasMax: [300, 'tokens with a bias in one request, as at OpenAI'],
  topLogprobsMax: [20, 'of the likeliest tokens that are told beside the chosen one; OpenAI’s bound'],
  resultTokensMax: [1_024, 'tokens of one result with log probabilities; one is usual'],
  penaltyTokensMax: [
    4_096,
    'tokens of prompt and answer that penalties look at; as JSON they fit the metadata of a tensor (64 KiB)',
  ],
  ringQueueBytesMax: [
    512 * MIB,
    'tensors taken over and not yet computed, over all requests; two of the largest',
  ],
  ringEndedKept: [
    4_096,
    'ids of requests that ended early, so that what is still on its way does not revive them',
  ],
  ringRefusalsPerSecond: [
    10,
    'refused work of old peers that is broadcast as a failed result; the rest is logged',
  ],
  resultsReorderedMax: [64, 'results that came before one that is missing; two connections differ by a few'],
  statusPromptCharsMax: [4_096, 'of the prompt in a status broadcast; a status is a control frame of 1 MiB'],
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
  httpStreamBufferBytes: [64 * KIB, 'text waiting for a slow reader of a stream before the source is held'],
  stopSequencesMax: [16, 'stop sequences of one request; OpenAI takes 4'],
  stopSequenceCharsMax: [1_024, 'text held back while a stop sequence may be beginning'],
  pingTimeoutMsMax: [60_000, 'longest wait that POST /v1/ping takes'],
  httpClosingMax: [64, 'connections that Node may hold beside those in the table: they are being closed'],
  generateTokensMax: [
    1_000_000,
    '`--max-generate-tokens`: a million are weeks of generation; more is a typing mistake',
  ],
  apiTokenCharsMax: [1_024, 'a token in an HTTP header; longer ones are not looked at'],
  httpPathCharsMax: [4_096, 'a folder or the address of a hub in a body: Linux takes no longer path'],
  httpJsonDepthMax: [64, 'deeper than the schemas that clients send in bodies'],
  httpJsonValuesMax: [100_000, 'a conversation of ten thousand messages has thirty thousand'],
  // ------------------------------------------------------------------ the command line
  apiAnswerBytesMax: [
    64 * MIB,
    'an answer of a node; a mesh of a thousand nodes has some megabytes of status',
  ],
  eventCharsMax: [
    1_000_000,
    'one event of a stream: a token, or the names of the files of a model; a megabyte of it is not from a node',
  ],
  childOutputCharsMax: [
    1 * MIB,
    'kept of what a program prints; what a hostile far side prints beyond it ends the command',
  ],
  farLineCharsMax: [256 * KIB, 'a line between the two ends of exo connect; it holds one peer entry at most'],
  farStderrCharsMax: [4_000, 'kept of what the far program says beside it'],
  logBytesMax: [8 * MIB, 'of the log of a background node, which is then put aside at its next start'],
  quotedCharsMax: [60, 'of what a person wrote, in the message that refuses it'],
  pullNodesAskedMax: [4, 'nodes of one EXO_HOME share its folder of models; the first that can does it'],
  searchResultsMax: [100, 'models that one search lists; a person reads no more'],
  shellLineCharsMax: [64 * KIB, 'the longest command line that is built; every system takes 128 KiB'],
  farMessageCharsMax: [1_000, 'an error of the far side of exo connect: a sentence or two'],
  portTriesMax: [200, 'ports that are tried for a free one, one after the other'],
  tunnelWaitSecondsMax: [86_400, '`exo tunnel open --wait`: a day'],
  verifyTokensMax: [1_000, 'tokens of one answer that is compared'],
  verifyTimeoutSecondsMax: [
    3_600,
    'an hour for one answer: a slow machine, which may have to fetch its model first',
  ],
  pingCountMax: [1_000_000, 'eleven days of one a second; more is a typing mistake'],
} as const satisfies Record<string, readonly [number, string]>;

/** The name of a bound. */
export type LimitName = keyof typeof TABLE;

/** Every bound by name. */
export const LIMITS = Object.fromEntries(Object.entries(TABLE).map(([name, [value]]) => [name, value])) as {
  readonly [Name in LimitName]: number;
};

/** Every bound with its reason, in the order of this file: what docs/LIMITS.md is made of. */
export const LIMIT_REASONS: ReadonlyArray<{ name: LimitName; value: number; reason: string }> = (
  Object.entries(TABLE) as Array<[LimitName, readonly [number, string]]>
).map(([name, [value, reason]]) => ({ name, value, reason }));
