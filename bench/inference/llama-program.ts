/**
 * The neighbour: libllama of the same npm package, with the same bytes of weights in GGUF and as many threads, as a loop of C
 * would use it: decode, then the greedy token by a native sampler; also several sequences in one batch. Structures as in llama.h of the pinned version.
 *
 *   llama-program.js FILE.gguf THREADS
 */
import { readdirSync } from 'node:fs';
import path from 'node:path';
import koffi from 'koffi';
import { findLibraries } from '../../src/inference/engines/ggml/library/platform-package.js';
import { answerQuestions, middle, someTokens, timed } from './questions.js';

const [file, threads] = process.argv.slice(2) as [string, string];
const CONTEXT = 2_560;
const BATCH = 512;
/** Sequences of one context; each has its part of `CONTEXT`. */
const SEQUENCES_MAX = 4;
const FLASH_ATTENTION_AUTO = -1;

const { directory, base, loader } = findLibraries();
koffi.config({ async_stack_size: 8 * 1024 * 1024 });
koffi.load(base);
const ggml = koffi.load(loader);
ggml.func('ggml_backend_load_all_from_path', 'void', ['str'])(directory);
const name = readdirSync(directory).find((entry) =>
  /^(?:lib)?llama(?:\.[\w.]+)?\.(?:so|dylib|dll)$/.test(entry),
)!;
const llama = koffi.load(path.join(directory, name));

const modelParams = koffi.struct('llama_model_params', {
  devices: 'void *',
  tensor_buft_overrides: 'void *',
  n_gpu_layers: 'int32_t',
  split_mode: 'int',
  load_mode: 'int',
  lazy_mode: 'int',
  main_gpu: 'int32_t',
  tensor_split: 'void *',
  progress_callback: 'void *',
  progress_callback_user_data: 'void *',
  kv_overrides: 'void *',
  vocab_only: 'bool',
  check_tensors: 'bool',
  use_extra_bufts: 'bool',
  no_host: 'bool',
  no_alloc: 'bool',
  load_mtp: 'bool',
});
const contextParams = koffi.struct('llama_context_params', {
  n_ctx: 'uint32_t',
  n_batch: 'uint32_t',
  n_ubatch: 'uint32_t',
  n_seq_max: 'uint32_t',
  n_rs_seq: 'uint32_t',
  n_outputs_max: 'uint32_t',
  n_outputs_max_per_seq: 'uint32_t',
  n_threads: 'int32_t',
  n_threads_batch: 'int32_t',
  ctx_type: 'int',
  rope_scaling_type: 'int',
  pooling_type: 'int',
  attention_type: 'int',
  flash_attn_type: 'int',
  rope_freq_base: 'float',
  rope_freq_scale: 'float',
  yarn_ext_factor: 'float',
  yarn_attn_factor: 'float',
  yarn_beta_fast: 'float',
  yarn_beta_slow: 'float',
  yarn_orig_ctx: 'uint32_t',
  defrag_thold: 'float',
  cb_eval: 'void *',
  cb_eval_user_data: 'void *',
  type_k: 'int',
  type_v: 'int',
  abort_callback: 'void *',
  abort_callback_data: 'void *',
  embeddings: 'bool',
  offload_kqv: 'bool',
  no_perf: 'bool',
  op_offload: 'bool',
  swa_full: 'bool',
  kv_unified: 'bool',
  samplers: 'void *',
  n_samplers: 'size_t',
  ctx_other: 'void *',
});
const batchType = koffi.struct('llama_batch', {
  n_tokens: 'int32_t',
  token: 'void *',
  embd: 'void *',
  pos: 'void *',
  n_seq_id: 'void *',
  seq_id: 'void *',
  logits: 'void *',
});
llama.func('void llama_log_set(void *callback, void *user_data)')(
  koffi.register(
    () => undefined,
    koffi.pointer(koffi.proto('void log_line(int level, const char *text, void *user)')),
  ),
  null,
);
llama.func('llama_backend_init', 'void', [])();
const modelDefaults = llama.func('llama_model_default_params', modelParams, [])() as object;
const model = llama.func('llama_model_load_from_file', 'void *', ['str', modelParams])(file, modelDefaults) as
  | bigint
  | null;
if (model === null) throw new Error(`libllama does not read ${file}`);
const contextDefaults = llama.func('llama_context_default_params', contextParams, [])() as {
  flash_attn_type: number;
};
if (contextDefaults.flash_attn_type !== FLASH_ATTENTION_AUTO) throw new Error('libllama has another layout');
const context = llama.func('llama_init_from_model', 'void *', ['void *', contextParams])(model, {
  ...contextDefaults,
  n_ctx: CONTEXT,
  n_batch: BATCH,
  n_ubatch: BATCH,
  n_seq_max: SEQUENCES_MAX,
  n_threads: Number(threads),
  n_threads_batch: Number(threads),
}) as bigint | null;
if (context === null) throw new Error('libllama makes no context');
const decode = llama.func('llama_decode', 'int32_t', ['void *', batchType]);
const memory = llama.func('llama_get_memory', 'void *', ['void *'])(context) as bigint;
const clear = llama.func('llama_memory_clear', 'void', ['void *', 'bool']);
const greedy = llama.func('llama_sampler_init_greedy', 'void *', [])() as bigint;
const sample = llama.func('llama_sampler_sample', 'int32_t', ['void *', 'void *', 'int32_t']);

/** Tokens of one sequence, the first at `position`. */
interface Part {
  readonly sequence: number;
  readonly position: number;
  readonly tokens: readonly number[];
}

/** The greedy token after each part, all of them in one batch. */
async function step(parts: readonly Part[]): Promise<number[]> {
  const rows = parts.flatMap(({ sequence, position, tokens }) =>
    tokens.map((token, at) => ({
      token,
      sequence,
      position: position + at,
      isLast: at === tokens.length - 1,
    })),
  );
  const ids = Int32Array.from(rows, ({ token }) => token);
  const positions = Int32Array.from(rows, ({ position }) => position);
  const counts = new Int32Array(rows.length).fill(1);
  const sequences = Int32Array.from(rows, ({ sequence }) => sequence);
  const base = koffi.address(sequences);
  const pointers = BigUint64Array.from(rows, (_, at) => base + BigInt(4 * at));
  const wanted = Int8Array.from(rows, ({ isLast }) => (isLast ? 1 : 0));
  const batch = {
    n_tokens: rows.length,
    token: ids,
    embd: null,
    pos: positions,
    n_seq_id: counts,
    seq_id: pointers,
    logits: wanted,
  };
  const status = await new Promise<number>((resolve, reject) => {
    decode.async(context, batch, (error: unknown, result: number) =>
      error ? reject(error) : resolve(result),
    );
  });
  if (status !== 0) throw new Error(`llama_decode: ${status}`);
  return rows.flatMap(({ isLast }, at) => (isLast ? [sample(greedy, context, at) as number] : []));
}

async function prompt(sequence: number, tokens: readonly number[]): Promise<number> {
  let next = 0;
  for (let position = 0; position < tokens.length; position += BATCH)
    [next = 0] = await step([{ sequence, position, tokens: tokens.slice(position, position + BATCH) }]);
  return next;
}

console.log(JSON.stringify({ ready: true }));
interface Question {
  readonly requests?: number;
  readonly prompt: number;
  readonly decode: number;
}

await answerQuestions(async ({ requests = 1, prompt: count, decode: steps }: Question) => {
  clear(memory, false);
  const prefills: number[] = [];
  let next: number[] = [];
  for (let sequence = 0; sequence < requests; sequence += 1) {
    prefills.push(
      await timed(async () => {
        next.push(await prompt(sequence, someTokens(count, sequence)));
      }),
    );
  }
  const times: number[] = [];
  const tookMs = await timed(async () => {
    for (let index = 0; index < steps; index += 1) {
      times.push(
        await timed(async () => {
          next = await step(
            next.map((token, sequence) => ({ sequence, position: count + index, tokens: [token] })),
          );
        }),
      );
    }
  });
  return {
    prefillMs: middle(prefills),
    decodeMs: middle(times),
    tokensPerS: (requests * steps * 1000) / tookMs,
  };
});
