/** What a reader is told to type or open exists: commands, options, files, folders, scripts, links. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { COMMAND_NAMES } from '../../src/cli/commands.js';
import { exo } from '../cli/host.js';
import { ROOT } from '../support/processes.js';
import { anchors, blocks, codeSpans, documentNames, links, read } from './documents.js';

/** Lines that a reader may type, continued lines joined, without comments. */
function typed(text: string): string[] {
  const lines = blocks(text, 'bash').flatMap((block) => block.replace(/\\\n\s*/g, ' ').split('\n'));
  return [...lines, ...codeSpans(text)].map((line) => line.replace(/\s+#.*$/, '').trim());
}

/** The words behind `exo`, variables in front of it left away; undefined for other lines. */
function exoWords(line: string): string[] | undefined {
  const match = /^(?:[A-Z_]+=\S+ )*exo(?: (.*))?$/.exec(line);
  return match === null
    ? undefined
    : (match[1] ?? '').split(' ').filter((word) => word !== '' && word !== '…');
}

const helps = new Map<string, string>();
/** `command` may be two words: `tunnel open`. */
async function helpOf(command: string): Promise<string> {
  const known = helps.get(command);
  if (known !== undefined) return known;
  const { out } = await exo([...command.split(' ').filter(Boolean), '--help']);
  helps.set(command, out);
  return out;
}

/** Commands that only have others under them. */
const PARENTS = new Set(['tunnel', 'doctor']);

const hasOption = (help: string, option: string) => new RegExp(`${option}(?![\\w-])`).test(help);

for (const file of ['README.md', 'docs/TUNNELS.md']) {
  it(`${file} tells only commands and options that the help has`, async () => {
    const text = read(file);
    const calls = typed(text).flatMap((line) => exoWords(line) ?? []).length;
    assert.ok(calls > 20, `only ${calls} words behind exo were found`);
    for (const words of typed(text).flatMap((line) => [exoWords(line) ?? []])) {
      const [first = '', second] = words;
      const command = first.startsWith('-') || first === '' ? '' : first;
      if (command !== '') assert.ok(COMMAND_NAMES.includes(command), `exo ${command}`);
      let help = await helpOf(command);
      // Without a command the options are those of a node.
      if (command === '') help += await helpOf('node');
      if (PARENTS.has(command) && second !== undefined) {
        assert.match(help, new RegExp(`^ {2}${second}\\b`, 'm'), `exo ${command} ${second}`);
        help = await helpOf(`${command} ${second}`);
      }
      for (const option of words.filter((word) => /^--?[a-zA-Z]/.test(word))) {
        assert.ok(hasOption(help, option), `exo ${words.join(' ')}: ${option}`);
      }
    }
  });
}

describe('the README', () => {
  const text = read('README.md');

  it('names only options that some command has', async () => {
    const all = (await Promise.all(['', ...COMMAND_NAMES].map(helpOf))).join('\n');
    const named = codeSpans(text).flatMap((span) =>
      [...span.matchAll(/(?<!\S)--[a-z][a-z-]*[a-z]/g)].map(([name]) => name),
    );
    assert.ok(named.length > 5);
    for (const option of named) assert.ok(hasOption(all, option), option);
  });
});

describe('every document', () => {
  for (const file of documentNames()) {
    it(`has links that lead somewhere: ${file}`, () => {
      for (const link of links(read(file))) {
        if (/^https?:/.test(link)) continue;
        const [target = '', anchor] = link.split('#');
        const name = target === '' ? file : path.posix.join(path.posix.dirname(file), target);
        assert.ok(existsSync(path.join(ROOT, name)), `${link}: no such file`);
        if (anchor !== undefined) assert.ok(anchors(read(name)).has(anchor), `${link}: no such heading`);
      }
    });

    it(`tells npm scripts that exist: ${file}`, () => {
      const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
      for (const line of typed(read(file))) {
        const match = /^npm (?:run ([\w:-]+)|(start|test)\b)/.exec(line);
        if (match !== null) assert.ok((match[1] ?? match[2]!) in scripts, line);
      }
    });
  }
});

describe('CONTRIBUTING', () => {
  it('names files and folders that exist', () => {
    const named = [...read('CONTRIBUTING.md').matchAll(/\b(?:src|test|tools|docs|bench)\/[\w./-]*\w/g)].map(
      ([name]) => name,
    );
    assert.ok(named.length > 4);
    assert.deepEqual(
      named.filter((name) => !existsSync(path.join(ROOT, name))),
      [],
    );
  });

  it('names stages of npm test that exist', () => {
    const stages = [...read('tools/test.mjs').matchAll(/\{ name: '(\w+)'/g)].map((match) => match[1]!);
    for (const [, stage] of read('CONTRIBUTING.md').matchAll(/--only (\w+)/g))
      assert.ok(stages.includes(stage!));
  });
});
