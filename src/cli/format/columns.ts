/** Aligned columns without lines, for people. What peers said is escaped here. The only user of cli-table3. */
import Table from 'cli-table3';
import { printable } from '../../shared/index.js';

const NO_LINES = {
  top: '',
  'top-mid': '',
  'top-left': '',
  'top-right': '',
  bottom: '',
  'bottom-mid': '',
  'bottom-left': '',
  'bottom-right': '',
  left: '',
  'left-mid': '',
  mid: '',
  'mid-mid': '',
  right: '',
  'right-mid': '',
  middle: '  ',
};

/** A longer cell would break the lines of every terminal. */
const CELL_CHARS_MAX = 120;

/** Rows under an optional head, each line indented by two, without trailing spaces. `paint` colours a cell after it was escaped. */
export function columns(
  rows: ReadonlyArray<readonly string[]>,
  options: {
    readonly head?: readonly string[];
    readonly paint?: (text: string, row: number, column: number) => string;
  } = {},
): string[] {
  if (rows.length === 0) return [];
  const table = new Table({
    chars: NO_LINES,
    style: { 'padding-left': 0, 'padding-right': 0, head: [], border: [] },
  });
  if (options.head !== undefined) table.push([...options.head]);
  rows.forEach((row, at) => {
    const cells = row.map((cell, column) => {
      const text = printable(cell, CELL_CHARS_MAX);
      return options.paint?.(text, at, column) ?? text;
    });
    table.push(cells);
  });
  return table
    .toString()
    .split('\n')
    .map((line) => `  ${line.trimEnd()}`.trimEnd());
}
