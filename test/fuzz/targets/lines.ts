/** What other programs of this machine and of far ones say: the control socket of ssh, the lines of `exo __far`, run files. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { answerLine, readAnswer, readRequest, requestLine } from '../../../src/cli/connect/far-protocol.js';
import { isLive, readRecord } from '../../../src/node/home/run-file.js';
import { ERROR_CODES, type ErrorCode, ExoError, type Random } from '../../../src/shared/index.js';
import {
  LengthPrefixed,
  muxAliveCheck,
  muxHello,
  readMuxAnswer,
} from '../../../src/tunnels/openssh/mux-protocol.js';
import { varyJson } from '../json-mutate.js';
import type { FuzzTarget } from '../target.js';
import { jsonSeeds, keysOf, varyJsonInput } from './json-text.js';

const MUX_BYTES_MAX = 4 * 1024;

/** Messages in pieces of one size. */
function muxBodies(input: Buffer, size: number): Buffer[] {
  const messages = new LengthPrefixed(MUX_BYTES_MAX);
  const bodies: Buffer[] = [];
  for (let at = 0; at < input.length; at += size)
    bodies.push(...messages.push(input.subarray(at, at + size)));
  return bodies;
}

const hex = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex');

export const mux: FuzzTarget = {
  name: 'mux',
  bytesMax: 8 * 1024,
  codes: [],
  // The docstrings declare it; control.ts makes a `connection-closed` of it.
  isDeclared: (error) => error instanceof RangeError,
  seeds: () => [
    hex('00000008 00000001 00000004 00000008 80000001 00000002'),
    hex('0000000c 80000007 00000004 00008f81 0000000c 80000005 00000001 00005bf8'),
    hex('0000000e 80000003 00000003 00000002 6e6f 0000000c 80000002 00000001 00000000'),
    Buffer.concat([muxHello(), muxAliveCheck(7)]),
  ],
  run(input) {
    const whole = muxBodies(input, Math.max(1, input.length));
    for (const size of [1, 5]) assert.deepEqual(muxBodies(input, size), whole);
    assert.ok(whole.every(({ length }) => length <= MUX_BYTES_MAX));
    const answers = whole.map(readMuxAnswer);
    for (const answer of answers)
      if (answer.kind === 'refused') assert.ok(answer.text.length <= MUX_BYTES_MAX);
    return answers
      .map(({ kind }) => kind[0])
      .join('')
      .slice(0, 6);
  },
};

const ANSWERED = ['hello', 'node', 'enter', 'wait', 'commit', 'leave'] as const;
const NODE = {
  id: 'a',
  instance: '00112233aabbccdd',
  nodeHost: 'h',
  nodePort: 1,
  apiPort: 2,
  peersFile: null,
  started: true,
  log: null,
};

/** A line is a mark and JSON, or only JSON. */
function varyLine(input: Buffer, random: Random): Buffer | undefined {
  const text = input.toString('utf8');
  const at = Math.max(0, text.indexOf('{'));
  const varied = varyJson(text.slice(at), random, ['ok', 'error', 'code', 'op', 'body', ...ANSWERED]);
  return varied === undefined ? undefined : Buffer.from(text.slice(0, at) + varied);
}

/** What the answer may throw is the code that the far side names. */
export const farLines: FuzzTarget = {
  name: 'far-lines',
  bytesMax: 16 * 1024,
  words: ['exo-far ', '{"ok":', '{"error":', '"op":', '"body":', ...ANSWERED],
  codes: Object.keys(ERROR_CODES) as ErrorCode[],
  seeds: () =>
    [
      requestLine('hello', {}),
      requestLine('enter', { node: 'a', peer: 'b', prefer: 1, avoid: [2] }),
      requestLine('leave', {
        node: 'a',
        peer: 'b',
        peersFile: '/p',
        before: { address: 'x' },
        distrust: true,
        stop: true,
      }),
      answerLine({ ok: { schema: 1, version: '1', node: '20', home: '/h', running: ['a'] } }),
      answerLine({ ok: NODE }),
      answerLine({ ok: { port: 1, before: null, changed: true, note: 'n' } }),
      answerLine({ error: new ExoError('tunnel-failed', 'no') }),
    ].map((line) => Buffer.from(line.trimEnd())),
  vary: varyLine,
  run(input) {
    const line = input.toString('utf8');
    const kinds: string[] = [];
    for (const ask of [() => readRequest(line), ...ANSWERED.map((name) => () => readAnswer(name, line))]) {
      try {
        const read = ask();
        kinds.push(read === undefined ? '-' : 'ok');
      } catch (error) {
        if (!(error instanceof ExoError)) throw error;
        kinds.push(error.code);
      }
    }
    const request = kinds[0] === 'ok' ? readRequest(line) : undefined;
    return `${request?.op ?? ''} ${kinds.join(' ')}`;
  },
};

const folder = mkdtempSync(path.join(tmpdir(), 'exo-fuzz-run-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));

export const runFile: FuzzTarget = {
  name: 'run-file',
  bytesMax: 32 * 1024,
  words: ['pid', 'api', 'token', 'processStart', 'machine', 'nodePort', 'peersFile'],
  codes: [],
  seeds: () =>
    jsonSeeds({
      id: 'a',
      instance: '00000000000000aa',
      pid: 4_711,
      processStart: 'boot:1',
      machine: 'm',
      api: { host: '127.0.0.1', port: 52415, token: 't' },
      nodePort: 50051,
      peersFile: '/p',
      startedAt: '2026-01-01T00:00:00.000Z',
      version: '1',
    }),
  vary: varyJsonInput(['pid', 'api', 'token']),
  run(input) {
    const file = path.join(folder, 'a.json');
    writeFileSync(file, input);
    const record = readRecord(file);
    if (record === undefined) return 'none';
    assert.ok(Number.isSafeInteger(record.pid) && record.pid > 0, `the pid ${record.pid}`);
    if (record.api !== null)
      assert.ok(Number.isInteger(record.api.port) && record.api.port > 0 && record.api.port < 65_536);
    assert.equal(record.nodePort === null || Number.isInteger(record.nodePort), true);
    return `${keysOf(record)} ${isLive(record)}`;
  },
};
