/** The commands for the far machine: the same in every shell, nothing of a person's in them, and read in any pieces. */
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import test from 'node:test';
import { AnchorReader, anchorCommand, anchorLabel, evictCommand } from '../../src/tunnels/ssh/anchor.js';
import { end, forward } from '../compliance/tunnel-specs.js';
import { Cleanup } from '../support/processes.js';
import '../support/leaks.js';

const LABEL = anchorLabel('/state', 'mac1', 'mac2');
const SHELLS = ['sh', 'bash', 'dash', 'zsh', 'fish', 'csh', 'tcsh', 'ksh'].filter(
  (shell) => spawnSync('sh', ['-c', `command -v ${shell}`]).status === 0,
);

for (const shell of SHELLS) {
  test(`the anchor says the pid of its parent and ends with its input, under ${shell}`, async () => {
    const child = spawn(shell, ['-c', anchorCommand(LABEL, [])], { stdio: ['pipe', 'pipe', 'inherit'] });
    const reader = new AnchorReader(LABEL);
    const pid = await new Promise<number>((resolve) => {
      child.stdout.setEncoding('utf8').on('data', (text: string) => {
        const said = reader.push(text);
        if (said !== undefined) resolve(said);
      });
    });
    assert.equal(pid, process.pid);
    child.stdin.end();
    assert.equal(await new Promise((resolve) => child.once('exit', resolve)), 0);
  });

  test(`evict says nothing and does nothing about a process that is none of ours, under ${shell}`, () => {
    const said = execFileSync(shell, ['-c', evictCommand(LABEL, process.pid)], { encoding: 'utf8' });
    assert.equal(said, '');
  });
}

test('the anchor removes sockets of -R at its end, and no other file', async () => {
  const cleanup = new Cleanup();
  const folder = cleanup.folder();
  const [socket, hostile] = [path.join(folder, 's'), path.join(folder, "it's $(touch x)")];
  const servers = await Promise.all(
    [socket, hostile].map(
      (one) =>
        new Promise<net.Server>((resolve) => {
          const server = net.createServer().listen(one, () => resolve(server));
        }),
    ),
  );
  const listens = [socket, hostile, '/etc/../tmp/x', `${folder}/plain`].map((one) =>
    forward(end(one), end(1)),
  );
  const command = anchorCommand(LABEL, listens);
  assert.ok(!command.includes('touch') && !command.includes('..'));
  execFileSync('sh', ['-c', `touch ${folder}/plain; ${command}`], { input: '' });
  assert.ok(!existsSync(socket) && existsSync(hostile) && existsSync(path.join(folder, 'plain')));
  for (const server of servers) server.close();
  await cleanup.dispose();
});

test('an anchor is heard in any pieces, after whatever a shell says first, and not by another label', () => {
  const text = `Welcome!\n${anchorLabel('/state', 'mac1', 'other')} 5\nnot ${LABEL} 6\n${LABEL} 4711\r\nmore\n`;
  for (let size = 1; size < 20; size += 1) {
    const reader = new AnchorReader(LABEL);
    const said: number[] = [];
    for (let offset = 0; offset < text.length; offset += size) {
      const pid = reader.push(text.slice(offset, offset + size));
      if (pid !== undefined) said.push(pid);
    }
    assert.deepEqual(said, [4711]);
  }
});

test('labels tell nodes, machines and tunnels apart', () => {
  const labels = [
    anchorLabel('/a', 'b', 'c'),
    anchorLabel('/a', 'bc', ''),
    anchorLabel('/ab', '', 'c'),
    anchorLabel('/a', 'b', 'c'),
  ];
  assert.equal(new Set(labels).size, 3);
  for (const label of labels) assert.match(label, /^exo-anchor-[0-9a-f]{16}$/);
});
