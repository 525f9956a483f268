/** Many at once, and members that take what is not theirs. Prints a row each. */
import '../support/leaks.js';
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import net from 'node:net';
import { performance } from 'node:perf_hooks';
import { describe, test } from 'node:test';
import { LIMITS } from '../../src/shared/index.js';
import { eventually, inTime } from '../support/eventually.js';
import { alive } from '../support/memory-mesh.js';
import { trustingNode } from '../support/trusting-node.js';
import { attack, KEY, stateOf } from './fortress.js';
import { boundHello, intrude, knock } from './intruder.js';
import { tapeRelay } from './middle.js';

const WITHIN_MS = 15_000;
const until = (what: string, holds: () => boolean, onLate: () => string = () => '') =>
  eventually({ timeoutMs: WITHIN_MS, what, everyMs: 20, onLate }, holds);

describe('the id of another node', () => {
  test('one that is known, by a node that has the mesh key and another node key', (t) =>
    attack(t, async ({ cleanup, port, target }) => {
      const victim = await trustingNode(cleanup, { id: 'victim', token: KEY });
      victim.dial('target', port);
      await until('the victim is there', () => stateOf(target, 'victim') === 'alive');
      const pinned = target.opened.store.get('victim')?.fingerprint;
      assert.equal(pinned, victim.opened.nodeKey.fingerprint);
      const isRefused = () => target.node.mesh.refusals().some(({ code }) => code === 'identity-changed');
      const impostor = await trustingNode(cleanup, { id: 'victim', token: KEY });
      impostor.dial('target', port);
      await until('the impostor is refused', isRefused);
      assert.equal(stateOf(target, 'victim'), 'alive');
      assert.equal(stateOf(victim, 'target'), 'alive');
      // Also while the right one is away.
      await victim.stop();
      await until('the victim has left', () => !alive(target.node).includes('victim'));
      await impostor.stop();
      const second = await trustingNode(cleanup, { id: 'victim', token: KEY });
      second.dial('target', port);
      await until(
        'it says why',
        () =>
          /exo trust|does not trust|identity/.test(JSON.stringify(second.node.mesh.peers()[0]?.reason ?? '')),
        () => JSON.stringify(second.node.mesh.peers()),
      );
      assert.deepEqual(alive(target.node), []);
      assert.equal(target.opened.store.get('victim')?.fingerprint, pinned);
      await second.stop();
      await target.opened.store.remove('victim');
      return 'identity-changed, with the right one there or away';
    }));

  test('one that is connected, in an open mesh', (t) =>
    attack(
      t,
      async ({ cleanup, port, target }) => {
        const victim = await trustingNode(cleanup, { id: 'victim' });
        victim.dial('target', port);
        await until('the victim is there', () => stateOf(target, 'victim') === 'alive');
        for (let round = 0; round < 30; round += 1) {
          const thief = await intrude(cleanup, port);
          await thief.greet(boundHello('victim'));
          await thief.shownOut();
          assert.equal(stateOf(target, 'victim'), 'alive');
        }
        const warnings = target.node.mesh.warnings().filter(({ code }) => code === 'duplicate-id').length;
        assert.ok(warnings >= 1 && warnings <= 16, `${warnings} warnings`);
        await victim.stop();
        return `30 times: duplicate-id, the right one stays; ${warnings} warnings`;
      },
      { token: null },
    ));

  test('a mesh key that is another', (t) =>
    attack(t, async ({ cleanup, port, target }) => {
      const wrong = await trustingNode(cleanup, { id: 'mallory', token: 'wrong horse battery staple' });
      wrong.dial('target', port);
      target.dial('mallory', wrong.port);
      await until('it is refused', () =>
        target.node.mesh.refusals().some(({ code }) => code === 'auth-failed'),
      );
      assert.deepEqual([alive(target.node), alive(wrong.node)], [[], []]);
      assert.deepEqual(target.opened.store.list(), []);
      await wrong.stop();
      return 'auth-failed, whoever dials';
    }));
});

describe('many at once', () => {
  test('500 half-open connections, half of them in the midst of TLS', (t) =>
    attack(t, async ({ cleanup, port, target }) => {
      // The beginning of a hello that a real client sent.
      const tape = await tapeRelay(cleanup, port);
      (await knock(cleanup, tape.port)).intruder.end();
      const hello = tape.said[0]!.subarray(0, 5 + tape.said[0]!.readUInt16BE(3));
      const beginnings = [Buffer.alloc(0), Buffer.from('EXO\x01'), hello.subarray(0, 60), hello];
      const crowd = new Crowd(port, beginnings);
      cleanup.add(() => crowd.end());
      await crowd.press(500);
      const startedMs = performance.now();
      const honest = await trustingNode(cleanup, { id: 'patient', token: KEY });
      honest.dial('target', port);
      await until(
        'an honest node joins',
        () => stateOf(target, 'patient') === 'alive' && stateOf(honest, 'target') === 'alive',
      );
      const joinedMs = performance.now() - startedMs;
      // Dialled again at half a second and later, where there was no place for it.
      assert.ok(joinedMs < inTime(10_000), `${joinedMs} ms`);
      crowd.relax();
      await until(
        'they are shown out',
        () => crowd.open === 0,
        () => `${crowd.open} are left`,
      );
      assert.equal(stateOf(target, 'patient'), 'alive');
      await honest.stop();
      await target.opened.store.remove('patient');
      return `shown out within ${LIMITS.handshakeTimeoutMs / 1_000} s; an honest node joined after ${Math.round(joinedMs)} ms`;
    }));

  test('300 guesses of an invitation, with an id that was never made and with the right one', (t) =>
    attack(t, async ({ cleanup, port, target }) => {
      const { store, nodeKey } = target.opened;
      const { secret } = await store.invite();
      const { record } = await store.invite();
      const guess = async (invitation: string) => {
        const { intruder } = await knock(cleanup, port);
        const signature = randomBytes(64).toString('base64url');
        const proofs = Array.from({ length: 8 }, () => ({ method: 'invitation', invitation, signature }));
        const answer = await intruder.ask({ kind: 'auth-request', proofs }, 3);
        assert.ok(answer.kind === 'error-response' && answer.code === 'auth-failed');
        intruder.end();
      };
      for (const id of ['00000000', record.id]) {
        for (let round = 0; round < 15; round += 1) {
          await Promise.all(Array.from({ length: 10 }, () => guess(id)));
        }
      }
      assert.deepEqual([alive(target.node), store.list()], [[], []]);
      assert.equal(store.invitations().length, 2);
      // Who has the other line is let in at once.
      const guest = await trustingNode(cleanup, { id: 'guest' });
      const { fingerprint } = nodeKey;
      await guest.opened.store.hold({ fingerprint, secret, untilMs: Date.now() + 60_000 });
      guest.dial('target', port);
      await until('the guest is in', () => stateOf(target, 'guest') === 'alive');
      assert.deepEqual(store.invitations(), [record]);
      await guest.stop();
      await until('the guest has left', () => alive(target.node).length === 0);
      return '2,400 signatures: auth-failed; another invitation works at once';
    }));
});

/** Connections that begin and never finish; whoever is shown out comes back while it presses. */
class Crowd {
  readonly #open = new Set<net.Socket>();
  readonly #timers = new Set<NodeJS.Timeout>();
  #pressing = true;

  constructor(
    readonly port: number,
    readonly beginnings: readonly Buffer[],
  ) {}

  get open(): number {
    return this.#open.size;
  }

  async press(count: number): Promise<void> {
    await Promise.all(Array.from({ length: count }, (_, index) => this.#come(index)));
  }

  relax(): void {
    this.#pressing = false;
    for (const timer of this.#timers) clearTimeout(timer);
  }

  end(): void {
    this.relax();
    for (const socket of this.#open) socket.destroy();
  }

  #come(index: number): Promise<void> {
    return new Promise((resolve) => {
      const socket = net.connect({ port: this.port, host: '127.0.0.1' }, () => {
        socket.write(this.beginnings[index % this.beginnings.length]!);
        resolve();
      });
      this.#open.add(socket);
      socket.on('error', () => undefined);
      socket.on('data', () => undefined);
      socket.on('end', () => socket.destroy());
      socket.on('close', () => {
        resolve();
        this.#open.delete(socket);
        if (!this.#pressing) return;
        const timer = setTimeout(
          () => {
            this.#timers.delete(timer);
            if (this.#pressing) void this.#come(index);
          },
          500 + ((index * 7) % 500),
        );
        this.#timers.add(timer);
      });
    });
  }
}
