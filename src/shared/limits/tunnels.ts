/** Of ssh tunnels and their supervision. Put together with the others in `limits.ts`. */
import { KIB, type LimitTable, MIB } from './limit-table.js';

/** Each with its reason. */
export const TUNNELS = {
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
  tunnelReleaseMs: [
    4_000,
    'a reload is answered when the ssh of what is gone has ended, or after this; one that does not end is killed after 1 s',
  ],
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
  portTableBytesMax: [
    16 * MIB,
    'read of the kernel’s table of sockets to see who has a port: a hundred thousand of them',
  ],
  sshGreetingBytesMax: [1_024, 'an sshd’s greeting has at most 255 bytes; what does not end is none'],
} as const satisfies LimitTable;
