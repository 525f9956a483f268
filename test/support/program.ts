/** Programs of tests that run in a process of their own: compiled under `npm test`, through tsx where a test is started by hand. */
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** What `node` needs to run a program. */
export interface Program {
  /** Options of node, before the file. */
  readonly execArgv: readonly string[];
  readonly file: string;
  /** Both: `spawn(process.execPath, [...argv, …])`. */
  readonly argv: readonly string[];
}

/** @param source path or address of the program's source: `new URL('./worker.ts', import.meta.url)` */
export function program(source: string | URL): Program {
  const from = source instanceof URL ? fileURLToPath(source) : source;
  const compiled = process.env['EXO_TEST_COMPILED'];
  const execArgv = compiled === undefined ? ['--import', 'tsx'] : [];
  const file =
    compiled === undefined ? from : path.join(compiled, path.relative(ROOT, from).replace(/\.ts$/, '.js'));
  return { execArgv, file, argv: [...execArgv, file] };
}
