/** docs/TUNNELS.md says what the code does: fields, states, reasons; and its examples are good ones. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parsePeersFile } from '../../src/discovery/index.js';
import { parseTunnelSpec, SPEC_FIELDS, TUNNEL_FAILURES } from '../../src/tunnels/index.js';
import { TUNNEL_TRANSITIONS } from '../../src/tunnels/supervisor/transitions.js';
import { blocks, read, section, tableRows } from './documents.js';

const TEXT = read('docs/TUNNELS.md');

/** First cells in backticks, of all tables of a part. */
function names(part: string): string[] {
  return tableRows(part).flatMap(([first]) => /^`(.+)`$/.exec(first!)?.[1] ?? []);
}

describe('the document about tunnels', () => {
  it('has every field of a description once', () => {
    assert.deepEqual(names(section(TEXT, 'Describing')).sort(), [...SPEC_FIELDS].sort());
  });

  it('draws the states as the table of transitions has them', () => {
    const [diagram] = blocks(TEXT, 'mermaid');
    const drawn = [...diagram!.matchAll(/^ *(\w+) --> (\w+)/gm)].map(([, from, to]) => `${from} ${to}`);
    const allowed = Object.entries(TUNNEL_TRANSITIONS).flatMap(([from, all]) =>
      all.map((to) => `${from} ${to}`),
    );
    assert.deepEqual(drawn.sort(), allowed.sort());
  });

  it('explains every state', () => {
    for (const state of Object.keys(TUNNEL_TRANSITIONS))
      assert.match(TEXT, new RegExp(`^- \\*\\*${state}\\*\\*:`, 'm'));
  });

  it('has every reason once, with something to do', () => {
    const rows = tableRows(section(TEXT, 'Reasons')).slice(1);
    const codes = [...Object.keys(TUNNEL_FAILURES), 'remote-node-down', 'port-mismatch'];
    assert.deepEqual(
      rows.map(([code]) => code!.replaceAll('`', '')),
      codes,
    );
    for (const [code, , , advice] of rows) assert.ok(advice!.length > 10, code);
  });

  it('shows files that can be used', () => {
    const files = blocks(TEXT, 'json').map((block) => parsePeersFile(block, 'TUNNELS.md'));
    assert.equal(files.length, 2);
    const described = files.flatMap(({ peers, tunnels }) => [
      ...peers.flatMap(({ tunnel }) => (tunnel === undefined ? [] : [tunnel])),
      ...Object.values(tunnels),
    ]);
    assert.equal(described.length, 2);
    for (const tunnel of described) parseTunnelSpec(tunnel, { source: 'peers-file' });
  });

  it('has the figures beside those of autossh for each of the five faults', () => {
    const rows = tableRows(section(TEXT, 'Beside autossh')).slice(1);
    assert.equal(rows.length, 5, 'npm run bench:tunnels writes them');
    for (const [fault, ours, says, plain, tuned] of rows) {
      for (const cell of [ours, says, plain, tuned]) assert.match(cell!, /^(?:over )?[\d.]+ s|^-$/, fault);
    }
  });
});
