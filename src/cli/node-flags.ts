/** The options of a node as commander's, and back as the raw values that `readConfig` takes. */
import { type Command, Option } from 'commander';
import { NODE_OPTIONS, type RawOptions } from '../node/options/index.js';

/** Adds every option of a node; `hidden` leaves out of the help what is not about a question. */
export function addNodeOptions(command: Command, hidden: boolean): void {
  for (const { name, value, help, group, fallback, negatable, unsupported } of NODE_OPTIONS) {
    const words = fallback === undefined ? help : `${help} (default: ${fallback})`;
    const option = new Option(`--${name}${value === undefined ? '' : ` <${value}>`}`, words);
    option.helpGroup(`${group}:`);
    option.hideHelp(unsupported === true || (hidden && !OF_A_QUESTION.has(name)));
    command.addOption(option);
    if (negatable === true) command.addOption(new Option(`--no-${name}`, `not --${name}`).hideHelp());
  }
}

const OF_A_QUESTION: ReadonlySet<string> = new Set([
  'prompt',
  'max-generate-tokens',
  'default-temp',
  'system-prompt',
  'chatgpt-api-response-timeout',
]);

/** What the user wrote, by the names of the options. */
export function rawOptions(values: Readonly<Record<string, unknown>>): RawOptions {
  const raw: Record<string, string | boolean> = {};
  for (const { name } of NODE_OPTIONS) {
    const value = values[camelCase(name)];
    if (typeof value === 'string' || typeof value === 'boolean') raw[name] = value;
  }
  return raw;
}

function camelCase(name: string): string {
  return name.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
}
