/** What a command is, as data: the shape of every entry in `commands.ts` and beside it. */
import type { Command } from 'commander';
import type { CliHost } from './host.js';

/** Options as commander collects them. */
export type Values = Readonly<Record<string, unknown>>;

/** One command. */
export interface CommandSpec {
  readonly name: string;
  /** As commander takes them: `<model>`, `[words...]`. */
  readonly args?: string;
  readonly summary: string;
  readonly examples?: readonly string[];
  readonly hidden?: boolean;
  /** Talks to a running node: gets `--api` and `--json`. */
  readonly client?: boolean;
  /** Commands under this one; it then does nothing itself. */
  readonly commands?: readonly CommandSpec[];
  options?(command: Command): void;
  run(host: CliHost, args: readonly string[], values: Values): Promise<number>;
}
