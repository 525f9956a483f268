/** What discovery hears: UDP datagrams and TCP announces. */
import assert from 'node:assert/strict';
import { AnnounceReader, decodeAnnounce, encodeAnnounce } from '../../../src/discovery/announce.js';
import {
  DATAGRAM_BYTES_SENT_MAX,
  decodeDatagram,
  encodeDatagram,
} from '../../../src/discovery/udp-packet.js';
import type { DeviceCapabilities } from '../../../src/protocol/index.js';
import { ExoError, idFault, isPrintable, LIMITS } from '../../../src/shared/index.js';
import { CAPABILITIES } from '../../discovery/fixtures.js';
import type { FuzzTarget } from '../target.js';
import { assertSaysSame, jsonSeeds, keysOf, varyJsonInput } from './json-text.js';

const WORDS = [
  'discovery',
  'announce',
  'node_id',
  'grpc_port',
  'device_capabilities',
  'priority',
  'interface_name',
];

function checkCapabilities({ model, chip, memory, flops }: DeviceCapabilities): void {
  assert.ok(isPrintable(model) && isPrintable(chip));
  assert.ok(memory <= LIMITS.memoryMbMax);
  for (const figure of [memory, ...Object.values(flops)]) assert.ok(Number.isFinite(figure) && figure >= 0);
}

export const datagram: FuzzTarget = {
  name: 'datagram',
  bytesMax: LIMITS.datagramBytesMax + 64,
  words: WORDS,
  codes: ['candidate-invalid'],
  seeds: () => [
    encodeDatagram({
      nodeId: 'a',
      nodePort: 1,
      capabilities: CAPABILITIES,
      priority: 4,
      interfaceName: 'eth0',
      interfaceType: 'Ethernet',
    }),
    ...jsonSeeds({ type: 'discovery', node_id: 'ü', grpc_port: 65535 }),
  ],
  vary: varyJsonInput(WORDS),
  run(input) {
    const heard = decodeDatagram(input);
    assert.equal(idFault(heard.nodeId), undefined);
    assert.ok(heard.nodePort >= 1 && heard.nodePort <= 65_535);
    assert.ok(Number.isInteger(heard.priority) && heard.priority >= 0 && heard.priority <= 7);
    assert.ok(isPrintable(heard.interfaceName) && isPrintable(heard.interfaceType));
    checkCapabilities(heard.capabilities);
    // What we heard we can also say; names are cut until it fits.
    const said = encodeDatagram({ ...heard, interfaceName: 'eth0', interfaceType: 'Other' });
    assert.ok(said.length <= DATAGRAM_BYTES_SENT_MAX);
    const again = decodeDatagram(said);
    const says = ({ nodeId, nodePort, priority }: typeof again) => [nodeId, nodePort, priority];
    assertSaysSame(says(again), says(heard), 'said again');
    return keysOf(heard.capabilities);
  },
};

/** All of the bytes in pieces of one size. */
function readAnnounce(input: Buffer, size: number): Buffer | undefined {
  const reader = new AnnounceReader();
  for (let at = 0; at < input.length; at += size) {
    const whole = reader.push(input.subarray(at, at + size));
    if (whole !== undefined) return whole;
  }
  return undefined;
}

function outcome(input: Buffer, size: number): string {
  try {
    return readAnnounce(input, size)?.toString('latin1') ?? 'incomplete';
  } catch (error) {
    if (error instanceof ExoError) return error.code;
    throw error;
  }
}

export const announce: FuzzTarget = {
  name: 'announce',
  bytesMax: LIMITS.announceBytesMax + 1_024,
  words: WORDS,
  codes: ['candidate-invalid'],
  seeds: () => [
    encodeAnnounce({ nodeId: 'a', nodePort: 1, capabilities: CAPABILITIES }),
    ...jsonSeeds(' \n{"type":"announce","node_id":"}{","grpc_port":1}', { type: 'announce', node_id: 'x' }),
  ],
  vary: varyJsonInput(WORDS),
  run(input) {
    const whole = readAnnounce(input, Math.max(1, input.length));
    // Not the longest: their limit is reached at another byte when they come in other pieces.
    if (input.length < 2_048) {
      for (const size of [1, 7])
        assert.equal(outcome(input, size), whole?.toString('latin1') ?? 'incomplete');
    }
    if (whole === undefined) return 'incomplete';
    const heard = decodeAnnounce(whole);
    assert.equal(idFault(heard.nodeId), undefined);
    assert.ok(heard.nodePort >= 1 && heard.nodePort <= 65_535);
    checkCapabilities(heard.capabilities);
    assertSaysSame(decodeAnnounce(encodeAnnounce(heard)), heard, 'said again');
    return keysOf(heard.capabilities);
  },
};
