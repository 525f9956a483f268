/** `exo model verify`. */
import type { VerifiedFile } from '../../models/index.js';
import { ExoError, printable } from '../../shared/index.js';
import { EXIT } from '../errors.js';
import { columns } from '../format/columns.js';
import { bytes, count } from '../format/units.js';
import { type CliHost, colours } from '../host.js';
import { Progress } from '../progress.js';
import { stopSignal } from '../stop-signal.js';
import { answer } from '../trust/key.js';
import { layersText } from './format.js';
import { repositoryNamed } from './pull.js';
import { type ModelOptions, openStore } from './settings.js';
import { storedJson } from './shapes.js';

const WORDS: Readonly<Record<Row['state'], string>> = {
  right: 'right',
  damaged: 'damaged',
  partial: 'right, as far as it is here',
  unknown: 'not checked',
  missing: 'not there',
};

type Row = Omit<VerifiedFile, 'state'> & { readonly state: VerifiedFile['state'] | 'missing' };

const BAD: ReadonlySet<Row['state']> = new Set(['damaged', 'missing']);

/** What was found of a file, and where it was not compared, why. */
const wordsOf = ({ state, why }: Row): string =>
  why === undefined ? WORDS[state] : `${WORDS[state]}: ${why}`;

/** Reads the files and compares them with their hashes; exit code 1 where something is damaged or gone. */
export async function verify(host: CliHost, name: string, options: ModelOptions): Promise<number> {
  const { id, repository } = repositoryNamed(name);
  const store = openStore(host);
  const stop = stopSignal(host);
  const progress = new Progress(host, `reading ${printable(id, 60)}`);
  try {
    const models = await store.find(repository, stop.signal);
    if (models.length === 0) {
      throw new ExoError(
        'model-absent',
        `nothing of ${printable(id, 100)} is kept here; exo model pull fetches it`,
      );
    }
    const folders = [];
    for (const model of models) {
      let read = 0;
      const files = await store.verify(model, stop.signal, (more) => {
        read += more;
        progress.update(`reading ${printable(id, 60)}: ${bytes(read)} of ${bytes(model.survey.bytes)}`);
      });
      // What has not even the length that it says is damaged, whatever is known of its hash.
      const broken = new Set(model.survey.damaged.map(({ file }) => file));
      const { missing } = await store.flawsOf(model);
      folders.push({
        directory: model.directory,
        complete: model.survey.has(),
        layers: layersText(storedJson(model)),
        files: [
          ...files.map((file): Row => (broken.has(file.path) ? { ...file, state: 'damaged' } : file)),
          ...missing.map((file): Row => ({ path: file, state: 'missing', bytes: 0, size: 0 })),
        ],
      });
    }
    progress.end();
    const all = folders.flatMap(({ files }) => files);
    const damaged = all.filter(({ state }) => state === 'damaged');
    const missing = all.filter(({ state }) => state === 'missing');
    const isInOrder = damaged.length + missing.length === 0;
    const c = colours(host.stdout, host.env);
    const lines = folders.flatMap(({ directory, files }) => [
      directory,
      ...columns(
        files.map((file) => [file.path, file.state === 'missing' ? '' : bytes(file.size), wordsOf(file)]),
        {
          paint: (text, row, column) => (column === 2 && BAD.has(files[row]!.state) ? c.red(text) : text),
        },
      ),
    ]);
    const pull = `exo model pull ${printable(id, 100)}`;
    const verdict = [
      ...sumOf(all),
      ...folders
        .filter(({ complete }) => isInOrder && !complete)
        .map(({ layers }) => `layers here: ${layers}; the others are fetched by: ${pull}`),
      ...(isInOrder ? [] : [`${faultsOf(damaged.length, missing.length)}; fetched again by: ${pull}`]),
    ];
    const found = { id, repository, damaged: damaged.length, missing: missing.length, folders };
    answer(host, options, found, [...lines, ...verdict]);
    return isInOrder ? EXIT.ok : EXIT.failed;
  } finally {
    progress.end();
    stop.release();
  }
}

function faultsOf(damaged: number, missing: number): string {
  const parts = [
    ...(damaged === 0 ? [] : [`${count(damaged, 'file')} damaged`]),
    ...(missing === 0 ? [] : [`${count(missing, 'file')} not there`]),
  ];
  return parts.join(', ');
}

/** What was checked and what not, where something was not. */
function sumOf(files: readonly Row[]): string[] {
  const unchecked = files.filter(({ state }) => state === 'unknown');
  if (unchecked.length === 0) return [];
  const total = (of: readonly Row[]) =>
    `${count(of.length, 'file')} (${bytes(of.reduce((sum, { size }) => sum + size, 0))})`;
  const checked = files.filter(({ state }) => state !== 'unknown' && state !== 'missing');
  return [
    `checked: ${total(checked)}; not checked: ${total(unchecked)}, because nobody said what their hashes are: they were not fetched by exo model pull`,
  ];
}
