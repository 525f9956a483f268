/** The source files as the house tests read them: path, lines, code without comments, and imports. */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { ROOT } from '../support/processes.js';

/** One import of one file. */
export interface Import {
  /** As written. */
  readonly specifier: string;
  /** For a relative import the file it means, from the repository root (`src/shared/clock.ts`). */
  readonly target: string | undefined;
  /** For a package its name without the path in it (`@hono/node-server`, `node:net`). */
  readonly packageName: string | undefined;
}

/** One file of src/. */
export interface Source {
  /** From the repository root, with `/`. */
  readonly file: string;
  /** First folder under src/. */
  readonly room: string;
  readonly lines: number;
  /** The text without comments. Strings stay. */
  readonly code: string;
  readonly imports: readonly Import[];
}

/** Everything under src/. */
export function sources(): Source[] {
  return readdirSync(path.join(ROOT, 'src'), { recursive: true, encoding: 'utf8' })
    .map((name) => path.posix.join('src', name.split(path.sep).join('/')))
    .filter((file) => /\.m?tsx?$/.test(file))
    .sort()
    .map(read);
}

function read(file: string): Source {
  const text = readFileSync(path.join(ROOT, file), 'utf8');
  const code = withoutComments(text);
  const found = (pattern: RegExp) => [...code.matchAll(pattern)].map((match) => describe(file, match[1]!));
  return {
    file,
    room: file.split('/')[1]!,
    lines: text.split('\n').length - (text.endsWith('\n') ? 1 : 0),
    code,
    imports: [
      ...found(/^(?:import|export)\b[^'"`;]*?\bfrom\s+'([^']+)'/gm),
      ...found(/^import\s+'([^']+)'/gm),
      ...found(/\bimport\(\s*'([^']+)'\s*\)/g),
    ],
  };
}

function describe(file: string, specifier: string): Import {
  if (specifier.startsWith('.')) {
    const target = path.posix.join(path.posix.dirname(file), specifier).replace(/\.js$/, '.ts');
    return { specifier, target, packageName: undefined };
  }
  const parts = specifier.split('/');
  const packageName = specifier.startsWith('@') ? parts.slice(0, 2).join('/') : parts[0]!;
  return { specifier, target: undefined, packageName };
}

/** Replaces comments by spaces. Knows strings and templates, so that `'https://x'` stays; not regular expressions with quotes. */
export function withoutComments(text: string): string {
  const parts =
    /'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\.|[^`\\])*`|\/\*[\s\S]*?\*\/|(?<![:\\])\/\/[^\n]*/g;
  return text.replace(parts, (part) => (part.startsWith('/') ? part.replace(/[^\n]/g, ' ') : part));
}
