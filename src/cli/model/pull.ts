/** `exo model pull`. */
import path from 'node:path';
import { DEMO_MODEL } from '../../inference/index.js';
import {
  downloadModel,
  type LayerRange,
  type ModelReference,
  type ModelStore,
  readArchitecture,
  resolveReference,
  type StoredModel,
} from '../../models/index.js';
import { ExoError, LIMITS, printable } from '../../shared/index.js';
import { EXIT, HintedError } from '../errors.js';
import { bytes, count } from '../format/units.js';
import type { CliHost } from '../host.js';
import { Progress } from '../progress.js';
import { stopSignal } from '../stop-signal.js';
import { runningNodes } from '../target.js';
import { answer } from '../trust/key.js';
import { progressText, type ShownProgress } from './format.js';
import { pullByNode } from './node-pull.js';
import { isOffline, type ModelOptions, openHub, openStore } from './settings.js';
import { type PulledJson, pulledJson } from './shapes.js';

/** Options of `exo model pull`. */
export interface PullOptions extends ModelOptions {
  readonly layers?: string;
  readonly revision: string;
  readonly maxParallelDownloads: string;
  readonly downloadQuickCheck?: boolean;
  readonly update?: boolean;
}

type Wanted = Omit<LayerRange, 'layers'>;

/** Fetches a model, or some layers of it. */
export async function pull(host: CliHost, name: string, options: PullOptions): Promise<number> {
  const reference = repositoryNamed(name);
  const wanted = options.layers === undefined ? undefined : layersOf(options.layers);
  const parallelMax = parallelOf(options.maxParallelDownloads);
  const store = openStore(host);
  const stop = stopSignal(host);
  const progress = new Progress(host, `looking for ${printable(reference.id, 60)}`);
  try {
    const isAnyVersion = options.update !== true && options.revision === 'main';
    const stored = await store.find(reference.repository, stop.signal);
    const isQuick = options.downloadQuickCheck === true;
    const { found, isInOrder } = await complete(store, stored, wanted, isQuick);
    if (found !== undefined && ((isAnyVersion && isInOrder) || isOffline(host, options))) {
      const value = { ...described(reference, found.directory), commit: found.record?.commit ?? null };
      return answer(host, options, { ...value, node: null, ...pulledJson(undefined) }, [
        `${printable(reference.id, 100)} is here: ${found.directory}`,
        'exo model verify checks it, exo model pull --update asks for a newer version',
      ]);
    }
    const { hub } = openHub(host, options);
    // Nothing newer than what is here.
    const isMended = isAnyVersion && found !== undefined;
    const directory = isMended ? found.directory : await store.targetOf(reference.repository);
    const report = reporter(host, reference.id, progress);
    // Another version, what is there and not in order, or another way of looking at it, is no download of a node.
    const isForNode = isAnyVersion && !isMended && !isQuick;
    const nodes = isForNode ? runningNodes(host.env) : [];
    for (const node of nodes.slice(0, LIMITS.pullNodesAskedMax)) {
      const request = {
        model: reference.repository,
        directory: path.resolve(directory),
        endpoint: hub.endpoint,
        ...(wanted === undefined ? {} : { layers: [wanted.startLayer, wanted.endLayer] as const }),
      };
      const done = await pullByNode(host, node, request, report, stop.signal);
      if (done === undefined) continue;
      progress.end();
      const pulled = done.pulled ?? pulledJson(undefined);
      const value = {
        ...described(reference, done.directory),
        commit: done.commit,
        node: node.id,
        ...pulled,
      };
      return answer(host, options, value, doneLines(reference.id, done.directory, pulled, node.id));
    }
    const done = await downloadModel(
      {
        repository: reference.repository,
        revision: isMended ? (found.record?.revision ?? options.revision) : options.revision,
        directory,
        parallelMax,
        quick: isQuick,
        settled: isMended,
        ...(wanted === undefined ? {} : { shard: wanted }),
      },
      {
        hub,
        clock: host.clock,
        random: host.random,
        checkConfig: (config) => void readArchitecture(config),
        onProgress: (each) => report({ ...each, isWaiting: each.files.some(({ isWaiting }) => isWaiting) }),
      },
      stop.signal,
    );
    progress.end();
    const pulled = pulledJson(done.progress);
    const value = { ...described(reference, directory), commit: done.commit, node: null, ...pulled };
    return answer(host, options, value, doneLines(reference.id, directory, pulled));
  } catch (error) {
    if (stop.reason === undefined) throw error;
    host.stderr.write('called off; what was fetched is kept, the same command goes on with it\n');
    return EXIT.cancelled;
  } finally {
    progress.end();
    stop.release();
  }
}

/**
 * A folder in which all that is wanted is, first one in order: no file is gone, was written to, or was found damaged by
 * `exo model verify`. A quick check takes files as they are.
 */
async function complete(
  store: ModelStore,
  stored: readonly StoredModel[],
  wanted: Wanted | undefined,
  isQuick: boolean,
): Promise<{ readonly found: StoredModel | undefined; readonly isInOrder: boolean }> {
  const all = stored.filter(({ survey }) => survey.has(shardIn(survey.layers, wanted)));
  for (const found of all) {
    const { missing, doubted } = await store.flawsOf(found, shardIn(found.survey.layers, wanted));
    if (missing.length === 0 && (isQuick || doubted.length === 0)) return { found, isInOrder: true };
  }
  return { found: all[0], isInOrder: false };
}

/** A terminal shows every report; a log one for each tenth. */
function reporter(host: CliHost, id: string, progress: Progress): (each: ShownProgress) => void {
  let tenth = -1;
  return (each) => {
    const now = each.totalBytes === 0 ? 10 : Math.floor((each.downloadedBytes * 10) / each.totalBytes);
    if (host.stderr.isTTY !== true && now === tenth) return;
    tenth = now;
    progress.update(progressText(id, each));
  };
}

function doneLines(id: string, directory: string, pulled: PulledJson, node?: string): string[] {
  const { files, total_bytes: total, fetched_bytes: fetched } = pulled;
  const now = fetched === 0 ? 'nothing had to be fetched' : `${bytes(fetched)} fetched now`;
  const by = node === undefined || fetched === 0 ? '' : ` by node ${printable(node, 60)}`;
  return [
    `${printable(id, 100)} is here: ${directory}`,
    `${count(files.length, 'file')}, ${bytes(total)}; ${now}${by}`,
  ];
}

/** What a name means; a folder is not fetched. */
export function repositoryNamed(name: string): Extract<ModelReference, { kind: 'repository' }> {
  if (name === DEMO_MODEL) {
    throw new HintedError(
      'option-invalid',
      'demo comes with the program: it is always here, and is neither fetched nor removed',
      'exo run demo asks it',
    );
  }
  const reference = resolveReference(name);
  if (reference.kind === 'repository') return reference;
  throw new HintedError(
    'option-invalid',
    `${printable(name, 100)} is a folder; only short names and org/repo are fetched and removed`,
    'exo model info shows what is in a folder',
  );
}

function shardIn(layers: number | undefined, wanted: Wanted | undefined): LayerRange | undefined {
  return wanted === undefined ? undefined : { ...wanted, layers: layers ?? 0 };
}

function layersOf(text: string): Wanted {
  const match = /^(\d{1,4})(?:-(\d{1,4}))?$/.exec(text.trim());
  const from = Number(match?.[1]);
  const to = Number(match?.[2] ?? match?.[1]);
  if (match !== null && from <= to) return { startLayer: from, endLayer: to };
  throw new ExoError('option-invalid', `--layers: "${printable(text, 40)}" is not a range such as 0-15`);
}

function parallelOf(text: string): number {
  const number = /^\d{1,3}$/.test(text) ? Number(text) : 0;
  if (number >= 1 && number <= LIMITS.parallelDownloadsMax) return number;
  throw new ExoError(
    'option-invalid',
    `--max-parallel-downloads: "${printable(text, 40)}" is not a whole number from 1 to ${LIMITS.parallelDownloadsMax}`,
  );
}

function described(
  { id, repository }: { readonly id: string; readonly repository: string },
  directory: string,
) {
  return { id, repository, directory: path.resolve(directory) };
}
