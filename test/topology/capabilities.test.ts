import assert from 'node:assert/strict';
import { totalmem } from 'node:os';
import { describe, it } from 'node:test';
import { systemClock, VirtualClock } from '../../src/shared/index.js';
import { usableBytes } from '../../src/topology/capabilities.js';
import { chipFlops, probeCapabilities, type SystemReader } from '../../src/topology/index.js';
import { inTime } from '../support/eventually.js';

const linuxBox: SystemReader = {
  platform: 'linux',
  memoryBytes: () => 32 * 1024 ** 3,
  cpuBrand: () => 'Intel(R) Core(TM) i9-13900K',
  productName: async () => 'Some Board',
  graphics: async () => [],
};

describe('capability probe', () => {
  it('describes this machine at once and again when it has asked', async () => {
    const startMs = performance.now();
    const { instant, refined } = probeCapabilities({ clock: systemClock });
    assert.ok(performance.now() - startMs < inTime(250), 'the instant answer does not wait');
    assert.ok(instant.memory > 0 && instant.memory <= totalmem() / 1024 ** 2);
    assert.notEqual(instant.model, '');
    const later = await refined;
    assert.equal(later.memory, instant.memory);
    assert.notEqual(later.chip, '');
  });

  it('names a Linux machine after its processor, or its graphics card', async () => {
    const { instant, refined } = probeCapabilities({
      clock: systemClock,
      system: {
        ...linuxBox,
        graphics: async () => [
          { vendor: 'ASPEED', model: 'ASPEED Graphics Family' },
          { vendor: 'NVIDIA Corporation', model: 'AD102 [GeForce RTX 4090]' },
        ],
      },
    });
    assert.deepEqual(instant, {
      model: 'Linux Box (Intel Core i9-13900K)',
      chip: 'Intel Core i9-13900K',
      memory: 32768,
      flops: { fp32: 0, fp16: 0, int8: 0 },
    });
    const later = await refined;
    assert.equal(later.model, 'Linux Box (NVIDIA GEFORCE RTX 4090)');
    assert.equal(later.chip, 'NVIDIA GEFORCE RTX 4090');
    assert.deepEqual(later.flops, { fp32: 82.58, fp16: 165.16, int8: 330.32 });
  });

  it('names a Mac by its product and chip', async () => {
    const mac: SystemReader = {
      ...linuxBox,
      platform: 'darwin',
      cpuBrand: () => 'Apple M2 Max',
      productName: async () => 'MacBook Pro',
    };
    const { refined } = probeCapabilities({ clock: systemClock, system: mac });
    assert.deepEqual(await refined, {
      model: 'MacBook Pro',
      chip: 'Apple M2 Max',
      memory: 32768,
      flops: { fp32: 13.49, fp16: 26.98, int8: 53.96 },
    });
  });

  it('answers in time when the system does not, and never throws', async () => {
    const clock = new VirtualClock();
    const hanging = { ...linuxBox, graphics: () => new Promise<never>(() => undefined) };
    const slow = probeCapabilities({ clock, timeoutMs: 3_000, system: hanging });
    await clock.advance(3_000);
    assert.deepEqual(await slow.refined, slow.instant);
    const broken = probeCapabilities({
      clock,
      system: { ...linuxBox, graphics: () => Promise.reject(new Error('no lspci')) },
    });
    assert.deepEqual(await broken.refined, broken.instant);
    assert.equal(clock.pending, 0);
  });

  it('ends with its signal', async () => {
    const hanging = { ...linuxBox, graphics: () => new Promise<never>(() => undefined) };
    const stop = new AbortController();
    const clock = new VirtualClock();
    const { instant, refined } = probeCapabilities({ clock, signal: stop.signal, system: hanging });
    stop.abort();
    assert.deepEqual(await refined, instant);
    assert.equal(clock.pending, 0);
  });

  it('respects a container’s memory limit', () => {
    assert.equal(usableBytes(100, 60), 60);
    assert.equal(usableBytes(100, 0), 100);
    assert.equal(usableBytes(100, 2 ** 64), 100);
    assert.equal(usableBytes(100, undefined), 100);
  });
});

describe('chip table', () => {
  it('knows chips under the names that drivers, vendors and lspci use', () => {
    const fp32 = (name: string) => chipFlops(name).fp32;
    assert.equal(fp32('Apple M1'), 2.29);
    assert.equal(fp32('Apple M1 Ultra'), 21.2);
    assert.deepEqual(chipFlops('Apple M4 Max'), { fp32: 18.03, fp16: 36.07, int8: 72.14 });
    assert.equal(fp32('NVIDIA GeForce RTX 4070 Ti SUPER'), 44.1);
    assert.equal(fp32('NVIDIA GEFORCE RTX 4070'), 29.15);
    assert.equal(fp32('NVIDIA A100-SXM4-80GB'), 19.5);
    assert.equal(fp32('NVIDIA H100 PCIe'), 51.2);
    assert.equal(fp32('NVIDIA H100 80GB HBM3'), 66.9);
    assert.equal(fp32('Tesla V100-SXM2-16GB'), 15.7);
    assert.equal(fp32('Navi 31 [Radeon RX 7900 XTX]'), 61.39);
    assert.deepEqual(chipFlops('A100'), { fp32: 19.5, fp16: 312, int8: 624 });
  });

  it('gives zeros for what it does not know, laptop cards included', () => {
    for (const name of ['', 'Unknown Chip', 'AMD EPYC', 'NVIDIA GeForce RTX 4090 Laptop GPU', 'RTX 9999']) {
      assert.deepEqual(chipFlops(name), { fp32: 0, fp16: 0, int8: 0 }, name);
    }
  });
});
