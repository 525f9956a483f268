/**
 * `npm run docs`: writes docs/LIMITS.md and docs/ERRORS.md from the code, and two parts of docs/TUNNELS.md. With `--check` it writes nothing and fails where
 * a file is not what it would write. (docs/schema/peers.schema.json is written by hand and held by a test of discovery.)
 */
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { tsImport } from 'tsx/esm/api';
import { ADVICE } from './error-advice.mjs';
import { PROBE_REASONS, TUNNEL_ADVICE } from './tunnel-advice.mjs';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const { LIMIT_REASONS } = await tsImport('../src/shared/limits.ts', import.meta.url);
const { ERROR_CODES } = await tsImport('../src/shared/errors.ts', import.meta.url);
const { TUNNEL_FAILURES } = await tsImport('../src/tunnels/failure.ts', import.meta.url);
const { ALLOWED_OPTIONS } = await tsImport('../src/tunnels/description/ssh-options.ts', import.meta.url);

/** The sections of a table in a source file: the comments between its entries, and the names behind each. */
function sections(file, comment, entry) {
  const found = [];
  for (const line of readFileSync(path.join(ROOT, file), 'utf8').split('\n')) {
    const title = comment.exec(line)?.[1];
    const name = entry.exec(line)?.[1];
    if (title !== undefined) found.push({ title: title[0].toUpperCase() + title.slice(1), names: [] });
    else if (name !== undefined) found.at(-1)?.names.push(name);
  }
  return found.filter(({ names }) => names.length > 0);
}

/** Throws when the sections do not hold exactly these names: then the source is spelled in a way that is not read here. */
function assertComplete(found, names, file) {
  const inSections = new Set(found.flatMap((section) => section.names));
  const lost = names.filter((name) => !inSections.has(name));
  const extra = [...inSections].filter((name) => !names.includes(name));
  if (lost.length + extra.length > 0) {
    throw new Error(
      `${file}: not read: ${lost.join(', ') || 'nothing'}; unknown: ${extra.join(', ') || 'nothing'}`,
    );
  }
}

const number = (value) => value.toLocaleString('en-US', { maximumFractionDigits: 2 });

function bytes(value) {
  for (const [unit, size] of [
    ['GiB', 2 ** 30],
    ['MiB', 2 ** 20],
    ['KiB', 2 ** 10],
  ]) {
    if (value >= size && value % size === 0) return `${number(value / size)} ${unit}`;
  }
  return `${number(value)} bytes`;
}

function milliseconds(value) {
  if (value >= 120_000 && value % 60_000 === 0) return `${number(value / 60_000)} min`;
  return value >= 1_000 ? `${number(value / 1_000)} s` : `${number(value)} ms`;
}

/** A value with the unit that its name ends with (before Min, Max and the like). */
function humanize(name, value) {
  if (/BytesPerSecond/.test(name)) return `${bytes(value)}/s`;
  if (/Bytes/.test(name)) return bytes(value);
  if (/Ms(Min|Max)?$/.test(name)) return milliseconds(value);
  if (/PerSecond/.test(name)) return `${number(value)} per second`;
  if (/Chars/.test(name)) return `${number(value)} characters`;
  return number(value);
}

const cell = (text) => text.replaceAll('|', '\\|');

function limits() {
  const subjects = [...new Set(LIMIT_REASONS.map(({ subject }) => subject))];
  const parts = subjects.map((title) => {
    const limits = LIMIT_REASONS.filter(({ subject }) => subject === title);
    const rows = limits.map(
      ({ name, value, reason }) => `| \`${name}\` | ${humanize(name, value)} | ${cell(reason)} |`,
    );
    return `## ${title[0].toUpperCase()}${title.slice(1)}\n\n| name | value | reason |\n|---|---|---|\n${rows.join('\n')}\n`;
  });
  return `# Limits

Every bound of the program. This file is made by \`npm run docs\` from src/shared/limits; change it there. The unit ends a name, before
Min and Max; a bare noun is a count.

${parts.join('\n')}`;
}

const RETRY = { yes: 'yes', no: 'no', told: 'the error says' };

function errors() {
  const source = 'src/shared/errors.ts';
  const found = sections(source, /^ {2}\/\/ (.+)$/, /^ {2}'?([a-z-]+)'?: '/);
  assertComplete(found, Object.keys(ERROR_CODES), source);
  assertComplete([{ names: Object.keys(ADVICE) }], Object.keys(ERROR_CODES), 'tools/error-advice.mjs');
  const parts = found.map(({ title, names }) => {
    const rows = names.map((code) => {
      const [retry, advice] = ADVICE[code];
      return `| \`${code}\` | ${cell(ERROR_CODES[code])} | ${RETRY[retry]} | ${cell(advice)} |`;
    });
    return `## ${title}\n\n| code | when | retry | what to do |\n|---|---|---|---|\n${rows.join('\n')}\n`;
  });
  return `# Errors

Every error has a code from this list, a message for a person, and says whether the same call may succeed later without a change
(\`retryable\`). Codes are stable: programs compare them, never the message. They stand in log lines, in \`--json\` output, in HTTP answers
and, between nodes, in error answers. This file is made by \`npm run docs\` from ${source} and tools/error-advice.mjs; change it there.

A command ends with exit code 0 when it did what was asked, 2 when the command line or the environment cannot be used (\`option-…\`),
130 after Ctrl-C, and 1 otherwise.

${parts.join('\n')}`;
}

const VERDICT = {
  fatal: 'stays down until something is changed',
  retry: 'tries again',
  busy: 'waits for the port',
};

function tunnelReasons() {
  const all = {
    ...TUNNEL_FAILURES,
    ...Object.fromEntries(Object.entries(PROBE_REASONS).map(([code, when]) => [code, ['probe', when]])),
  };
  assertComplete([{ names: Object.keys(TUNNEL_ADVICE) }], Object.keys(all), 'tools/tunnel-advice.mjs');
  const rows = Object.entries(all).map(([code, [verdict, when]]) => {
    const what = VERDICT[verdict] ?? 'degraded; ssh is left alone';
    return `| \`${code}\` | ${cell(when)} | ${what} | ${cell(TUNNEL_ADVICE[code])} |`;
  });
  return `| reason | when | exo | you |\n|---|---|---|---|\n${rows.join('\n')}`;
}

/** A text with the part between two comments replaced. */
function withPart(text, name, part) {
  const [begin, end] = [`<!-- ${name} begin -->`, `<!-- ${name} end -->`];
  const [from, to] = [text.indexOf(begin), text.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`there is no ${begin} … ${end}`);
  return `${text.slice(0, from + begin.length)}\n${part}\n${text.slice(to)}`;
}

function tunnels() {
  const text = read(path.join(ROOT, 'docs/TUNNELS.md'));
  const options = ALLOWED_OPTIONS.map((name) => `\`${name}\``).join(', ');
  return withPart(withPart(text, 'reasons', `\n${tunnelReasons()}\n`), 'options', options);
}

const FILES = { 'docs/LIMITS.md': limits(), 'docs/ERRORS.md': errors(), 'docs/TUNNELS.md': tunnels() };
const check = process.argv.includes('--check');
for (const [file, text] of Object.entries(FILES)) {
  const where = path.join(ROOT, file);
  if (!check) writeFileSync(where, text);
  else if (read(where) !== text) {
    console.error(`${file} is not what the code says: run npm run docs`);
    process.exitCode = 1;
  }
}

function read(file) {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}
