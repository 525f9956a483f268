/**
 * What runs in a tokenizer's thread. Files, vocabularies and templates are those of whoever published the model: here they
 * may take their time or fail, and are ended from outside when they do not end. `tokenizer-thread.ts` starts it.
 */
import { parentPort } from 'node:worker_threads';
import { ExoError, toExoError } from '../../../shared/index.js';
import { tooManyTokens } from '../count-tokens.js';
import { readTokenizer, type TextReader } from '../tokenizer.js';
import { tooLong } from '../too-long.js';
import type { TokenizerAnswer, TokenizerQuestion } from './messages.js';

const port = parentPort!;
const never = new AbortController().signal;
let reader: TextReader | undefined;

async function answer(question: TokenizerQuestion): Promise<void> {
  if (question.op === 'open') {
    const { reader: opened, table } = await readTokenizer(question.directory, never);
    reader = opened;
    const { bosTokenId, hasChatTemplate } = opened;
    reply({ opened: { eosTokenIds: [...opened.eosTokenIds], bosTokenId, hasChatTemplate, table } }, [
      table.units.buffer,
      table.ends.buffer,
      table.shown.buffer,
    ]);
    return;
  }
  if (reader === undefined) throw new ExoError('internal', 'the tokenizer was asked before it was opened');
  if (question.op === 'encode') {
    const { text, tokensMax } = question;
    const encode = reader.encode.bind(reader);
    const least = tokensMax === undefined ? undefined : tooManyTokens(encode, text, tokensMax);
    if (least !== undefined) throw tooLong(`at least ${least} tokens`, tokensMax);
    const ids = Uint32Array.from(encode(text));
    reply({ ids }, [ids.buffer]);
    return;
  }
  reply({ text: reader.applyChatTemplate(question.messages) });
}

function reply(message: TokenizerAnswer, moved: readonly ArrayBufferLike[] = []): void {
  port.postMessage(message, moved as ArrayBuffer[]);
}

port.on('message', (question: TokenizerQuestion) => {
  answer(question).catch((error: unknown) => {
    const { code, message } = toExoError(error, 'tokenizer-invalid');
    reply({ error: { code, message } });
  });
});
