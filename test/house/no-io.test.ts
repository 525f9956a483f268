/** Protocol and decision code does no I/O: bytes and ticks in, frames and actions out. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { sources } from './sources.js';

const IO = new Set([
  'node:net',
  'node:dgram',
  'node:fs',
  'node:child_process',
  'node:http',
  'node:https',
  'node:tls',
  'node:os',
  'node:dns',
  'node:timers',
  'node:worker_threads',
]);

/** Files without I/O. A name that is gone fails: follow the file. */
const PURE = [
  'src/protocol/body-store.ts',
  'src/protocol/frame.ts',
  'src/protocol/frame-decoder.ts',
  'src/protocol/frame-writer.ts',
  'src/protocol/inbound.ts',
  'src/protocol/memory-budget.ts',
  'src/protocol/messages/message-assembler.ts',
  'src/protocol/messages/message-decoder.ts',
  'src/protocol/messages/message-encoder.ts',
  'src/protocol/outbox.ts',
  'src/protocol/pending-requests.ts',
  'src/protocol/session.ts',
  'src/protocol/session-state.ts',
  'src/protocol/messages/tensor-codec.ts',
  'src/discovery/candidate-pool.ts',
  'src/discovery/flood-gate.ts',
  'src/discovery/udp-packet.ts',
  'src/models/checkpoint/checkpoint-index.ts',
  'src/models/architecture/config.ts',
  'src/models/architecture/fields.ts',
  'src/models/architecture/mlx.ts',
  'src/models/checkpoint/repeated-name.ts',
  'src/models/architecture/rope.ts',
  'src/models/tokenizer/template/strftime.ts',
  'src/models/architecture/weight-shapes.ts',
  'src/topology/partition.ts',
  'src/topology/push-planner.ts',
  'src/topology/view.ts',
  'src/trust/ed25519.ts',
  'src/trust/handshake.ts',
  'src/trust/invitation.ts',
  'src/trust/mesh-key.ts',
  'src/trust/mesh-key-list.ts',
  'src/trust/ssh-public-key.ts',
  'src/trust/ssh-statement.ts',
  'src/trust/transcript.ts',
  'src/trust/trust-file.ts',
  'src/tunnels/failure.ts',
  'src/tunnels/opening-gate.ts',
  'src/tunnels/status.ts',
  'src/tunnels/openssh/kept-settings.ts',
  'src/tunnels/openssh/mux-protocol.ts',
  'src/tunnels/openssh/server-rights.ts',
  'src/tunnels/openssh/ssh-args.ts',
  'src/tunnels/openssh/ssh-config.ts',
  'src/tunnels/ssh/ssh-exit.ts',
  'src/tunnels/ssh/ssh-exit-table.ts',
  'src/tunnels/openssh/ssh-said.ts',
  'src/tunnels/ssh/anchor.ts',
  'src/tunnels/ssh/config-dump.ts',
  'src/tunnels/ssh/quoting.ts',
  'src/tunnels/ssh/route.ts',
  'src/tunnels/ssh2/banner-watch.ts',
  'src/tunnels/ssh2/glob.ts',
  'src/tunnels/ssh2/login-failure.ts',
  'src/tunnels/ssh2/ssh-config-subset.ts',
  'src/node/connection-choice.ts',
  'src/node/membership.ts',
  'src/node/peer-table.ts',
];

/** Folders of which every file is. */
const PURE_FOLDERS = [
  'src/models/architecture/families/',
  'src/tunnels/description/',
  'src/tunnels/supervisor/',
];

/** Of these folders, those that ask the system where the home of the user is, and nothing else. */
const ASKS_FOR_HOME = new Set([
  'src/tunnels/description/parse-spec.ts',
  'src/tunnels/description/spec-from-flags.ts',
]);

const all = new Map(sources().map((source) => [source.file, source]));

test('the folders without I/O have files', () => {
  for (const folder of PURE_FOLDERS) {
    assert.ok(
      [...all.keys()].some((file) => file.startsWith(folder)),
      `${folder} is gone: mend the list`,
    );
  }
});

for (const file of [
  ...PURE,
  ...[...all.keys()].filter(
    (name) => PURE_FOLDERS.some((folder) => name.startsWith(folder)) && !ASKS_FOR_HOME.has(name),
  ),
]) {
  test(`${file} does no I/O, nor does what it imports`, () => {
    assert.ok(all.has(file), `${file} is gone: mend the list`);
    const seen = new Set<string>();
    const faults: string[] = [];
    const visit = (name: string, by: string) => {
      const source = all.get(name);
      // The index of a room names also its parts that do I/O; importing a type from there opens nothing.
      if (source === undefined || seen.has(name) || name.endsWith('/index.ts')) return;
      seen.add(name);
      for (const { target, packageName } of source.imports) {
        if (packageName !== undefined && IO.has(packageName)) faults.push(`${by} → ${packageName}`);
        if (target !== undefined) visit(target, `${by} → ${target}`);
      }
    };
    visit(file, file);
    assert.deepEqual(faults, []);
  });
}
