/** Of checkpoints, their configuration and tokenizers. Put together with the others in `limits.ts`. */
import { type LimitTable, MIB } from './limit-table.js';

/** Each with its reason. */
export const MODELS = {
  safetensorsHeaderBytesMax: [
    100_000_000,
    'names and places of the tensors of one file; the safetensors library takes as much, an 8B model has 30 KB',
  ],
  safetensorsDimensionsMax: [8, 'of one tensor; weights of a decoder have two, ggml takes four'],
  checkpointIndexBytesMax: [16 * MIB, 'model.safetensors.index.json; the largest known has 9 MB'],
  checkpointFilesMax: [1_024, 'files of one checkpoint; the largest known has 191'],
  modelConfigBytesMax: [4 * MIB, 'config.json and its like; 1 to 50 KB are usual'],
  modelSizeMax: [
    16_777_216,
    'hidden size, vocabulary, heads and the like in a config; the largest known vocabulary has 262,208',
  ],
  modelLayersMax: [1_024, 'layers in a config; the largest known model has 126'],
  tokenizerBytesMax: [
    64 * MIB,
    'tokenizer.json; Gemma’s has 33 MB, and is held several times over while it loads',
  ],
  chatTemplateBytesMax: [1 * MIB, 'a chat template; the longest known have 20 KB'],
  chatTemplateRangeMax: [
    10_000,
    'numbers that a chat template counts through at once; templates count messages',
  ],
  chatTemplateItemsMax: [
    1_048_576,
    'items of a list in a chat template; its lists are the messages, and words of them',
  ],
  chatTemplateHeapMbMax: [
    256,
    'memory that a chat template takes while it renders, garbage included; the longest known ones need a few times the conversation',
  ],
  tokenizerLoadMs: [
    60_000,
    'to read a tokenizer in its thread; the largest known take 2.4 s, ten times as long on a small machine',
  ],
  tokenizerEncodeMs: [30_000, 'to encode a prompt there; 60,000 tokens take 0.8 s'],
  chatTemplateMs: [5_000, 'to render a conversation there; the longest known templates take 20 ms'],
  tokenizerJobsMax: [64, 'texts that wait for one tokenizer; as generationsMax'],
  tokenizerHeapMbMax: [
    3_072,
    'memory of a tokenizer’s thread: 400 MiB while the largest known vocabulary loads, chatTemplateHeapMbMax, and 2 GiB for one operation of a template: the longest text with two bytes a character, in pieces and whole',
  ],
  tokenizersMax: [
    16,
    'tokenizers open at once, each in a thread; more models than a few never are in use at once',
  ],
  attentionHeadsMax: [65_536, 'heads, and elements of one: frequencies are computed for each of these'],
  modelFilePathCharsMax: [512, 'the path of a file in a repository: some folders and a name'],
} as const satisfies LimitTable;
