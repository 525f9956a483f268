/**
 * The arguments of a program of this repository. `--help` prints what stands at the head of its file, and an argument that it does not
 * know ends it with that and exit code 2.
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

/**
 * @param {string} url `import.meta.url` of the program
 * @param {import('node:util').ParseArgsConfig} config as `parseArgs` takes it
 */
export function readArguments(url, config) {
  const usage = () => headOf(readFileSync(fileURLToPath(url), 'utf8'));
  try {
    const options = { ...config.options, help: { type: 'boolean', short: 'h' } };
    const { values, positionals } = parseArgs({ ...config, options });
    if (!values.help) return { values, positionals };
    process.stdout.write(usage());
  } catch (error) {
    process.stderr.write(`error: ${error.message}\n\n${usage()}`);
    process.exit(2);
  }
  return process.exit(0);
}

/** The first comment, without its stars. */
function headOf(text) {
  const [, body = ''] = /\/\*\*([\s\S]*?)\*\//.exec(text) ?? [];
  const lines = body.split('\n').map((line) => line.replace(/^\s*\*? ?/, ''));
  return `${lines.join('\n').trim()}\n`;
}
