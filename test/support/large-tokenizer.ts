/** A tokenizer.json of the size of Qwen's, made on the spot: byte pairs, 151,643 tokens with their merges, and the pattern that Qwen splits by. */
import { seededRandom } from '../../src/shared/index.js';

/** As Qwen 2's. */
const TOKENS = 151_643;
const TOKEN_CHARS_MAX = 14;
const QWEN_PATTERN =
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

/** The printable characters by which byte-level tokenizers write bytes: those that are printable stand for themselves. */
function alphabet(): string[] {
  const isShown = (byte: number) =>
    (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
  let next = 256;
  return Array.from({ length: 256 }, (_, byte) => {
    if (isShown(byte)) return String.fromCharCode(byte);
    next += 1;
    return String.fromCharCode(next - 1);
  });
}

/** The definition, and words that its merges make. */
export function largeTokenizer(seed: number): { readonly json: string; readonly words: readonly string[] } {
  const random = seededRandom(seed);
  const tokens = alphabet();
  const known = new Set(tokens);
  const letters = [...'abcdefghijklmnopqrstuvwxyz'];
  // Merges grow from letters only, so that words of letters run through many of them.
  const parts = [...letters];
  const merges: string[] = [];
  const pick = () => parts[Math.floor(random.next() * parts.length)]!;
  while (tokens.length < TOKENS) {
    const [left, right] = [pick(), pick()];
    const token = left + right;
    if (token.length > TOKEN_CHARS_MAX || known.has(token)) continue;
    known.add(token);
    tokens.push(token);
    parts.push(token);
    merges.push(`${left} ${right}`);
  }
  const vocab = Object.fromEntries(tokens.map((token, id) => [token, id]));
  const added = ['<|endoftext|>', '<|im_start|>', '<|im_end|>'].map((content, index) => ({
    ...{ id: TOKENS + index, content, special: true },
    ...{ single_word: false, lstrip: false, rstrip: false, normalized: false },
  }));
  const json = JSON.stringify({
    version: '1.0',
    added_tokens: added,
    normalizer: { type: 'NFC' },
    pre_tokenizer: {
      type: 'Sequence',
      pretokenizers: [
        { type: 'Split', pattern: { Regex: QWEN_PATTERN }, behavior: 'Isolated', invert: false },
        { type: 'ByteLevel', add_prefix_space: false, trim_offsets: false, use_regex: false },
      ],
    },
    post_processor: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: false, use_regex: false },
    decoder: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: false, use_regex: false },
    model: { type: 'BPE', vocab, merges },
  });
  return { json, words: parts.slice(-20_000) };
}
