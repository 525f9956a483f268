/** The schedule of the nemesis: the same from the same seed, every kind in it, and nothing that would spoil its own checks. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  CLOCK_HOSTS,
  type FaultKind,
  inWords,
  type Round,
  rounds,
  survivorOf,
  TUNNEL_HOST,
} from './schedule.js';

const KINDS: readonly FaultKind[] = ['kill', 'stop', 'freeze', 'cut', 'one-way', 'slow', 'sshd', 'clock'];

function first(count: number, seed: number, brief = false) {
  const all = rounds({ seed, kinds: KINDS, brief });
  return Array.from({ length: count }, () => all.next().value);
}

describe('the schedule of the nemesis', () => {
  it('is the same from the same seed, and another from another', () => {
    assert.deepEqual(first(50, 7), first(50, 7));
    assert.notDeepEqual(first(50, 7), first(50, 8));
  });

  it('holds every kind before any comes again', () => {
    for (let seed = 1; seed <= 50; seed += 1) {
      const faults = first(KINDS.length, seed).flatMap((round) => round.faults);
      assert.deepEqual(
        faults
          .slice(0, KINDS.length)
          .map(({ kind }) => kind)
          .sort(),
        [...KINDS].sort(),
      );
    }
  });

  it('never kills the survivor, sets only clocks that can be set, and is brief where it is to be', () => {
    for (let seed = 1; seed <= 50; seed += 1) {
      for (const fault of first(30, seed, true).flatMap((round) => round.faults)) {
        if (fault.kind === 'kill' || fault.kind === 'freeze') assert.notEqual(fault.host, survivorOf(seed));
        if (fault.kind === 'clock') assert.ok((CLOCK_HOSTS as readonly number[]).includes(fault.host));
        if (fault.kind === 'one-way') assert.ok(fault.host !== fault.other && fault.host < TUNNEL_HOST);
        assert.ok(fault.forMs <= 3_000);
        assert.match(inWords(fault), /n\d/);
      }
    }
  });

  it('rotates no key by a node that is killed or frozen meanwhile', () => {
    const all = [...KINDS, 'rotate'] as const;
    for (let seed = 1; seed <= 50; seed += 1) {
      const schedule = rounds({ seed, kinds: all, brief: false });
      for (let count = 0; count < 50; count += 1) {
        const { faults } = schedule.next().value as Round;
        const away = faults
          .filter(({ kind }) => kind === 'kill' || kind === 'freeze')
          .map(({ host }) => host);
        for (const { kind, host } of faults) if (kind === 'rotate') assert.ok(!away.includes(host));
      }
    }
  });
});
