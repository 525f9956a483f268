/** The hello: the first thing a stranger says. */
import assert from 'node:assert/strict';
import { encodeBase, MessageDecoder, TYPE } from '../../../src/protocol/index.js';
import { idFault, isPrintable, LIMITS } from '../../../src/shared/index.js';
import { helloOf } from '../../support/connection-pair.js';
import { bodyBytes } from '../../support/frames.js';
import type { FuzzTarget } from '../target.js';
import { assertSaysSame, keysOf, varyJsonInput } from './json-text.js';

const WORDS = [
  'hello',
  'version_max',
  'version_min',
  'node_id',
  'instance',
  '0123456789abcdef',
  'path',
  'flops',
];

export const hello: FuzzTarget = {
  name: 'hello',
  bytesMax: LIMITS.helloBytesMax,
  words: WORDS,
  codes: ['frame-malformed', 'version-mismatch'],
  seeds: () =>
    [
      helloOf('n'),
      helloOf('n', { path: { description: 'Ethernet (eth0)', priority: 4 }, versionMax: 3 }),
      helloOf('ü', { features: [], nodePort: 0, topologyDigest: '' }),
    ].map((one) => bodyBytes(encodeBase({ kind: 'health-request', hello: one }))),
  vary: varyJsonInput(WORDS),
  run(input) {
    const read = new MessageDecoder().decode(TYPE.healthRequest, input);
    assert.equal(read.kind, 'health-request');
    if (read.kind !== 'health-request' || read.hello === undefined) return 'no hello';
    const { hello: heard } = read;
    assert.equal(idFault(heard.nodeId), undefined);
    assert.ok(heard.nodePort >= 0 && heard.nodePort <= 65_535);
    assert.ok(Number.isSafeInteger(heard.epoch) && heard.epoch >= 0);
    assert.ok([heard.agent, heard.capabilities.model, heard.path?.description ?? ''].every(isPrintable));
    const { memory, flops } = heard.capabilities;
    assert.ok([memory, ...Object.values(flops)].every((figure) => Number.isFinite(figure) && figure >= 0));
    if (heard.path !== undefined)
      assert.ok(Number.isFinite(heard.path.priority), 'a priority that is no number');
    const body = bodyBytes(encodeBase({ kind: 'health-request', hello: heard }));
    assertSaysSame(new MessageDecoder().decode(TYPE.healthRequest, body), read, 'written and read again');
    return keysOf(heard);
  },
};
