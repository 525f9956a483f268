/** The files that make a tokenizer, read from a model's folder and checked as far as their fields are used. */
import path from 'node:path';
import { ExoError, LIMITS, printable } from '../../shared/index.js';
import { type FileFault, isFile, readBounded, readBoundedIfThere } from '../disk/bounded-file.js';

/** What the files say. Objects are as they were written. */
export interface TokenizerFiles {
  /** tokenizer.json. */
  readonly tokenizer: object;
  /** tokenizer_config.json, generation_config.json and config.json; empty where they are not there. */
  readonly config: Readonly<Record<string, unknown>>;
  readonly generation: Readonly<Record<string, unknown>>;
  readonly model: Readonly<Record<string, unknown>>;
  /** The chat template, and the name of the file that it stands in. */
  readonly template: { readonly source: string; readonly place: string } | undefined;
}

const TOKENIZER = 'tokenizer.json';
const CONFIG = 'tokenizer_config.json';
const OLD_TEMPLATE = 'chat_template.json';

/** Throws `tokenizer-invalid`, which names the file, or the signal's reason. */
export async function readTokenizerFiles(directory: string, signal: AbortSignal): Promise<TokenizerFiles> {
  const folder = path.resolve(directory);
  const json = async (name: string, bytesMax: number) => {
    const file = path.join(folder, name);
    const bytes = await readBoundedIfThere(file, bytesMax, faultOf(file), signal);
    return bytes === undefined ? {} : parseObject(bytes, faultOf(file));
  };
  const config = await json(CONFIG, LIMITS.modelConfigBytesMax);
  return {
    tokenizer: await readTokenizer(folder, signal),
    config,
    generation: await json('generation_config.json', LIMITS.modelConfigBytesMax),
    model: await json('config.json', LIMITS.modelConfigBytesMax),
    template:
      (await readTemplateFile(folder, signal)) ??
      templateOf(config, path.join(folder, CONFIG)) ??
      // Where processors of images kept it.
      templateOf(await json(OLD_TEMPLATE, LIMITS.modelConfigBytesMax), path.join(folder, OLD_TEMPLATE)),
  };
}

async function readTokenizer(folder: string, signal: AbortSignal): Promise<object> {
  const file = path.join(folder, TOKENIZER);
  if (!(await isFile(file))) {
    const hasOther = await isFile(path.join(folder, 'tokenizer.model'));
    throw new ExoError(
      'tokenizer-invalid',
      hasOther
        ? `${printable(folder)} has a tokenizer.model and no ${TOKENIZER}, which alone is read; take another conversion of the model`
        : `${printable(file)} is not there, and without a tokenizer a model reads no text; fetch it (exo model pull)`,
    );
  }
  const fault = faultOf(file);
  return parseObject(await readBounded(file, LIMITS.tokenizerBytesMax, fault, signal), fault);
}

async function readTemplateFile(folder: string, signal: AbortSignal) {
  const place = path.join(folder, 'chat_template.jinja');
  const bytes = await readBoundedIfThere(place, LIMITS.chatTemplateBytesMax, faultOf(place), signal);
  return bytes === undefined ? undefined : { source: bytes.toString('utf8'), place };
}

/** A text, or a list of named ones: of these the default, or the only one. */
function templateOf(config: Readonly<Record<string, unknown>>, place: string) {
  const field = config['chat_template'];
  if (field === undefined || field === null) return undefined;
  if (typeof field === 'string') return { source: field, place };
  const list = (Array.isArray(field) ? field : []) as ReadonlyArray<{
    name?: unknown;
    template?: unknown;
  } | null>;
  const chosen = list.find((one) => one?.name === 'default') ?? (list.length === 1 ? list[0] : undefined);
  if (typeof chosen?.template === 'string') return { source: chosen.template, place };
  throw faultOf(place)('has a chat_template that is neither a text nor a list with a default');
}

function faultOf(file: string): FileFault {
  return (why, cause) =>
    new ExoError(
      'tokenizer-invalid',
      `${printable(file)} ${why}; fetch the file again (exo model pull)`,
      cause === undefined ? {} : { cause },
    );
}

function parseObject(bytes: Buffer, fault: FileFault): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString('utf8'));
  } catch (error) {
    throw fault('is not JSON', error);
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return value as Record<string, unknown>;
  }
  throw fault('is not a JSON object');
}
