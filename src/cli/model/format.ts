/** Models and downloads as lines. Pure. */
import type { CatalogueModel, DownloadProgress, FoundModel } from '../../models/index.js';
import { printable } from '../../shared/index.js';
import { columns } from '../format/columns.js';
import { bytes, duration } from '../format/units.js';
import type { Colours } from '../host.js';
import type { StoredJson } from './shapes.js';

/** `all 16`, `0-9 of 32`, `none of 32`. */
export function layersText({ layers, present_layers: present, complete }: StoredJson): string {
  if (layers === null) return 'unknown';
  if (complete) return `all ${layers}`;
  const ranges = present.map(([from, to]) => (from === to ? `${from}` : `${from}-${to}`));
  return `${ranges.length === 0 ? 'none' : ranges.join(', ')} of ${layers}`;
}

/** `exo model list`. */
export function formatModels(models: readonly StoredJson[], c: Colours): string[] {
  if (models.length === 0)
    return ['no model is kept here; exo model search finds some, exo model pull fetches one'];
  const rows = models.map((model) => [model.id, layersText(model), bytes(model.bytes), model.directory]);
  const table = columns(rows, {
    head: ['MODEL', 'LAYERS', 'SIZE', 'FOLDER'],
    paint: (text, row, column) => {
      const model = models[row]!;
      if (model.unusable !== null) return c.red(text);
      if (column !== 1 || model.complete) return text;
      return model.damaged_files.length > 0 ? c.red(text) : c.yellow(text);
    },
  });
  const faults = models.flatMap(({ id, unusable }) =>
    unusable === null ? [] : [`${printable(id, 200)}: ${printable(unusable, 400)}`],
  );
  return faults.length === 0 ? table : [...table, '', 'cannot be computed:', ...faults];
}

/** `exo model search`. */
export function formatFound(
  short: readonly CatalogueModel[],
  found: readonly FoundModel[] | undefined,
  here: ReadonlySet<string>,
): string[] {
  const mark = (repository: string) => (here.has(repository) ? 'here' : '');
  const lines = columns(
    short.map(({ id, name, layers, repository }) => [
      id,
      name,
      `${layers} layers`,
      repository,
      mark(repository),
    ]),
    { head: ['SHORT NAME', 'MODEL', '', 'REPOSITORY', ''] },
  );
  // Nobody has asked a hub for all of them.
  if (lines.length > 0)
    lines.push('', 'a short name stands for its repository, which is looked up when it is first fetched');
  if (found === undefined) return lines.length === 0 ? ['no short name has these words in it'] : lines;
  const others = found.filter(({ repository }) => !short.some((model) => model.repository === repository));
  const rows = others.map(({ repository, downloads, gated }) => [
    repository,
    `${downloads.toLocaleString('en-US')} downloads`,
    gated ? 'asks for terms' : '',
    mark(repository),
  ]);
  const more = columns(rows, { head: ['ON THE HUB', '', '', ''] });
  const all = [...lines, ...(lines.length > 0 && more.length > 0 ? [''] : []), ...more];
  return all.length === 0 ? ['no model has these words in its name'] : all;
}

/** What is shown of a download under way. */
export interface ShownProgress
  extends Pick<DownloadProgress, 'downloadedBytes' | 'totalBytes' | 'bytesPerSecond' | 'etaSeconds'> {
  /** For somebody else who fetches it. */
  readonly isWaiting: boolean;
}

/** One line about it. */
export function progressText(name: string, progress: ShownProgress): string {
  const { downloadedBytes, totalBytes, bytesPerSecond, etaSeconds, isWaiting } = progress;
  const percent = totalBytes === 0 ? 100 : Math.floor((downloadedBytes * 100) / totalBytes);
  const speed =
    isWaiting && bytesPerSecond === 0
      ? 'another process or node fetches it'
      : `${bytes(bytesPerSecond)}/s${etaSeconds === null ? '' : `, ${duration(etaSeconds * 1000)} left`}`;
  return `${printable(name, 60)}: ${percent} % of ${bytes(totalBytes)}, ${speed}`;
}
