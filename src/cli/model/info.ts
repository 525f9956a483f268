/** `exo model info`. */
import { DEMO_MODEL } from '../../inference/index.js';
import {
  DEMO_DIRECTORY,
  type Hub,
  type ModelReference,
  type Retries,
  resolveReference,
  surveyModel,
} from '../../models/index.js';
import { ExoError, printable } from '../../shared/index.js';
import { columns } from '../format/columns.js';
import { bytes, count } from '../format/units.js';
import type { CliHost } from '../host.js';
import { Progress } from '../progress.js';
import { stopSignal } from '../stop-signal.js';
import { answer } from '../trust/key.js';
import { layersText } from './format.js';
import { isOffline, type ModelOptions, openHub, openStore } from './settings.js';
import { type StoredJson, storedJson } from './shapes.js';

type Repository = Extract<ModelReference, { kind: 'repository' }>;

/** Shows a model: what is kept here, else what the hub has. */
export async function info(host: CliHost, name: string, options: ModelOptions): Promise<number> {
  const reference = resolveReference(name === DEMO_MODEL ? DEMO_DIRECTORY : name);
  const stop = stopSignal(host);
  const progress = new Progress(host, `looking for ${printable(reference.id, 60)}`);
  try {
    if (reference.kind === 'directory') return await folder(host, reference.directory, options, stop.signal);
    const stored = (await openStore(host).find(reference.repository, stop.signal)).map(storedJson);
    const hub = stored.length > 0 ? undefined : await onHub(host, reference, options, stop.signal);
    progress.end();
    const { id, repository, model } = reference;
    const value = {
      id,
      repository,
      name: model?.name ?? null,
      family: model?.family ?? null,
      here: stored,
      hub: hub ?? null,
    };
    return answer(host, options, value, [
      `${printable(model?.name ?? id, 100)}  ${printable(repository, 120)}`,
      ...stored.flatMap(describe),
      ...(hub === undefined
        ? []
        : columns([
            ['not here', `exo model pull ${id} fetches it`],
            [
              'on the hub',
              `${count(hub.files, 'file')}, ${bytes(hub.bytes)}; weights ${bytes(hub.weight_bytes)}`,
            ],
            ['commit', hub.commit],
          ])),
    ]);
  } finally {
    progress.end();
    stop.release();
  }
}

async function folder(
  host: CliHost,
  directory: string,
  options: ModelOptions,
  signal: AbortSignal,
): Promise<number> {
  const survey = await surveyModel(directory, signal);
  if (survey === undefined) {
    throw new ExoError(
      'model-absent',
      `${printable(directory, 200)} holds no model: there is no config.json and no weights`,
    );
  }
  const shown = storedJson({
    repository: directory,
    directory,
    place: { path: directory, isWritable: false },
    isLink: false,
    survey,
    record: undefined,
  });
  return answer(host, options, shown, [printable(directory, 200), ...describe(shown)]);
}

/** What the hub has of it; undefined where it is not to be asked. */
async function onHub(
  host: CliHost,
  { id, repository }: Repository,
  options: ModelOptions,
  signal: AbortSignal,
) {
  if (isOffline(host, options)) {
    throw new ExoError(
      'model-absent',
      `nothing of ${printable(id, 100)} is kept here, and the hub is not to be asked`,
    );
  }
  const { hub, retries }: { hub: Hub; retries: Retries } = openHub(host, options);
  const commit = await retries.run(signal, () => hub.commitOf(repository, 'main', signal));
  const files = await retries.run(signal, () => hub.files(repository, commit, signal));
  const weights = files.filter(({ path }) => path.endsWith('.safetensors'));
  const sizeOf = (some: typeof files) => some.reduce((total, { size }) => total + size, 0);
  return { commit, files: files.length, bytes: sizeOf(files), weight_bytes: sizeOf(weights) };
}

function describe(model: StoredJson): string[] {
  return columns([
    ['folder', model.directory],
    ['layers', layersText(model)],
    ['size', bytes(model.bytes)],
    ...(model.commit === null ? [] : [['commit', `${model.commit} (${model.revision})`]]),
    ...(model.missing_files.length === 0 ? [] : [['not here', model.missing_files.join(', ')]]),
    ...model.damaged_files.map(({ reason }) => ['damaged', reason]),
    ...(model.unusable === null ? [] : [['unusable', printable(model.unusable, 400)]]),
  ]);
}
