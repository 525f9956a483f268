/** Who comes to the door of a closed mesh without its key, and what each gets. Prints a row each. */
import '../support/leaks.js';
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, test } from 'node:test';
import { isAnswerType, isBaseType, isOneWayType } from '../../src/protocol/frame.js';
import {
  ACCESS_OF_KIND,
  type Message,
  type MessageKind,
  reaches,
  TYPE,
  TYPE_OF_KIND,
} from '../../src/protocol/index.js';
import { createCredentials } from '../../src/trust/certificate.js';
import { eventually } from '../support/eventually.js';
import { baseFrame, correlatedFrame, rawFrame } from '../support/frames.js';
import { trustingNode } from '../support/trusting-node.js';
import { EVERY_KIND } from './every-kind.js';
import { assertUntouched, attack, stateOf } from './fortress.js';
import { boundHello, intrude, knock } from './intruder.js';

const KINDS = Object.keys(EVERY_KIND) as MessageKind[];
const HEALTH = baseFrame({ kind: 'health-request' });

/** One is what everybody may ask, the other is answered in its correlated form only. */
const NO_BASE_FORM: ReadonlySet<MessageKind> = new Set(['health-request', 'prompt-response']);

/** The code that a message says no with. */
const codeOf = (message: Message): string | undefined =>
  message.kind === 'error-response'
    ? message.code
    : message.kind === 'health-response'
      ? message.refusal?.code
      : undefined;

describe('without a proof', () => {
  test('a peer in plain, every kind of message', (t) =>
    attack(t, async (fortress) => {
      const { cleanup, port } = fortress;
      let tried = 0;
      for (const kind of KINDS) {
        if (!isBaseType(TYPE_OF_KIND[kind]) || NO_BASE_FORM.has(kind)) continue;
        const fresh = await intrude(cleanup, port);
        fresh.send(HEALTH, baseFrame(EVERY_KIND[kind]), HEALTH);
        // An answer that nobody asked for is ignored, as by the original; everything else ends the connection.
        if (isAnswerType(TYPE_OF_KIND[kind]))
          await eventually({ timeoutMs: 5_000, what: kind, everyMs: 5 }, () => fresh.frames.length === 2);
        else await fresh.shownOut();
        assert.ok(
          fresh.types.every((type) => type === TYPE.healthResponse),
          kind,
        );
        fresh.end();
        tried += 1;
      }
      const hello = await intrude(cleanup, port);
      assert.equal(codeOf(await hello.greet(boundHello('mallory'))), 'tls-required');
      await hello.shownOut();
      for (const kind of KINDS) {
        const fresh = await intrude(cleanup, port);
        fresh.send(correlatedFrame(EVERY_KIND[kind], 7));
        await fresh.shownOut();
        assert.deepEqual(fresh.types, [], kind);
        tried += 1;
      }
      assertUntouched(fortress);
      return `${tried} messages: "is healthy" and nothing else; its hello: tls-required`;
    }));

  test('a peer over TLS with a key of its own, every kind of message', (t) =>
    attack(t, async (fortress) => {
      const { cleanup, port } = fortress;
      const { intruder, answer } = await knock(cleanup, port);
      assert.ok(answer.kind === 'health-response' && answer.isHealthy);
      let id = 10;
      let refused = 0;
      for (const kind of KINDS) {
        const type = TYPE_OF_KIND[kind];
        if (kind === 'auth-request' || kind === 'goodbye' || kind === 'health-request') continue;
        id += 1;
        if (isAnswerType(type) || isOneWayType(type)) {
          intruder.say(EVERY_KIND[kind], 0);
          intruder.say(EVERY_KIND[kind], id);
        } else {
          assert.ok(!reaches('open', ACCESS_OF_KIND[kind]), kind);
          assert.equal(codeOf(await intruder.ask(EVERY_KIND[kind], id)), 'auth-required', kind);
          // One-way: there is nobody to be told, and nothing happens.
          intruder.say(EVERY_KIND[kind], 0);
          refused += 1;
        }
      }
      // Types that nobody has yet are not for strangers either.
      for (let type = 0x60; type < 0x70; type += 2)
        intruder.send(rawFrame(type, randomBytes(64), 900 + type));
      const allowed: ReadonlySet<number> = new Set([TYPE.healthResponse, TYPE.errorResponse]);
      await intruder.shownOut();
      assert.deepEqual(
        intruder.types.filter((type) => !allowed.has(type)),
        [],
      );
      assertUntouched(fortress);
      assert.deepEqual(fortress.target.node.mesh.warnings(), []);
      return `${refused} kinds of request: auth-required; the rest unheard; shown out after 5 s; learns id, port and start`;
    }));

  test('a connection whose hello lacks the nonce, or the correlated form, or comes twice', (t) =>
    attack(t, async (fortress) => {
      const { cleanup, port } = fortress;
      const { auth: _, ...bare } = boundHello('mallory');
      const { intruder, answer } = await knock(cleanup, port, { hello: bare });
      assert.equal(codeOf(answer), 'auth-required');
      await intruder.shownOut();
      const old = await knock(cleanup, port, { hello: boundHello('mallory', { features: [] }) });
      old.intruder.send(baseFrame(EVERY_KIND['topology-request']));
      await old.intruder.shownOut();
      assert.deepEqual(old.intruder.types, [TYPE.healthResponse]);
      const twice = await knock(cleanup, port);
      twice.intruder.send(baseFrame({ kind: 'health-request', hello: boundHello('other') }));
      await twice.intruder.shownOut();
      assertUntouched(fortress);
      return 'auth-required; the end of the connection';
    }));

  test('proofs and keys before the hello, in the answer, twice, and of a stranger', (t) =>
    attack(t, async (fortress) => {
      const { cleanup, port } = fortress;
      for (const kind of ['auth-request', 'auth-response', 'key-update'] as const) {
        const { intruder } = { intruder: await intrude(cleanup, port) };
        intruder.send(correlatedFrame(EVERY_KIND[kind], 1));
        await intruder.shownOut();
        assert.deepEqual(intruder.frames, []);
      }
      const { intruder } = await knock(cleanup, port);
      assert.equal(codeOf(await intruder.ask(EVERY_KIND['key-update'], 5)), 'auth-required');
      intruder.say(EVERY_KIND['auth-request'], 6);
      intruder.say(EVERY_KIND['auth-request'], 7);
      await intruder.shownOut();
      assert.ok(intruder.types.every((type) => type !== TYPE.authResponse));
      assertUntouched(fortress);
      return 'no byte before the hello; auth-required, and the end';
    }));

  test('proofs of 8 fields of 4 KiB, garbage as proofs, more than may be', (t) =>
    attack(t, async (fortress) => {
      const { cleanup, port } = fortress;
      const methods = ['mesh-key', 'pinned', 'invitation', 'ssh-key', 'none', '__proto__', ''];
      const text = (length: number) => randomBytes(length).toString('base64url').slice(0, length);
      let tried = 0;
      const codes = new Set<string | undefined>();
      for (const method of methods) {
        for (const chars of [0, 43, 3_900]) {
          const proof = {
            method,
            key: text(8),
            mac: text(chars),
            signature: text(chars),
            invitation: text(16),
          };
          const proofs = Array.from({ length: chars === 3_900 ? 4 : 8 }, () => proof);
          const { intruder } = await knock(cleanup, port);
          intruder.say({ kind: 'auth-request', proofs }, 3);
          await intruder.shownOut();
          assert.ok(!intruder.types.includes(TYPE.authResponse));
          const frame = intruder.frames.find(({ type }) => (type & 0x7f) === TYPE.errorResponse);
          if (frame !== undefined) codes.add((JSON.parse(frame.body.toString()) as { code: string }).code);
          tried += 1;
        }
      }
      for (const body of [
        '{}',
        '[]',
        '{"proofs": 1}',
        '{"proofs": [{}]}',
        `{"proofs": [${'{"method":"x"},'.repeat(8)}{"method":"x"}]}`,
      ]) {
        const { intruder } = await knock(cleanup, port);
        intruder.send(rawFrame(TYPE.authRequest, Buffer.from(body), 3));
        await intruder.shownOut();
        assert.ok(!intruder.types.includes(TYPE.authResponse));
        tried += 1;
      }
      const { intruder } = await knock(cleanup, port);
      intruder.send(rawFrame(TYPE.authRequest, Buffer.alloc(40 * 1024, 0x20), 3));
      await intruder.shownOut();
      assertUntouched(fortress);
      for (const code of codes) assert.match(code ?? '', /^auth-(failed|required)$/);
      return `${tried + 1} tries: ${[...codes].sort().join(' or ')}, and the end`;
    }));

  test('headers that announce up to 4 GiB, in plain and inside TLS', (t) =>
    attack(
      t,
      async (fortress) => {
        const { cleanup, port } = fortress;
        let tried = 0;
        for (const type of [0x01, 0x10, 0x12, 0x20, 0x30, 0x5c, 0x60, 0x92, 0xdc]) {
          for (const length of [LARGE, 256 * 2 ** 20, 0xffff_ffff]) {
            const header = Buffer.from('45584f010000000000', 'hex');
            header[4] = type;
            header.writeUInt32BE(length, 5);
            const plain = await intrude(cleanup, port);
            plain.send(header, Buffer.alloc(1_000));
            const { intruder: secret } = await knock(cleanup, port);
            secret.send(header, Buffer.alloc(1_000));
            await secret.shownOut();
            await plain.shownOut();
            assert.deepEqual(plain.types, []);
            tried += 2;
          }
        }
        assertUntouched(fortress);
        return `${tried} tries: closed at the header`;
      },
      { growthBytesMax: 48 * 2 ** 20 },
    ));
});

const LARGE = 2 * 2 ** 20;

describe('what a stranger tells', () => {
  test('a flood of notices and goodbyes', (t) =>
    attack(t, async (fortress) => {
      const { cleanup, port, target } = fortress;
      for (let round = 0; round < 20; round += 1) {
        const { intruder } = await knock(cleanup, port, { hello: boundHello(`mallory-${round}`) });
        for (let index = 0; index < 200; index += 1) {
          intruder.say({ kind: 'notice', code: `code-${index}`, message: `run this, ${round}-${index}` }, 0);
        }
        intruder.say({ kind: 'goodbye', reason: round % 2 === 0 ? 'duplicate' : 'stopping' }, 0);
        intruder.end();
      }
      // What it says last is heard after all of that.
      const { intruder } = await knock(cleanup, port);
      intruder.end();
      assert.deepEqual(target.node.mesh.warnings(), []);
      assertUntouched(fortress);
      return '4,000 notices: none shown to the operator, none logged';
    }));

  test('a flood of notices of a peer in an open mesh', (t) =>
    attack(
      t,
      async ({ cleanup, port, target }) => {
        const intruder = await intrude(cleanup, port);
        await intruder.greet(boundHello('mallory'));
        await eventually(
          { timeoutMs: 5_000, what: 'it is a peer' },
          () => stateOf(target, 'mallory') === 'alive',
        );
        for (let index = 0; index < 2_000; index += 1) {
          intruder.say({ kind: 'notice', code: `code-${index}`, message: `notice ${index}` }, 0);
        }
        await intruder.ask({ kind: 'ping', data: Buffer.alloc(1) }, 4_000);
        const shown = target.node.mesh.warnings().length;
        assert.ok(shown <= 16, `${shown} warnings`);
        intruder.end();
        return `${shown} of 2,000 shown, marked as said by it`;
      },
      { token: null },
    ));

  test('keys and proofs from a member of an open mesh', (t) =>
    attack(
      t,
      async ({ cleanup, port, target }) => {
        const intruder = await intrude(cleanup, port);
        await intruder.greet(boundHello('mallory'));
        await eventually(
          { timeoutMs: 5_000, what: 'it is a peer' },
          () => stateOf(target, 'mallory') === 'alive',
        );
        assert.equal(codeOf(await intruder.ask(EVERY_KIND['key-update'], 5)), 'auth-required');
        assert.equal(codeOf(await intruder.ask(EVERY_KIND['auth-request'], 6)), 'protocol-violation');
        assert.deepEqual(target.opened.keys.all, []);
        intruder.end();
        return 'auth-required; no key is taken';
      },
      { token: null },
    ));

  test('the id of the node itself, in plain and over TLS, 100 times', (t) =>
    attack(t, async (fortress) => {
      const { cleanup, port, target } = fortress;
      for (let round = 0; round < 50; round += 1) {
        const plain = await intrude(cleanup, port);
        assert.equal(codeOf(await plain.greet(boundHello('target'))), 'tls-required');
        const { answer } = await knock(cleanup, port, { hello: boundHello('target') });
        assert.equal(codeOf(answer), 'duplicate-id');
      }
      assert.equal(target.node.mesh.warnings().length, 1);
      assertUntouched(fortress);
      return 'tls-required, duplicate-id; one warning to the operator';
    }));

  test('the id of a member in an open mesh, taken by a second hello', (t) =>
    attack(
      t,
      async ({ cleanup, port, target }) => {
        const victim = await trustingNode(cleanup, { id: 'victim' });
        victim.dial('target', port);
        await eventually(
          { timeoutMs: 10_000, what: 'the victim is there' },
          () => stateOf(target, 'victim') === 'alive',
        );
        const intruder = await intrude(cleanup, port);
        await intruder.greet(boundHello('mallory'));
        await eventually(
          { timeoutMs: 5_000, what: 'it is a peer' },
          () => stateOf(target, 'mallory') === 'alive',
        );
        intruder.send(baseFrame({ kind: 'health-request', hello: boundHello('victim') }));
        await intruder.shownOut();
        assert.equal(stateOf(target, 'victim'), 'alive');
        await victim.stop();
        return 'protocol-violation, and the end of its connection';
      },
      { token: null },
    ));

  test('the key of the node, shown back to it', (t) =>
    attack(t, async (fortress) => {
      const { cleanup, port, target } = fortress;
      const credentials = await createCredentials(target.opened.nodeKey);
      const { intruder } = await knock(cleanup, port, { credentials });
      const answer = await intruder.ask({ kind: 'auth-request', proofs: [{ method: 'pinned' }] }, 3);
      assert.equal(codeOf(answer), 'identity-changed');
      await intruder.shownOut();
      assertUntouched(fortress);
      return 'identity-changed';
    }));
});
