/** `exo model verify`. */
import type { StoredModel, VerifiedFile } from '../../models/index.js';
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

/** A folder, and what its files turned out to be. */
interface Verified {
  readonly model: StoredModel;
  readonly files: readonly Row[];
}

const isBad = ({ state }: Row): boolean => state === 'damaged' || state === 'missing';

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
    const folders: Verified[] = [];
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
        model,
        files: [
          ...files.map((file): Row => (broken.has(file.path) ? { ...file, state: 'damaged' } : file)),
          ...missing.map((file): Row => ({ path: file, state: 'missing', bytes: 0, size: 0 })),
        ],
      });
    }
    progress.end();
    const all = folders.flatMap(({ files }) => files);
    const [damaged, missing] = (['damaged', 'missing'] as const).map(
      (state) => all.filter((file) => file.state === state).length,
    );
    const c = colours(host.stdout, host.env);
    const lines = folders.flatMap(({ model, files }) => [
      model.directory,
      ...columns(
        files.map((file) => [file.path, file.state === 'missing' ? '' : bytes(file.size), wordsOf(file)]),
        {
          paint: (text, row, column) => (column === 2 && isBad(files[row]!) ? c.red(text) : text),
        },
      ),
    ]);
    const verdict = [...sumOf(all), ...folders.flatMap((folder) => stepsOf(id, folder))];
    const shown = folders.map(({ model, files }) => ({
      directory: model.directory,
      complete: model.survey.has(),
      files,
    }));
    answer(host, options, { id, repository, damaged, missing, folders: shown }, [...lines, ...verdict]);
    return all.some(isBad) ? EXIT.failed : EXIT.ok;
  } finally {
    progress.end();
    stop.release();
  }
}

/** What to do about a folder in which something is damaged or gone, or not all layers are. */
function stepsOf(id: string, { model, files }: Verified): string[] {
  const pull = (options: string) => `exo model pull${options} ${printable(id, 100)}`;
  const { survey, directory } = model;
  const isComplete = survey.has();
  const bad = files.filter(isBad);
  if (bad.length === 0) {
    const layers = layersText(storedJson(model));
    return isComplete ? [] : [`layers here: ${layers}; the others are fetched by: ${pull('')}`];
  }
  const faults = faultsOf(bad);
  if (!model.place.isWritable || model.isLink) {
    return [
      `${faults}; exo does not write to ${directory}: remove or mend it yourself, or fetch another copy: ${pull(' --update')}`,
    ];
  }
  // What is here in part is compared with what was fetched only by a pull that looks at everything.
  const isInPart = bad.some(({ path: name, state }) => state === 'damaged' && !survey.others.has(name));
  const [range, ...more] = isComplete ? [] : survey.presentLayers;
  const layers = range === undefined || more.length > 0 ? '' : ` --layers ${range[0]}-${range[1]}`;
  return [`${faults}; fetched again by: ${pull(`${isInPart ? ' --update' : ''}${layers}`)}`];
}

function faultsOf(bad: readonly Row[]): string {
  const parts = (['damaged', 'missing'] as const).map((state) => {
    const files = bad.filter((file) => file.state === state).length;
    return files === 0 ? [] : [`${count(files, 'file')} ${WORDS[state]}`];
  });
  return parts.flat().join(', ');
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
