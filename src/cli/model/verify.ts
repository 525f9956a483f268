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
import { repositoryNamed } from './pull.js';
import { type ModelOptions, openStore } from './settings.js';

const WORDS: Readonly<Record<VerifiedFile['state'], string>> = {
  right: 'right',
  damaged: 'damaged',
  partial: 'right, as far as it is here',
  unknown: 'not checked',
};

/** What was found of a file, and where it was not compared, why. */
const wordsOf = ({ state, why }: VerifiedFile): string =>
  why === undefined ? WORDS[state] : `${WORDS[state]}: ${why}`;

/** Reads the files and compares them with their hashes; exit code 1 where something is damaged. */
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
      folders.push({
        directory: model.directory,
        complete: model.survey.has(),
        files: files.map((file) => (broken.has(file.path) ? { ...file, state: 'damaged' as const } : file)),
      });
    }
    progress.end();
    const damaged = folders.flatMap(({ files }) => files).filter(({ state }) => state === 'damaged');
    const c = colours(host.stdout, host.env);
    const lines = folders.flatMap(({ directory, files }) => [
      directory,
      ...columns(
        files.map((file) => [file.path, bytes(file.size), wordsOf(file)]),
        {
          paint: (text, row, column) =>
            column === 2 && files[row]!.state === 'damaged' ? c.red(text) : text,
        },
      ),
    ]);
    const verdict = [
      ...sumOf(folders.flatMap(({ files }) => files)),
      ...(damaged.length === 0
        ? []
        : [
            `${count(damaged.length, 'file')} damaged; fetched again by: exo model pull --update ${printable(id, 100)}`,
          ]),
    ];
    answer(host, options, { id, repository, damaged: damaged.length, folders }, [...lines, ...verdict]);
    return damaged.length === 0 ? EXIT.ok : EXIT.failed;
  } finally {
    progress.end();
    stop.release();
  }
}

/** What was checked and what not, where something was not. */
function sumOf(files: readonly VerifiedFile[]): string[] {
  const unchecked = files.filter(({ state }) => state === 'unknown');
  if (unchecked.length === 0) return [];
  const total = (of: readonly VerifiedFile[]) =>
    `${count(of.length, 'file')} (${bytes(of.reduce((sum, { size }) => sum + size, 0))})`;
  const checked = files.filter(({ state }) => state !== 'unknown');
  return [
    `checked: ${total(checked)}; not checked: ${total(unchecked)}, because nobody said what their hashes are: they were not fetched by exo model pull`,
  ];
}
