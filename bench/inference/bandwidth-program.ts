/**
 * How fast memory is read: libc looks for a byte that is not there, on as many threads as the engine has. 512 MiB, so that no
 * processor's cache holds it.
 *
 *   bandwidth-program.js THREADS
 */
import koffi from 'koffi';
import { answerQuestions, timed } from './questions.js';

const threads = Number(process.argv[2]);
const BYTES = 512 * 1024 * 1024;
const libc = koffi.load(process.platform === 'win32' ? 'msvcrt.dll' : null);
const memchr = libc.func('memchr', 'void *', ['void *', 'int', 'size_t']);
const data = Buffer.alloc(BYTES, 1);
const part = BYTES / threads;

function look(at: number): Promise<void> {
  return new Promise((resolve, reject) => {
    memchr.async(data.subarray(at * part, (at + 1) * part), 2, part, (error: unknown, found: unknown) =>
      error || found !== null ? reject(error ?? new Error('found')) : resolve(),
    );
  });
}

console.log(JSON.stringify({ ready: true }));
await answerQuestions(async () => {
  const ms = await timed(() => Promise.all(Array.from({ length: threads }, (_, at) => look(at))));
  return { bytesPerS: (BYTES * 1000) / ms };
});
