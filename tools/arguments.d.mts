/** What `arguments.mjs` gives to the programs in TypeScript. */
import type { ParseArgsConfig, parseArgs } from 'node:util';

export function readArguments<T extends ParseArgsConfig>(
  url: string,
  config: T,
): ReturnType<typeof parseArgs<T>>;
