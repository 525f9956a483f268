/** What a command is, as data: the shape of every entry in `commands.ts` and beside it. */
import type { Command } from 'commander';
import type { CliHost } from './host.js';

/** Options as commander collects them. */
export type Values = Readonly<Record<string, unknown>>;

/** The commands that a person may type, in the order of the help. */
export function visibleCommands(tree: Command): readonly Command[] {
  return tree
    .createHelp()
    .visibleCommands(tree)
    .filter((command) => command.name() !== 'help');
}

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
  /** `tree` is the program with all commands, for those that speak of the others. */
  run(host: CliHost, args: readonly string[], values: Values, tree: Command): Promise<number>;
}
