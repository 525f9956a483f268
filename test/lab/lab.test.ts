/** The lab itself: what the network tests stand on does what it says, and leaves nothing behind. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import test from 'node:test';
import { eventually } from '../support/eventually.js';
import { startSsh, startSshd } from '../support/sshd.js';
import { inLab } from './in-lab.js';
import { type Host, labUnavailable } from './lab.js';

const skip = labUnavailable(['nft']) ?? false;
const skipSsh = labUnavailable(['nft', 'sshd']) ?? false;

/** A TCP listener that answers every connection with its peer's address. */
async function greeter(host: Host, port: number): Promise<void> {
  const script = `require('net').createServer(s=>s.end(s.remoteAddress)).listen(${port},'0.0.0.0',()=>console.log('up'))`;
  await host.start(process.execPath, ['-e', script]).sees(/up/, 10_000);
}

function dial(host: Host, address: string, port: number): string {
  const script = `const s=require('net').connect(${port},'${address}');s.on('data',d=>{console.log('got',String(d));process.exit()});s.on('error',e=>{console.log(e.code);process.exit()});setTimeout(()=>{console.log('timeout');process.exit()},1000)`;
  return host.exec(process.execPath, ['-e', script]).trim();
}

/** Listens for datagrams on a host; `heard` counts those from an address. */
async function listenDatagrams(host: Host, port: number) {
  const script = `const s=require('dgram').createSocket('udp4');s.on('message',(m,r)=>console.log('from',r.address));s.bind(${port},'0.0.0.0',()=>console.log('up'))`;
  const child = host.start(process.execPath, ['-e', script]);
  await child.sees(/up/, 10_000);
  return (address: string) => child.stdout.split('\n').filter((line) => line === `from ${address}`).length;
}

function broadcast(host: Host, port: number): void {
  const script = `const s=require('dgram').createSocket('udp4');s.bind(0,'${host.address}',()=>{s.setBroadcast(true);s.send('x',${port},'255.255.255.255',()=>s.close())})`;
  host.exec(process.execPath, ['-e', script]);
}

test(
  'a LAN connects its hosts, a cut cable and a partition separate them, restore and heal reconnect',
  { skip },
  () =>
    inLab(async (lab) => {
      const lan = lab.lan(3);
      const [a, b, c] = lan.hosts as [Host, Host, Host];
      await greeter(b, 9000);
      await greeter(c, 9000);
      assert.equal(dial(a, b.address, 9000), `got ${a.address}`);
      lan.partition(a, b);
      assert.equal(dial(a, b.address, 9000), 'timeout');
      assert.equal(dial(a, c.address, 9000), `got ${a.address}`);
      lan.heal();
      assert.equal(dial(a, b.address, 9000), `got ${a.address}`);
      lan.cut(b);
      assert.match(dial(a, b.address, 9000), /timeout|EHOSTUNREACH/);
      lan.restore(b);
      assert.equal(dial(a, b.address, 9000), `got ${a.address}`);
    }),
);

test('broadcasts can be dropped for one sender or for all, while TCP passes', { skip }, () =>
  inLab(async (lab) => {
    const lan = lab.lan(2);
    const [a, b] = lan.hosts as [Host, Host];
    const heardByA = await listenDatagrams(a, 5678);
    const heardByB = await listenDatagrams(b, 5678);
    await greeter(b, 9000);
    const heard = (what: string, probe: () => boolean) => eventually({ timeoutMs: 3_000, what }, probe);

    lan.dropBroadcast(a);
    broadcast(a, 5678);
    broadcast(b, 5678);
    await heard('a hears b', () => heardByA(b.address) === 1);
    assert.equal(heardByB(a.address), 0);
    assert.equal(dial(a, b.address, 9000), `got ${a.address}`);

    lan.heal();
    broadcast(a, 5678);
    await heard('b hears a after heal', () => heardByB(a.address) === 1);

    lan.dropBroadcast();
    broadcast(b, 5678);
    assert.equal(dial(a, b.address, 9000), `got ${a.address}`);
    assert.equal(heardByA(b.address), 1, 'nothing more came through');
  }),
);

test('a link held to 100 Mbit/s carries 4 MiB in no less than 0.3 s', { skip }, () =>
  inLab(async (lab) => {
    const lan = lab.lan(2);
    const [a, b] = lan.hosts as [Host, Host];
    const script = `require('net').createServer(s=>{let n=0;s.on('data',d=>{n+=d.length;if(n>=4194304)s.end('all')})}).listen(9000,'0.0.0.0',()=>console.log('up'))`;
    await b.start(process.execPath, ['-e', script]).sees(/up/, 10_000);
    lan.rate(a, 100);
    const send = `const t=process.hrtime.bigint();const s=require('net').connect(9000,'${b.address}',()=>s.write(Buffer.alloc(4194304)));s.on('data',()=>{console.log(Number(process.hrtime.bigint()-t)/1e6);process.exit()})`;
    const ms = Number(a.exec(process.execPath, ['-e', send]));
    assert.ok(ms > 300 && ms < 3_000, `${ms} ms`);
  }),
);

test('behind NAT a host dials out under the router’s address and cannot be dialled', { skip }, () =>
  inLab(async (lab) => {
    const { inside, outside } = lab.nat();
    await greeter(outside, 9000);
    await greeter(inside, 9000);
    assert.equal(dial(inside, outside.address, 9000), 'got 198.18.0.1');
    assert.match(dial(outside, inside.address, 9000), /ENETUNREACH|EHOSTUNREACH|timeout/);
    assert.equal(dial(outside, '198.18.0.1', 9000), 'ECONNREFUSED');
  }),
);

test('ssh forwards in both directions between two hosts and is gone with the lab', {
  skip: skipSsh,
}, async () => {
  let pids: number[] = [];
  await inLab(async (lab) => {
    const lan = lab.lan(2);
    const [a, b] = lan.hosts as [Host, Host];
    const sshd = await startSshd(lab.cleanup, { host: b });
    await greeter(b, 50051);
    await greeter(a, 50060);
    const args = ['-L', '50052:localhost:50051', '-R', '50060:localhost:50060', '-N', sshd.destination];
    await startSsh(a, sshd, args, [50052]);
    assert.match(dial(a, '127.0.0.1', 50052), /^got .*(127\.0\.0\.1|::1)$/);
    assert.match(dial(b, '127.0.0.1', 50060), /^got .*(127\.0\.0\.1|::1)$/);
    pids = [...a.pids(), ...b.pids()];
    assert.ok(pids.length >= 4);
  });
  // A process that was killed may stay as a zombie of PID 1 for two seconds: only its state tells.
  await eventually({ timeoutMs: 5_000, what: `processes ${pids.join()} are gone` }, () =>
    pids.every((pid) => {
      const state = spawnSync('ps', ['-o', 'stat=', '-p', String(pid)], { encoding: 'utf8' }).stdout.trim();
      return state === '' || state.startsWith('Z');
    }),
  );
});
