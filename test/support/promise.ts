/**
 * What the program promises about reliability, and how a test says what it measured of it. `npm run campaign` collects the lines
 * (through tools/test-reporter.mjs) into docs/RELIABILITY.md; a promise that no test reports stands there as not measured.
 */

/** Every promise: an id that stays, and what must hold. Tests name the id; nobody else repeats the text. */
export const PROMISES = {
  P1: 'Every frame and message is byte-equal to its golden vector, both ways',
  P2: 'Any chunking of the bytes gives the same frames: 100,000 cases, 0 differences',
  P3: 'Random and mutated bytes: only our own error types come out; inputs that failed once are kept',
  P4: 'A header that announces 2³²−1 bytes, 10,000 times: closed at the header; memory grows by ≤ 8 MiB in total',
  P5: 'The largest legal length at 1 byte/s: closed ≤ 31 s; memory ≤ bytes sent + 64 KiB',
  P6: '1 MiB in chunks of 1 byte ≤ 2 s, time linear; 256 KiB frames ≥ 50 % of what raw sockets do in the same run',
  P7: 'Round trip p50 ≤ 3 × a raw echo, p99 ≤ 5 ×; p99 ≤ 20 ms beside a transfer of 64 MiB on loopback',
  P8: 'A slow reader: sender memory ≤ 64 MiB + 10 %; closed with `slow-peer` ≤ 12 s; p99 of others ≤ 2 × before',
  P9: 'Bad magic, HTTP, an ssh banner on the port: closed ≤ 100 ms, no byte in reply, one rate-limited log line',
  P10: 'Old and new versions, unknown types, extra fields: negotiated, or refused with a code; never a crash',
  H1: '500 half-open sockets: ≤ 32 pending; an honest handshake p99 ≤ 250 ms; memory ≤ +64 MiB; all gone ≤ 6 s',
  H2: 'Wrong key, replayed hello, swapped identity: refused, equal code, time within noise; 10,000 tries lock nobody out',
  H3: 'Two nodes dial each other at the same instant, 1,000 times: exactly one connection stays',
  D1: 'Two nodes on one LAN by udp: both list both ≤ 6 s, 20 of 20',
  D2: 'Broadcast blocked, peers.json given: both list both ≤ 3 s',
  D3: 'Broadcast passes one way only: both list both ≤ 6 s',
  D4: 'Three interfaces, one dead, one link-local: a working address ≤ 5 s, and the reason for the others in words',
  D5: 'One id on two machines: said on both ≤ 10 s, and no flapping',
  D6: '10,000 forged announcements/s for 30 s: table ≤ 1,024; bytes out ≤ in; loop delay p99 ≤ 50 ms; a real peer ≤ 10 s',
  D7: 'peers.json edited, broken, mended: in force ≤ 2 s; a broken file keeps the old state and names the line',
  M1: 'kill -9 of one of three: seen ≤ 1 s, 20 times',
  M2: 'A machine vanishes (link down), 20 times: suspect ≤ 6 s, dead ≤ 12 s p99',
  M3: '10 minutes on each kind of link: 0 false deaths from good Wi-Fi to slow 3G, ≤ 1 on congested cellular',
  M4: 'SIGSTOP for 2 s: 0 deaths; for 15 s: dead once, back ≤ 5 s, and the one that was stopped accuses nobody',
  M5: 'Partition 2 : 3 for 60 s, then heal: views equal ≤ 15 s, no id twice',
  M6: 'Outage of 10 s: back ≤ 3 s p95; of 5 min: back ≤ 32 s',
  M7: '100 nodes, the hub restarts: peak of dials per second ≤ 2 × their mean after the first second',
  T1: 'kill -9 of the ssh child, 20 times: up again ≤ 3 s p95',
  T2: 'A tunnel turns into a black hole: degraded ≤ 14 s, restarted ≤ 35 s',
  T3: 'sshd down for 60 s: up ≤ 5 s p95 after its return inside the fast window, never > 60 s',
  T4: 'The remote port is taken when the tunnel comes back: never reported up, `remote-port-busy`, up ≤ 5 s after release',
  T5: 'Wrong key, unknown or changed host key: fatal after one attempt; nothing offered before the host is verified',
  T6: '10 minutes against a host that refuses: ≤ 20 starts',
  T7: '100 MiB through 9 chained -L/-R: same hash; ≥ 60 % of the rate of one hop of ssh itself, per hop',
  T8: '100,000 strings as destination and options: no argument that begins with - before --; no command ever runs',
  T9: '50 tunnels, a reload changes one: 49 keep their process',
  T10: 'The manager stops, or is killed: no ssh child left ≤ 2 s, or ≤ 40 s',
  A1: '200 clients that send headers slowly: gone ≤ 13 s; a normal request p99 ≤ 500 ms',
  A2: 'Foreign Host or Origin, no token, a bind beyond loopback without a key: 403, 401, refuses to start',
  A3: 'The OpenAI answers have the shapes of its own client: a stream ends with DONE, errors are typed',
  A4: 'A client leaves amid its stream: the engine stops ≤ 1 token or 500 ms later',
  I1: 'A holder of layers is killed while it computes: error ≤ 2 s, nobody dies, next answer ≤ 5 s after the new plan',
  I2: 'A node joins while a model speaks: the running answer is the same token by token',
  I3: '100,000 partitions: contiguous, complete, never above what a node holds; a clear refusal where none is possible',
  I4: 'One node and three, same seed: the same tokens',
  R1: 'Logits of small random checkpoints of every family: error ≤ 1e-4 to transformers, greedy ids equal, also split, chunked, batched',
  R2: 'The demo model chats offline, split over two nodes through a tunnel',
  R3: 'A ring with an old peer between two of ours, or at an end: the ids of one node alone; the answer outlives the old peer',
  R4: 'Kill -9 of node or engine, cut, pause, join, at 20 random tokens each: the same text, on ≤ 5 s + prefill, none hung or doubled',
  R5: 'Without recovery the same faults lose answers: the check of R4 can fail',
  R6: 'Downloads: 20 × kill -9, corrupt bytes, 429, 500, no ranges, full disk: the right hash, no good byte twice, never above 100 %',
  R7: 'Unsupported, damaged or missing files, a prompt too long, NaN, out of memory: each its error, and the next request is served',
  R8: '30 min of 8 clients, aborts, long and short prompts, engine restarts: memory and handles level, no wrong answer, every request ends',
  J1: 'A job is cancelled, times out or loses its lease: its whole tree is gone ≤ 6 s',
  J2: 'Paths with .., absolute, swapped links, NUL, backslashes: nothing read or written outside the root',
  J3: 'A job prints 1 GiB: memory ≤ cap + 8 MiB, the job goes on, the cut is marked',
  J4: 'A job without a grant is refused; it sees only the variables that were allowed',
  X1: '60 min of faults every few seconds, chats and tensors: no wrong answer, every request ends, views equal ≤ 15 s, nothing leaks',
  X2: 'Simulation: 1,000 seeds × 10 virtual minutes; the invariants hold and a failure prints its seed',
  X3: 'Nothing is left after any test file: no handle, timer, child, namespace',
} as const;

/** Id of a promise. */
export type PromiseId = keyof typeof PROMISES;

/** How a line of this kind begins; the reporter looks for it. */
export const PROMISE_MARK = 'promise ';

/** What this needs of a test context. */
interface Reported {
  readonly name: string;
  diagnostic(message: string): void;
}

/**
 * Says what a test measured of a promise. Call it once the assertions about it have passed; a test that fails before is found
 * by the campaign all the same, because the call stands in its file.
 *
 * @param figure what was measured, with units and counts: `dead 8.4 s p99 of 20`
 */
export function promise(t: Reported, id: PromiseId, figure: string): void {
  t.diagnostic(PROMISE_MARK + JSON.stringify({ id, figure, test: t.name }));
}
