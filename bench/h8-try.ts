import { loopback, slowCable, programOn } from './tunnels/link.js';
import { startSshd } from '../test/support/sshd.js';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
const link = process.argv[2] === 'slow' ? await slowCable(2) : loopback();
const far = programOn(link.far, 'tunnels/far-end.mjs', ['0.0.0.0']);
const { port } = await far.line() as {port:number};
const sshd = await startSshd(link.lab.cleanup, { host: link.far, config: { LogLevel: 'INFO', Ciphers: 'aes128-gcm@openssh.com' } });
const words = { ssh: sshd.destinationWithPort, forward: [`0:localhost:${port}`], identity: sshd.identity, knownHosts: sshd.knownHosts, driver: process.argv[3] ?? 'openssh', stateFolder: link.lab.cleanup.folder() };
const p = programOn(link.near, 'exo/tunnel.ts', [JSON.stringify(words)]);
const up = await p.line() as any; console.log(up);
for (const pid of link.near.pids()) { const c = readFileSync(`/proc/${pid}/cmdline`,'utf8').replaceAll('\0',' '); if (/ssh|exo-anchor/.test(c)) console.log(pid, c.slice(0,400)); }
for (const host of new Set([link.near, link.far])) console.log(host.exec('ss', ['-tnpi', 'state', 'established', '( sport = :2222 or dport = :2222 )']));
await p.stop(); await far.stop(); await link.close();
