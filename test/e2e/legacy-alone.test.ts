/** The old peer by itself: before it may judge our node, it must be a working mesh of its own. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import test from 'node:test';
import { eventually } from '../support/eventually.js';
import { allEdges, chat, edges, legacyReport, nodeIds, topology } from '../support/http.js';
import { writePeersFile } from '../support/peers-file.js';
import { freePorts } from '../support/ports.js';
import { Cleanup, ROOT, type RunningNode, runLegacy } from '../support/processes.js';

async function ring(cleanup: Cleanup, memoriesMb: readonly number[]): Promise<RunningNode[]> {
  const folder = cleanup.folder();
  const ports = await freePorts(memoriesMb.length);
  const ids = memoriesMb.map((_, i) => `old${i}`);
  const nodes = await Promise.all(
    ids.map((id, i) => {
      const others = Object.fromEntries(
        ids.flatMap((other, k): Array<[string, number]> => (k === i ? [] : [[other, ports[k]!]])),
      );
      const peersFile = writePeersFile(folder, `${id}.json`, others);
      return runLegacy(cleanup, { id, peersFile, nodePort: ports[i]!, memoryMb: memoriesMb[i]! });
    }),
  );
  for (const node of nodes) {
    await eventually(
      { timeoutMs: 20_000, what: `${node.child.name} sees the full ring`, onLate: () => node.child.output },
      async () => {
        const view = await topology(node.api);
        return edges(view).join() === allEdges(ids).join() && nodeIds(view).join() === ids.join();
      },
    );
  }
  return nodes;
}

for (const memoriesMb of [[1000], [1000, 1000], [3000, 1000, 6000]]) {
  test(`a ring of ${memoriesMb.length} old peers answers dummy ten times from each`, async () => {
    const cleanup = new Cleanup();
    try {
      const nodes = await ring(cleanup, memoriesMb);
      for (const node of nodes) {
        const answer = await chat(node.api);
        assert.equal(answer.choices[0]?.message.content, 'dummy'.repeat(10));
        assert.equal(answer.choices[0]?.finish_reason, 'stop');
        assert.deepEqual(answer.usage, { prompt_tokens: 1, completion_tokens: 10, total_tokens: 11 });
      }
      for (const node of nodes) {
        const report = await legacyReport(node.api);
        assert.deepEqual(report.unknownTypes, []);
        assert.deepEqual(report.badMagic, []);
        assert.deepEqual(report.mismatches, []);
        assert.deepEqual(report.unsolicited, {});
        assert.deepEqual(report.failures, []);
      }
    } finally {
      await cleanup.dispose();
    }
  });
}

test('an old peer answers the golden health check byte by byte and closes on what it does not know', async () => {
  const cleanup = new Cleanup();
  try {
    const peersFile = writePeersFile(cleanup.folder(), 'none.json', {});
    const node = await runLegacy(cleanup, { id: 'old', peersFile });
    const exchange = (hex: string) =>
      new Promise<string>((resolve, reject) => {
        const chunks: Buffer[] = [];
        const socket = net.connect(node.nodePort, '127.0.0.1', () => socket.write(Buffer.from(hex, 'hex')));
        socket.on('data', (chunk) => {
          chunks.push(chunk);
          if (Buffer.concat(chunks).length >= 58) socket.end();
        });
        socket.on('error', reject);
        socket.on('close', () => resolve(Buffer.concat(chunks).toString('hex')));
      });
    const healthy = '45584f0102000000147b2269735f6865616c746879223a20747275657d';
    assert.equal(await exchange('45584f010100000000'.repeat(2)), healthy.repeat(2));
    assert.equal(await exchange('45584f017f00000000'), '', 'unknown type');
    assert.equal(await exchange('58584f010100000000'), '', 'bad magic');
    // A known type without a handler is ignored: the health check behind it is answered.
    assert.equal(await exchange(`45584f011400000000${'45584f010100000000'.repeat(2)}`), healthy.repeat(2));
    const report = await legacyReport(node.api);
    assert.deepEqual(report.unknownTypes, ['0x7f']);
    assert.equal(report.badMagic.length, 1);
  } finally {
    await cleanup.dispose();
  }
});

test('the old peer imports nothing but Node’s own modules and its own files', () => {
  const folder = path.join(ROOT, 'test/legacy-peer');
  for (const file of readdirSync(folder)) {
    const source = readFileSync(path.join(folder, file), 'utf8');
    for (const [, specifier] of source.matchAll(/^import (?:[^']* from )?'([^']+)'/gm)) {
      assert.match(specifier!, /^(node:[\w/]+|\.\/[\w-]+\.mjs)$/, `${file} imports ${specifier}`);
    }
    execFileSync(process.execPath, ['--check', path.join(folder, file)]);
  }
});

test('an old peer writes the golden frames byte by byte', async () => {
  const wire = (await import(`${ROOT}test/legacy-peer/wire.mjs`)) as {
    TYPE: Record<string, number>;
    frame(type: number, payload?: Buffer): Buffer;
    jsonFrame(type: number, body: unknown): Buffer;
    metaPayload(meta: unknown, data: Buffer): Buffer;
    encodeTensor(tensor: unknown): { meta: unknown; data: Buffer };
  };
  const type = (name: string) => wire.TYPE[name]!;
  const shard = { model_id: 'dummy', start_layer: 0, end_layer: 3, n_layers: 8 };
  const prompt = { shard, prompt: 'h\u00e9', request_id: 'r1', inference_state: null };
  const tensor = wire.encodeTensor({ shape: [1, 2], dtype: 'float32', values: [1, 2] });
  const request = { shard, tensor: tensor.meta, request_id: 'r1', inference_state: null };
  const caps = { model: 'M', chip: 'C', memory: 1024, flops: { fp32: 0, fp16: 0, int8: 0 } };
  const graph = { a: [{ to_id: 'b', description: 'MAN' }] };
  const golden: Array<[Buffer, string]> = [
    [wire.frame(type('HEALTH_REQ')), '45584f010100000000'],
    [
      wire.jsonFrame(type('PROMPT_REQ'), prompt),
      '45584f0110000000937b227368617264223a207b226d6f64656c5f6964223a202264756d6d79222c202273746172745f6c61796572223a20302c2022656e645f6c61796572223a20332c20226e5f6c6179657273223a20387d2c202270726f6d7074223a2022685c7530306539222c2022726571756573745f6964223a20227231222c2022696e666572656e63655f7374617465223a206e756c6c7d',
    ],
    [
      wire.frame(type('TENSOR_REQ'), wire.metaPayload(request, tensor.data)),
      '45584f0112000000bb000000af7b227368617264223a207b226d6f64656c5f6964223a202264756d6d79222c202273746172745f6c61796572223a20302c2022656e645f6c61796572223a20332c20226e5f6c6179657273223a20387d2c202274656e736f72223a207b227368617065223a205b312c20325d2c20226474797065223a2022666c6f61743332227d2c2022726571756573745f6964223a20227231222c2022696e666572656e63655f7374617465223a206e756c6c7d0000803f00000040',
    ],
    [wire.frame(type('TENSOR_RESP'), Buffer.alloc(4)), '45584f01130000000400000000'],
    [
      wire.jsonFrame(type('RESULT'), { request_id: 'r1', result: [7], is_finished: false }),
      '45584f0120000000397b22726571756573745f6964223a20227231222c2022726573756c74223a205b375d2c202269735f66696e6973686564223a2066616c73657d',
    ],
    [
      wire.jsonFrame(type('TOPO_REQ'), { visited: ['a'], max_depth: 3 }),
      '45584f0130000000227b2276697369746564223a205b2261225d2c20226d61785f6465707468223a20337d',
    ],
    [
      wire.jsonFrame(type('TOPO_RESP'), { nodes: { a: caps }, peer_graph: graph }),
      '45584f0131000000ac7b226e6f646573223a207b2261223a207b226d6f64656c223a20224d222c202263686970223a202243222c20226d656d6f7279223a20313032342c2022666c6f7073223a207b2266703332223a20302e302c202266703136223a20302e302c2022696e7438223a20302e307d7d7d2c2022706565725f6772617068223a207b2261223a205b7b22746f5f6964223a202262222c20226465736372697074696f6e223a20224d414e227d5d7d7d',
    ],
    [
      wire.jsonFrame(type('STATUS'), { request_id: '', status: '{"type": "node_status"}' }),
      '45584f01400000003b7b22726571756573745f6964223a2022222c2022737461747573223a20227b5c22747970655c223a205c226e6f64655f7374617475735c227d227d',
    ],
  ];
  for (const [bytes, hex] of golden) assert.equal(bytes.toString('hex'), hex);
});
