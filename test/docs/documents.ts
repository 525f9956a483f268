/** The documents as their tests read them: text, code spans, blocks, tables, links and anchors. */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { ROOT } from '../support/processes.js';

/** Files of the repository that people read, from its root. */
export function documentNames(): string[] {
  const inDocs = readdirSync(path.join(ROOT, 'docs'), { recursive: true, encoding: 'utf8' })
    .map((name) => path.posix.join('docs', name.split(path.sep).join('/')))
    .filter((name) => name.endsWith('.md'));
  return ['README.md', 'CHANGELOG.md', 'CONTRIBUTING.md', 'bench/README.md', ...inDocs].sort();
}

/** The text of a file, by its path from the repository root. */
export function read(file: string): string {
  return readFileSync(path.join(ROOT, file), 'utf8');
}

/** Fenced blocks of one language. */
export function blocks(text: string, language: string): string[] {
  return [...text.matchAll(new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\``, 'gm'))].map(
    (match) => match[1]!,
  );
}

/** The text without fenced blocks. */
export function prose(text: string): string {
  return text.replace(/^```[\s\S]*?^```/gm, '');
}

/** What stands between single backticks outside blocks. */
export function codeSpans(text: string): string[] {
  return [...prose(text).matchAll(/`([^`\n]+)`/g)].map((match) => match[1]!);
}

/** Rows of all tables, cells trimmed; `\|` inside a cell is a bar. */
export function tableRows(text: string): string[][] {
  return prose(text)
    .split('\n')
    .filter((line) => /^\|.*\|$/.test(line) && !/^\|[-| :]+\|$/.test(line))
    .map((line) =>
      line
        .slice(1, -1)
        .split(/(?<!\\)\|/)
        .map((cell) => cell.trim().replaceAll('\\|', '|')),
    );
}

/** The parts under headings of level 2, by the first word of the heading (`7.`, `A.`). */
export function section(text: string, start: string): string {
  const found = text.split(/^(?=## )/m).find((part) => part.startsWith(`## ${start}`));
  if (found === undefined) throw new Error(`there is no section "${start}"`);
  return found;
}

/** Targets of inline links outside blocks and code spans. */
export function links(text: string): string[] {
  const bare = prose(text).replace(/`[^`\n]*`/g, '');
  return [...bare.matchAll(/\[[^\]]*\]\(([^)\s]+)\)/g)].map((match) => match[1]!);
}

/** Anchors of all headings, as GitHub makes them. */
export function anchors(text: string): Set<string> {
  return new Set(
    [...prose(text).matchAll(/^#+ (.+)$/gm)].map((match) =>
      match[1]!
        .toLowerCase()
        .replace(/[^\p{L}\p{N}\s_-]/gu, '')
        .replace(/\s/g, '-'),
    ),
  );
}
