/** Who may join: nodes with keys of their own, over real sockets. What an intruder tries is in test/intruder. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { appendFileSync, copyFileSync, readFileSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { describe, test } from 'node:test';
import { UNKNOWN_CAPABILITIES } from '../../src/protocol/index.js';
import { silentLogger } from '../../src/shared/index.js';
import { knock } from '../intruder/intruder.js';
import { eventually, inTime } from '../support/eventually.js';
import { alive } from '../support/memory-mesh.js';
import { Cleanup } from '../support/processes.js';
import { type TrustingNode, trustingNode } from '../support/trusting-node.js';
import '../support/leaks.js';

const KEY = 'correct horse battery staple';
const WITHIN_MS = 20_000;

async function inCleanup(work: (cleanup: Cleanup) => Promise<void>): Promise<void> {
  const cleanup = new Cleanup();
  try {
    await work(cleanup);
  } finally {
    await cleanup.dispose();
  }
}

const peer = ({ node }: TrustingNode, id: string) => node.mesh.peers().find((each) => each.id === id);
const refusals = ({ node }: TrustingNode) =>
  node.mesh.refusals().map(({ code, reason }) => `${code}: ${reason}`);
const until = (what: string, holds: () => boolean, onLate: () => string = () => '') =>
  eventually({ timeoutMs: WITHIN_MS, what, onLate }, holds);

/** Both are alive to each other, and trusted in the words that match. */
async function untilTrusted(a: TrustingNode, b: TrustingNode, why: RegExp): Promise<void> {
  const [idA, idB] = [a.node.mesh.self().id, b.node.mesh.self().id];
  await until(
    `${idA} and ${idB} trust each other`,
    () => why.test(peer(a, idB)?.trust ?? '') && why.test(peer(b, idA)?.trust ?? ''),
    () => JSON.stringify([refusals(a), refusals(b), peer(a, idB), peer(b, idA)]),
  );
  for (const [node, id] of [
    [a, idB],
    [b, idA],
  ] as const) {
    assert.deepEqual([peer(node, id)?.state, peer(node, id)?.encrypted], ['alive', true]);
  }
}

async function answerOf({ node }: TrustingNode): Promise<string> {
  const generation = await node.chat.start({
    model: 'dummy',
    messages: [{ role: 'user', content: 'hello' }],
    signal: AbortSignal.timeout(WITHIN_MS),
  });
  let text = '';
  for await (const token of generation.tokens) text += token.text;
  return text;
}

describe('with a mesh key', () => {
  test('two nodes trust each other, encrypted, and work as a ring', () =>
    inCleanup(async (cleanup) => {
      const a = await trustingNode(cleanup, { id: 'a', token: KEY });
      const b = await trustingNode(cleanup, { id: 'b', token: KEY });
      a.dial('b', b.port);
      b.dial('a', a.port);
      await untilTrusted(a, b, /^mesh key [0-9a-f]{8}$/);
      await until('both members are in the ring', () => a.node.mesh.topology().partitions.length === 2);
      assert.equal(await answerOf(a), 'dummy'.repeat(10));
    }));

  test('what a machine is, its peers hear, at once, and only they', () =>
    inCleanup(async (cleanup) => {
      const of = (model: string) => ({
        model,
        chip: 'C',
        memory: 1024,
        flops: { fp32: 1, fp16: 2, int8: 4 },
      });
      const nodes = await Promise.all(
        ['a', 'b', 'c'].map((id) =>
          trustingNode(cleanup, { id, token: KEY, capabilities: of(`model of ${id}`) }),
        ),
      );
      const [a, b, c] = nodes as [TrustingNode, TrustingNode, TrustingNode];
      a.dial('b', b.port);
      c.dial('a', a.port);
      await until('all are up', () => alive(a.node).length === 2);
      const { tookMs } = await until('all know what the others are', () =>
        nodes.every(({ node }) =>
          ['a', 'b', 'c'].every((id) => node.mesh.topology().nodes.get(id)?.model === `model of ${id}`),
        ),
      );
      assert.ok(tookMs < inTime(2_000), `${tookMs} ms`);
      const { answer } = await knock(cleanup, a.port);
      assert.ok(answer.kind === 'health-response');
      assert.deepEqual([answer.hello?.capabilities, answer.hello?.agent], [UNKNOWN_CAPABILITIES, '']);
    }));

  for (const [who, token] of [
    ['another key', 'wrong horse battery staple'],
    ['no key', undefined],
  ] as const) {
    test(`a node with ${who} is kept out, and both sides say why`, () =>
      inCleanup(async (cleanup) => {
        const a = await trustingNode(cleanup, { id: 'a', token: KEY });
        const b = await trustingNode(cleanup, { id: 'b', ...(token === undefined ? {} : { token }) });
        a.dial('b', b.port);
        b.dial('a', a.port);
        await until('a has refused b', () =>
          refusals(a).some((text) => /^auth-(failed|required): /.test(text)),
        );
        await until(
          'b knows why',
          () => /exo key join/.test(peer(b, 'a')?.reason ?? ''),
          () => JSON.stringify(peer(b, 'a')),
        );
        assert.deepEqual(alive(a.node), []);
        assert.deepEqual([...a.node.mesh.topology().nodes.keys()], ['a']);
        // What it is refused for is not told to it.
        assert.doesNotMatch(peer(b, 'a')?.reason ?? '', /[0-9a-f]{8} is not known/);
      }));
  }

  test('a node that is given the key while it runs joins at once', () =>
    inCleanup(async (cleanup) => {
      const a = await trustingNode(cleanup, { id: 'a', token: KEY });
      const b = await trustingNode(cleanup, { id: 'b' });
      b.dial('a', a.port);
      await until('b was refused', () => /exo key join/.test(peer(b, 'a')?.reason ?? ''));
      const startedMs = performance.now();
      await b.opened.keys.join(KEY);
      await untilTrusted(a, b, /^mesh key/);
      // Without the hint it would be 30 s.
      assert.ok(performance.now() - startedMs < 15_000);
    }));

  test('an old peer may ask for nothing but health, unless its address is allowed', () =>
    inCleanup(async (cleanup) => {
      const closed = await trustingNode(cleanup, { id: 'a', token: KEY });
      const open = await trustingNode(cleanup, { id: 'b', token: KEY, allowLegacy: ['loopback'] });
      const health = Buffer.from('4558' + '4f01' + '01' + '00000000', 'hex');
      const question = Buffer.from('{"visited": ["x"], "max_depth": 4}');
      const topology = Buffer.concat([Buffer.from('45584f0130', 'hex'), Buffer.alloc(4), question]);
      topology.writeUInt32BE(question.length, 5);
      assert.deepEqual(await conversation(closed.port, health), [0x02]);
      assert.deepEqual(await conversation(closed.port, health, topology), [0x02, 'closed']);
      assert.deepEqual(await conversation(closed.port, topology), ['closed']);
      assert.deepEqual(await conversation(open.port, health, topology), [0x02, 0x31]);
    }));

  test('a key is rotated without an outage, also for the one who was away', () =>
    inCleanup(async (cleanup) => {
      const names = ['a', 'b', 'c'];
      const nodes: TrustingNode[] = [];
      for (const id of names) nodes.push(await trustingNode(cleanup, { id }));
      const [a, b, c] = nodes as [TrustingNode, TrustingNode, TrustingNode];
      const first = await a.opened.keys.create();
      const { printMeshKey } = await import('../../src/trust/index.js');
      for (const each of [b, c]) await each.opened.keys.join(printMeshKey(first));
      b.dial('a', a.port);
      await untilTrusted(a, b, /^mesh key/);
      const serial = () => peer(a, 'b')?.address;
      const before = serial();
      const lost: string[] = [];
      a.node.mesh.onChange(() => {
        if (peer(a, 'b')?.state !== 'alive') lost.push(peer(a, 'b')?.reason ?? 'gone');
      });
      const next = await a.opened.keys.rotate();
      await until('b has the new key', () => b.opened.keys.current?.id === next.id);
      assert.deepEqual(lost, []);
      assert.equal(serial(), before);
      // c slept through it, and comes with the old key within the grace.
      c.dial('b', b.port);
      await untilTrusted(b, c, /^mesh key/);
      await until('c has the new key', () => c.opened.keys.current?.id === next.id);
    }));

  test(
    'a line that is taken out of authorized_keys ends what it had let in, within 2 s, and nothing else',
    {
      skip: spawnSync('ssh-keygen', ['-?']).error !== undefined && 'openssh-client is not installed',
    },
    () =>
      inCleanup(async (cleanup) => {
        const folder = cleanup.folder();
        const [list, mine, other] = ['list', 'mine', 'other'].map((name) => path.join(folder, name));
        for (const key of [mine!, other!]) {
          execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', key]);
        }
        copyFileSync(`${mine}.pub`, list!);
        const dismissed: string[] = [];
        const events: string[] = [];
        const logger = {
          ...silentLogger,
          info: (event: string) => void events.push(event),
          warn: (event: string) => void (event === 'peer-dismissed' && dismissed.push(event)),
        };
        const trust = { sshAuthorizedKeys: list!, allowLegacy: [] };
        const a = await trustingNode(cleanup, { id: 'a', token: KEY, trust, logger });
        const b = await trustingNode(cleanup, { id: 'b', trust: { sshIdentity: mine!, allowLegacy: [] } });
        const c = await trustingNode(cleanup, { id: 'c', token: KEY });
        b.dial('a', a.port);
        c.dial('a', a.port);
        await until('a trusts both', () => alive(a.node).length === 2);
        assert.match(peer(a, 'b')?.trust ?? '', /^ssh key SHA256:/);
        // One more line changes nothing for those who have one already.
        appendFileSync(list!, readFileSync(`${other}.pub`));
        await until('a has seen the other line', () => events.includes('authorized-keys-changed'));
        copyFileSync(`${other}.pub`, list!);
        const takenOutMs = performance.now();
        await until('b is shown out', () => dismissed.length > 0);
        assert.ok(performance.now() - takenOutMs < inTime(2_000), `${performance.now() - takenOutMs} ms`);
        await until('b is refused when it comes again', () =>
          refusals(a).some((text) => /^auth-failed/.test(text)),
        );
        assert.deepEqual([dismissed.length, peer(a, 'c')?.state], [1, 'alive']);
        assert.notEqual(peer(a, 'b')?.state, 'alive');
      }),
  );
});

describe('without a mesh key', () => {
  test('everybody is a member in plain, as among the original’s nodes', () =>
    inCleanup(async (cleanup) => {
      const a = await trustingNode(cleanup, { id: 'a' });
      const b = await trustingNode(cleanup, { id: 'b' });
      a.dial('b', b.port);
      await until('they are peers', () => alive(a.node).length === 1 && alive(b.node).length === 1);
      assert.deepEqual([peer(a, 'b')?.trust, peer(a, 'b')?.encrypted], [null, false]);
    }));

  test('nodes that were introduced to each other by key meet encrypted, whoever dials', () =>
    inCleanup(async (cleanup) => {
      const a = await trustingNode(cleanup, { id: 'a' });
      const b = await trustingNode(cleanup, { id: 'b' });
      await a.opened.store.trust({ id: 'b', fingerprint: b.opened.nodeKey.fingerprint, learnt: 'connect' });
      await b.opened.store.trust({ id: 'a', fingerprint: a.opened.nodeKey.fingerprint, learnt: 'connect' });
      a.dial('b', b.port);
      await untilTrusted(a, b, /./);
    }));

  test('trust that is taken back ends the connection', () =>
    inCleanup(async (cleanup) => {
      const a = await trustingNode(cleanup, { id: 'a' });
      const b = await trustingNode(cleanup, { id: 'b' });
      await a.opened.store.trust({ id: 'b', fingerprint: b.opened.nodeKey.fingerprint, learnt: 'by-hand' });
      await b.opened.store.trust({ id: 'a', fingerprint: a.opened.nodeKey.fingerprint, learnt: 'by-hand' });
      b.dial('a', a.port);
      await untilTrusted(a, b, /./);
      await a.opened.store.remove('b');
      await until('b is not trusted any more', () => (peer(a, 'b')?.trust ?? null) === null);
    }));

  test('a node that is known by its key is refused under another, with the way out', () =>
    inCleanup(async (cleanup) => {
      const a = await trustingNode(cleanup, { id: 'a' });
      const b = await trustingNode(cleanup, { id: 'b' });
      const other = await trustingNode(cleanup, { id: 'other' });
      await a.opened.store.trust({
        id: 'b',
        fingerprint: other.opened.nodeKey.fingerprint,
        learnt: 'by-hand',
      });
      b.dial('a', a.port);
      a.dial('b', b.port);
      await until('a says so', () =>
        refusals(a).some((text) => /^identity-changed: .*exo trust remove/.test(text)),
      );
      assert.deepEqual(alive(a.node), []);
    }));

  test('an address that asked for encryption is never dialled in plain again', () =>
    inCleanup(async (cleanup) => {
      const a = await trustingNode(cleanup, { id: 'a', token: KEY });
      const b = await trustingNode(cleanup, { id: 'b' });
      await b.opened.store.trust({ id: 'a', fingerprint: a.opened.nodeKey.fingerprint, learnt: 'by-hand' });
      const { port } = a;
      await a.stop();
      const firstBytes = await listenInPlain(cleanup, port);
      b.dial('a', port);
      await until('b has tried three times', () => firstBytes.length >= 3);
      assert.deepEqual([...new Set(firstBytes)], [0x16]);
    }));
});

test('an invitation makes a node a member that has the key', () =>
  inCleanup(async (cleanup) => {
    const a = await trustingNode(cleanup, { id: 'a' });
    await a.opened.keys.create();
    const b = await trustingNode(cleanup, { id: 'b' });
    const { secret } = await a.opened.store.invite();
    await b.opened.store.hold({
      fingerprint: a.opened.nodeKey.fingerprint,
      secret,
      untilMs: Date.now() + 60_000,
    });
    b.dial('a', a.port);
    await untilTrusted(a, b, /./);
    await until('b has the mesh key', () => b.opened.keys.current?.id === a.opened.keys.current?.id);
    // It is used up.
    const c = await trustingNode(cleanup, { id: 'c' });
    await c.opened.store.hold({
      fingerprint: a.opened.nodeKey.fingerprint,
      secret,
      untilMs: Date.now() + 60_000,
    });
    c.dial('a', a.port);
    await until('c is refused', () => refusals(a).some((text) => /^auth-failed/.test(text)));
    assert.equal(peer(a, 'c')?.state === 'alive', false);
  }));

/** Sends frames, each after the answer to the one before, and reads the types of the answers, and whether the connection was closed. */
function conversation(port: number, ...frames: Buffer[]): Promise<Array<number | 'closed'>> {
  return new Promise((resolve, reject) => {
    const seen: Array<number | 'closed'> = [];
    let bytes = Buffer.alloc(0);
    const socket = net.connect({ port, host: '127.0.0.1' }, () => socket.write(frames[0]!));
    const end = () => {
      socket.destroy();
      resolve(seen);
    };
    socket.setTimeout(10_000, () => reject(new Error(`only ${seen} came`)));
    socket.on('error', () => undefined);
    socket.on('close', () => {
      if (seen.length < frames.length) seen.push('closed');
      resolve(seen);
    });
    socket.on('data', (chunk) => {
      bytes = Buffer.concat([bytes, chunk]);
      while (bytes.length >= 9 && bytes.length >= 9 + bytes.readUInt32BE(5)) {
        seen.push(bytes[4]!);
        bytes = bytes.subarray(9 + bytes.readUInt32BE(5));
      }
      if (seen.length === frames.length) end();
      else socket.write(frames[seen.length]!);
    });
  });
}

/** Listens at a port and notes the first byte of each connection, which it then ends. */
async function listenInPlain(cleanup: Cleanup, port: number): Promise<number[]> {
  const first: number[] = [];
  const server = net.createServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', (chunk) => {
      first.push(chunk[0]!);
      socket.end();
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
  cleanup.add(() => new Promise((resolve) => server.close(resolve)));
  return first;
}

test('a key of a node is new for each, and kept', () =>
  inCleanup(async (cleanup) => {
    const a = await trustingNode(cleanup, { id: 'a' });
    const b = await trustingNode(cleanup, { id: 'b' });
    assert.notEqual(a.opened.nodeKey.fingerprint, b.opened.nodeKey.fingerprint);
    await a.stop();
    const again = await trustingNode(cleanup, { id: 'a', home: a.home });
    assert.equal(again.opened.nodeKey.fingerprint, a.opened.nodeKey.fingerprint);
  }));
