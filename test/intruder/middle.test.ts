/** Somebody between two nodes of a closed mesh: replays, reflections, relays, and ways back to plain. Prints a row each. */
import '../support/leaks.js';
import assert from 'node:assert/strict';
import net from 'node:net';
import { performance } from 'node:perf_hooks';
import { describe, test } from 'node:test';
import tls from 'node:tls';
import { MessageDecoder, TYPE } from '../../src/protocol/index.js';
import { eventually } from '../support/eventually.js';
import { baseFrame, collectingDecoder, correlatedFrame, rawFrame } from '../support/frames.js';
import { alive } from '../support/memory-mesh.js';
import { tlsCredentials } from '../support/tls-credentials.js';
import { type TrustingNode, trustingNode } from '../support/trusting-node.js';
import { assertUntouched, attack, KEY, stateOf } from './fortress.js';
import { boundHello, intrude, knock } from './intruder.js';
import { serve, tapeRelay, tlsInTheMiddle } from './middle.js';

const WITHIN_MS = 15_000;
const until = (what: string, holds: () => boolean, onLate: () => string = () => '') =>
  eventually({ timeoutMs: WITHIN_MS, what, everyMs: 20, onLate }, holds);
const trusts = (node: TrustingNode, id: string) =>
  node.node.mesh.peers().find((peer) => peer.id === id)?.trust ?? null;
const reasons = ({ node }: TrustingNode) => JSON.stringify([node.mesh.peers(), node.mesh.refusals()].flat());

/** Drops whoever was met, so that what is left is what an attack has done. */
async function leaves({ node, opened }: TrustingNode, gone: TrustingNode, id: string): Promise<void> {
  await gone.stop();
  await until(`${id} has left`, () => !alive(node).includes(id));
  await opened.store.remove(id);
}

describe('recorded', () => {
  test('an honest connection, its bytes sent again', (t) =>
    attack(t, async ({ cleanup, port, target }) => {
      const tape = await tapeRelay(cleanup, port);
      const honest = await trustingNode(cleanup, { id: 'recorded', token: KEY });
      honest.dial('target', tape.port);
      await until('they trust each other', () => trusts(target, 'recorded') !== null);
      await leaves(target, honest, 'recorded');
      const [bytes = Buffer.alloc(0)] = tape.said;
      assert.ok(bytes.length > 1_000 && bytes[0] === 0x16);
      for (let round = 0; round < 5; round += 1) {
        const again = await plainEnd(port, bytes);
        // A server hello and its flight, as to everybody; nothing after that.
        assert.equal(again[0], 0x16);
        assert.ok(again.length < 2_000, `${again.length} bytes`);
      }
      assert.deepEqual(alive(target.node), []);
      return `${bytes.length} bytes, 5 times: a TLS alert, no peer`;
    }));

  test('hello and proofs, read by an impostor that was dialled, sent to the right node and back to their sender', (t) =>
    attack(t, async ({ cleanup, port, target }) => {
      // The impostor takes hello and proofs, answers with a hello of its own, and gives the proofs back as its own.
      const credentials = await tlsCredentials();
      const { hello, auth } = await impostor(cleanup, credentials, async (at) => {
        const honest = await trustingNode(cleanup, { id: 'victim', token: KEY });
        honest.dial('target', at);
        return honest;
      });
      const replay = await intrude(cleanup, port, { credentials });
      replay.send(hello);
      await replay.answer(TYPE.healthResponse);
      replay.send(auth);
      // The same again on the same connection.
      replay.send(auth);
      await replay.shownOut();
      assert.ok(!replay.types.includes(TYPE.authResponse), 'the target gave proofs');
      assert.ok(replay.types.includes(TYPE.errorResponse));
      assert.deepEqual(alive(target.node), []);
      return 'auth-failed on both sides: proofs are of one connection, one key, one role';
    }));
});

/** A fake acceptor over TLS: keeps the dialler's hello and proofs, reflects the proofs, and sees that it is left. */
async function impostor(
  cleanup: Parameters<typeof serve>[0],
  { certificatePem: cert, privateKeyPem: key }: Awaited<ReturnType<typeof tlsCredentials>>,
  dial: (port: number) => Promise<TrustingNode>,
): Promise<{ hello: Buffer; auth: Buffer }> {
  const taken: { hello?: Buffer; auth?: Buffer; gone: boolean } = { gone: false };
  const messages = new MessageDecoder();
  const server = tls.createServer({
    cert,
    key,
    requestCert: true,
    rejectUnauthorized: false,
    minVersion: 'TLSv1.3',
  });
  const onSocket = (socket: net.Socket) => {
    const { decoder, frames } = collectingDecoder();
    let seen = 0;
    socket.on('close', () => {
      taken.gone = true;
    });
    socket.on('data', (chunk: Buffer) => {
      decoder.push(chunk);
      for (; seen < frames.length; seen += 1) {
        const frame = frames[seen]!;
        if (frame.type === TYPE.healthRequest) {
          taken.hello ??= rawFrame(frame.type, Buffer.from(frame.body));
          socket.write(baseFrame({ kind: 'health-response', isHealthy: true, hello: boundHello('target') }));
        } else if ((frame.type & 0x7f) === TYPE.authRequest) {
          taken.auth ??= rawFrame(TYPE.authRequest, Buffer.from(frame.body), frame.id);
          const request = messages.decode(TYPE.authRequest, frame.body);
          if (request.kind !== 'auth-request') throw new Error('no proofs');
          assert.ok(request.proofs.length > 0);
          socket.write(correlatedFrame({ kind: 'auth-response', proofs: request.proofs }, frame.id));
        }
      }
    });
  };
  const port = await serve(cleanup, server, onSocket, 'secureConnection');
  const honest = await dial(port);
  await until('the dialler has left', () => taken.auth !== undefined && taken.gone);
  assert.equal(trusts(honest, 'target'), null);
  assert.notEqual(stateOf(honest, 'target'), 'alive');
  await honest.stop();
  return { hello: taken.hello!, auth: taken.auth! };
}

describe('a machine in the middle', () => {
  for (const [name, nearSecure, farSecure] of [
    ['ends TLS on both sides and passes the proofs on', true, true],
    ['takes TLS off: plain to the node', true, false],
  ] as const) {
    test(name, (t) =>
      attack(t, async ({ cleanup, port, target }) => {
        const tap = await tlsInTheMiddle(cleanup, port, { nearSecure, farSecure });
        const honest = await trustingNode(cleanup, { id: 'victim', token: KEY });
        honest.dial('target', tap.port);
        await until(
          'the dialler says why not',
          () =>
            tap.connections > 0 &&
            /"(code|reason)":"[^"]*(auth-|does not trust|mesh key|mesh has a key)/.test(reasons(honest)),
          () => reasons(honest),
        );
        assert.ok(tap.connections >= 1);
        assert.deepEqual([alive(honest.node), alive(target.node)], [[], []]);
        assert.equal(Buffer.concat(tap.clear).includes(KEY), false);
        assert.deepEqual([...target.node.mesh.topology().nodes.keys()], ['target']);
        await honest.stop();
        return farSecure
          ? 'hellos and proofs, which are good for nothing; both ends refuse'
          : 'the hello of the dialler; tls-required from the node';
      }),
    );
  }

  test('puts TLS on: a plain peer wrapped by somebody else', (t) =>
    attack(t, async (fortress) => {
      const { cleanup, port } = fortress;
      const tap = await tlsInTheMiddle(cleanup, port, { nearSecure: false });
      const { auth: _, ...plainHello } = boundHello('wrapped');
      const wrapped = await intrude(cleanup, tap.port);
      const answer = await wrapped.greet(plainHello);
      assert.ok(answer.kind === 'health-response' && answer.refusal?.code === 'auth-required');
      await wrapped.shownOut();
      assertUntouched(fortress);
      return 'auth-required';
    }));
});

describe('back to plain', () => {
  const HEALTHY = baseFrame({ kind: 'health-response', isHealthy: true });
  const refusing = (code: string) =>
    baseFrame({ kind: 'health-response', isHealthy: false, refusal: { code, message: 'no TLS here' } });
  const answers: ReadonlyArray<readonly [string, Buffer | undefined]> = [
    ['answers in plain that it is healthy', HEALTHY],
    [
      'answers in plain with a hello',
      baseFrame({ kind: 'health-response', isHealthy: true, hello: boundHello('target') }),
    ],
    ['says that it does not know TLS', refusing('request-unsupported')],
    ['says tls-required, in plain', refusing('tls-required')],
    ['closes at the first byte', undefined],
  ];
  for (const who of ['has the mesh key', 'knows the id by its key'] as const) {
    test(`an acceptor that wants plain, to a dialler that ${who}`, (t) =>
      attack(t, async ({ cleanup, target }) => {
        let dials = 0;
        for (const [what, answer] of answers) {
          const first: number[] = [];
          const port = await serve(cleanup, net.createServer(), (socket) =>
            socket.once('data', (chunk: Buffer) => {
              first.push(chunk[0]!);
              if (answer === undefined) socket.destroy();
              else socket.end(answer);
            }),
          );
          const honest = await trustingNode(cleanup, {
            id: 'victim',
            ...(who === 'has the mesh key' ? { token: KEY } : {}),
          });
          const { fingerprint } = target.opened.nodeKey;
          if (who !== 'has the mesh key')
            await honest.opened.store.trust({ id: 'target', fingerprint, learnt: 'by-hand' });
          honest.dial('target', port);
          await until(
            `three dials to one that ${what}`,
            () => first.length >= 3,
            () => reasons(honest),
          );
          assert.deepEqual([...new Set(first)], [0x16], what);
          assert.deepEqual(alive(honest.node), []);
          dials += first.length;
          await honest.stop();
        }
        return `${answers.length} ways, ${dials} dials: never a plain byte`;
      }));
  }

  test('a dialler in plain under an id that is known by its key, in an open mesh', (t) =>
    attack(
      t,
      async ({ cleanup, port, target }) => {
        const known = await trustingNode(cleanup, { id: 'known' });
        const { fingerprint } = known.opened.nodeKey;
        await target.opened.store.trust({ id: 'known', fingerprint, learnt: 'by-hand' });
        const plain = await intrude(cleanup, port);
        const answer = await plain.greet(boundHello('known'));
        assert.ok(answer.kind === 'health-response' && answer.refusal?.code === 'tls-required');
        await plain.shownOut();
        const { intruder } = await knock(cleanup, port, { hello: boundHello('known') });
        const verdict = await intruder.ask({ kind: 'auth-request', proofs: [{ method: 'pinned' }] }, 3);
        assert.ok(verdict.kind === 'error-response' && verdict.code === 'identity-changed');
        await intruder.shownOut();
        assert.deepEqual(alive(target.node), []);
        return 'tls-required; over TLS identity-changed';
      },
      { token: null },
    ));
});

describe('what honest nodes have of it', () => {
  test('a hello with a mesh key takes 3 round trips', (t) =>
    attack(t, async ({ cleanup, port, target }) => {
      const DELAY_MS = 40;
      const tape = await tapeRelay(cleanup, port, DELAY_MS);
      const honest = await trustingNode(cleanup, { id: 'far', token: KEY });
      let met: { flights: number; tookMs: number } | undefined;
      const startedMs = performance.now();
      honest.node.mesh.onChange(() => {
        if (met === undefined && stateOf(honest, 'target') === 'alive') {
          met = { flights: tape.flights, tookMs: performance.now() - startedMs };
        }
      });
      honest.dial('target', tape.port);
      await until('they trust each other', () => met !== undefined && trusts(target, 'far') !== null);
      assert.ok(met !== undefined);
      const roundTrips = met.flights / 2;
      assert.ok(roundTrips <= 3, `${met.flights} flights`);
      await leaves(target, honest, 'far');
      return `${roundTrips} round trips (TLS, hello, proofs) after that of TCP: ${Math.round(met.tookMs)} ms at ${2 * DELAY_MS} ms each`;
    }));

  test('two forwards of loopback ports, as ssh -L makes them, carry it without an option', (t) =>
    attack(t, async ({ cleanup, port, target }) => {
      const honest = await trustingNode(cleanup, { id: 'far', token: KEY });
      const [there, back] = [await tapeRelay(cleanup, port), await tapeRelay(cleanup, honest.port)];
      honest.dial('target', there.port);
      target.dial('far', back.port);
      await until(
        'they trust each other',
        () =>
          /^mesh key/.test(trusts(target, 'far') ?? '') && /^mesh key/.test(trusts(honest, 'target') ?? ''),
        () => reasons(honest),
      );
      for (const { node } of [target, honest]) assert.equal(node.mesh.peers()[0]?.encrypted, true);
      await until('both are the ring', () => honest.node.mesh.topology().partitions.length === 2);
      assert.deepEqual([...new Set([...there.first, ...back.first])], [0x16]);
      await leaves(target, honest, 'far');
      return 'they meet encrypted through both; whoever reads the forward sees TLS';
    }));
});

/** Sends bytes and returns what comes until the end. */
function plainEnd(port: number, bytes: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    const socket = net.connect({ port, host: '127.0.0.1' }, () => socket.write(bytes));
    socket.setTimeout(WITHIN_MS, () => socket.destroy(new Error('it stays open')));
    socket.on('data', (chunk) => chunks.push(chunk));
    socket.on('end', () => socket.destroy());
    let failure: NodeJS.ErrnoException | undefined;
    socket.on('error', (error) => {
      failure = error;
    });
    socket.on('close', () =>
      failure?.message === 'it stays open' ? reject(failure) : resolve(Buffer.concat(chunks)),
    );
  });
}
