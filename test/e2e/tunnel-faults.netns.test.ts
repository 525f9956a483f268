/**
 * Tunnels over links that fail, on both drivers side by side, between network namespaces: packets that vanish, a cable that
 * is pulled, and what a cut leaves behind on the far machine. That a tunnel works again is said by a client that asks
 * through its ports. Probes are made as often as by default.
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { type Host, Lab, type Lan, labUnavailable } from '../lab/lab.js';
import { inTime } from '../support/eventually.js';
import { type HealthWatch, watchHealth } from '../support/health-watch.js';
import { exoOnThePath, type HostNode, typeExo, untilAllShow } from '../support/netns-nodes.js';
import { promise } from '../support/promise.js';
import { repeats } from '../support/repeats.js';
import { type Sshd, startSshd } from '../support/sshd.js';
import { DRIVERS, type PeersJson, tunnelTo } from '../support/tunnel-node.js';
import { type TunnelWatch, watchTunnels } from '../support/tunnel-watch.js';

const skip = labUnavailable(['nft', 'sshd']) ?? false;
const TIMEOUT_MS = 60_000;
const NODE_PORT = 50051;
/** Listening ends of `-L` on the near machine, and of `-R` on the far one. */
const FORWARD = { openssh: 50052, ssh2: 50053 } as const;
const REVERSE = { openssh: 50060, ssh2: 50061 } as const;

interface Setup {
  readonly lan: Lan;
  readonly near: Host;
  readonly far: Host;
  readonly sshd: Sshd;
  readonly nodes: readonly [HostNode, HostNode];
  readonly watch: TunnelWatch;
  /** Asks the near ends of all `-L`. */
  readonly forward: HealthWatch;
  /** Asks the far ends of all `-R`. */
  readonly reverse: HealthWatch;
}

/** Two machines, a tunnel with `-L` (and `-R`) by each driver, the nodes peers through them; both tunnels are up. */
async function inSetup(withReverse: boolean, work: (setup: Setup) => Promise<void>): Promise<void> {
  const lab = new Lab();
  try {
    const lan = lab.lan(2);
    const [near, far] = lan.hosts as [Host, Host];
    const sshd = await startSshd(lab.cleanup, { host: far });
    const tunnel = (driver: (typeof DRIVERS)[number]) =>
      tunnelTo(sshd, {
        driver,
        forward: [`${FORWARD[driver]}:localhost:${NODE_PORT}`],
        ...(withReverse ? { reverse: [`${REVERSE[driver]}:localhost:${NODE_PORT}`] } : {}),
      });
    const peers: PeersJson = {
      peers: { far: { address: `127.0.0.1:${FORWARD.openssh}`, tunnel: tunnel('openssh') } },
      tunnels: { second: tunnel('ssh2') },
    };
    const back = withReverse ? { near: { address: `127.0.0.1:${REVERSE.openssh}` } } : {};
    const folder = exoOnThePath(lab, {
      'near.json': JSON.stringify(peers),
      'far.json': JSON.stringify({ peers: back }),
    });
    const nodes = [near, far].map((host, i) => {
      const id = ['near', 'far'][i]!;
      const line = `exo --node-id ${id} --node-port ${NODE_PORT} --discovery-module manual --discovery-config-path ${id}.json`;
      return typeExo(lab, host, folder, line);
    }) as [HostNode, HostNode];
    await untilAllShow(nodes, { nodes: 2, edges: 2 }, TIMEOUT_MS);
    const watch = watchTunnels(lab.cleanup, nodes[0].apiPort, { prefix: near.prefix });
    const forward = watchHealth(lab.cleanup, Object.values(FORWARD), { prefix: near.prefix });
    const reverse = watchHealth(lab.cleanup, withReverse ? Object.values(REVERSE) : [], {
      prefix: far.prefix,
    });
    await watch.allUp(['far', 'second'], TIMEOUT_MS);
    await Promise.all([forward.allAnswer(TIMEOUT_MS), reverse.allAnswer(TIMEOUT_MS)]);
    await work({ lan, near, far, sshd, nodes, watch, forward, reverse });
  } finally {
    await lab.close();
  }
}

const NAMES = { openssh: 'far', ssh2: 'second' } as const;

test(
  'T2 a black hole is told within 14 s, the session given up within 35 s; after it a stale -R is evicted and the peers meet within 5 s',
  {
    skip,
  },
  (t) =>
    inSetup(true, async ({ lan, near, far, sshd, nodes, watch, forward, reverse }) => {
      const stale = sshd.pidsOfSessions();
      const cutAtMs = Date.now();
      lan.partition(near, far);
      for (const driver of DRIVERS) {
        const name = NAMES[driver];
        const told = await watch.until(name, ({ state }) => state !== 'up', TIMEOUT_MS, cutAtMs);
        const given = await watch.until(
          name,
          ({ state }) => state === 'backoff' || state === 'starting',
          TIMEOUT_MS,
          cutAtMs,
        );
        const [toldMs, givenMs] = [told.atMs - cutAtMs, given.atMs - cutAtMs];
        assert.ok(toldMs <= inTime(14_000), `${driver}: told after ${toldMs} ms`);
        assert.ok(givenMs <= inTime(35_000), `${driver}: given up after ${givenMs} ms`);
        promise(t, 'T2', `${driver}: told after ${toldMs} ms, given up after ${givenMs} ms`);
      }
      // The far machine has heard nothing of it: its sessions still listen.
      assert.deepEqual(
        stale.filter((pid) => !sshd.pidsOfSessions().includes(pid)),
        [],
      );
      await untilAllShow([nodes[0]], { nodes: 1, edges: 0 }, TIMEOUT_MS);
      const healedAtMs = Date.now();
      lan.heal();
      const meet = untilAllShow(nodes, { nodes: 2, edges: 2 }, TIMEOUT_MS);
      for (const driver of DRIVERS) {
        const forwardMs = await forward.recoveredMs(FORWARD[driver], healedAtMs, TIMEOUT_MS);
        const reverseMs = await reverse.recoveredMs(REVERSE[driver], healedAtMs, TIMEOUT_MS);
        t.diagnostic(`${driver}: -L back after ${forwardMs} ms, -R after ${reverseMs} ms`);
        assert.ok(
          forwardMs <= inTime(5_000) && reverseMs <= inTime(5_000),
          `${driver}: ${forwardMs} and ${reverseMs} ms`,
        );
      }
      const { atMs } = await meet;
      t.diagnostic(`the peers list each other ${(atMs - healedAtMs).toFixed(0)} ms after the path is back`);
      assert.ok(atMs - healedAtMs <= inTime(5_000));
      await watch.allUp(['far', 'second'], TIMEOUT_MS);
      // Nothing of the old sessions is left there.
      assert.deepEqual(
        stale.filter((pid) => sshd.pidsOfSessions().includes(pid)),
        [],
      );
    }),
);

test(
  'a tunnel is back within 3 s after the cable is, however long it was out and wherever it was pulled',
  {
    skip,
  },
  (t) =>
    inSetup(false, async ({ lan, near, far, watch, forward }) => {
      const cuts = [
        { where: 'here', host: near, forMs: 4_000 },
        { where: 'here', host: near, forMs: repeats(10_000, 60_000) },
        // Nothing is seen of it here until the probes are given up.
        { where: 'there', host: far, forMs: repeats(0, 60_000) },
      ];
      for (const { where, host, forMs } of cuts) {
        if (forMs === 0) continue;
        await watch.allUp(['far', 'second'], TIMEOUT_MS);
        await forward.allAnswer(TIMEOUT_MS);
        lan.cut(host);
        await delay(forMs);
        const upAtMs = Date.now();
        lan.restore(host);
        for (const driver of DRIVERS) {
          const tookMs = await forward.recoveredMs(FORWARD[driver], upAtMs, TIMEOUT_MS);
          t.diagnostic(`${driver}: cut ${where} for ${forMs / 1000} s, back ${tookMs} ms after the link`);
          assert.ok(
            tookMs <= inTime(3_000),
            `${driver}: cut ${where} for ${forMs} ms, back after ${tookMs} ms`,
          );
        }
      }
    }),
);
