/** Numbers for people: medians, units, and a table in plain text. */

/** Middle value; of an even count the lower one of the two. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[(sorted.length - 1) >> 1] ?? Number.NaN;
}

/** One line of the result. `goal` is what the ratio must reach or stay under, in words. */
export interface Row {
  readonly name: string;
  readonly unit: string;
  readonly ours: number;
  readonly ceiling: number;
  /** What the ceiling is. */
  readonly against: string;
  /** ours / ceiling; of several rounds the middle of their ratios, because a machine changes its pace between two rounds. */
  readonly ratio: number;
  readonly goal: string;
  readonly met: boolean;
}

/** One measurement, or one of each round. */
export type Measured = number | readonly number[];

function compared(ours: Measured, ceiling: Measured): Pick<Row, 'ours' | 'ceiling' | 'ratio'> {
  if (typeof ours === 'number' || typeof ceiling === 'number') {
    const [a, b] = [ours, ceiling].map((each) => (typeof each === 'number' ? each : median(each)));
    return { ours: a!, ceiling: b!, ratio: a! / b! };
  }
  if (ours.length !== ceiling.length) throw new Error('rounds are missing');
  const ratios = ours.map((value, round) => value / ceiling[round]!);
  return { ours: median(ours), ceiling: median(ceiling), ratio: median(ratios) };
}

/** A row whose ratio must not exceed `max` (times: less is better). */
export function atMost(
  name: string,
  unit: string,
  ours: Measured,
  against: string,
  ceiling: Measured,
  max: number,
): Row {
  const values = compared(ours, ceiling);
  return { name, unit, ...values, against, goal: `≤ ${max}`, met: values.ratio <= max };
}

/** A row whose ratio must reach `min` (rates: more is better). */
export function atLeast(
  name: string,
  unit: string,
  ours: Measured,
  against: string,
  ceiling: Measured,
  min: number,
): Row {
  const values = compared(ours, ceiling);
  return { name, unit, ...values, against, goal: `≥ ${min}`, met: values.ratio >= min };
}

/** The table, one line a row. */
export function formatRows(rows: readonly Row[]): string {
  const cells = [
    ['what', 'ours', 'ceiling', '', 'unit', 'ratio', 'goal', ''],
    ...rows.map((row) => [
      row.name,
      short(row.ours),
      short(row.ceiling),
      row.against,
      row.unit,
      row.ratio.toFixed(2),
      row.goal,
      row.met ? 'met' : 'MISSED',
    ]),
  ];
  return formatCells(cells);
}

/** Cells in columns, one line a row; every row has as many cells as the first. */
export function formatCells(cells: readonly (readonly string[])[]): string {
  const widths = cells[0]!.map((_, column) => Math.max(...cells.map((line) => line[column]!.length)));
  return cells
    .map((line) =>
      line
        .map((cell, column) => cell.padEnd(widths[column]!))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

function short(value: number): string {
  if (value >= 1000) return Math.round(value).toLocaleString('en-US');
  return value >= 10 ? value.toFixed(1) : value.toFixed(2);
}
