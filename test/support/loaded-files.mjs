/**
 * Notes which files a program loads: `node --import …/loaded-files.mjs program.js`, with LOADED_FILES naming the file of notes, a JSON
 * list written when the program ends. Modules are told by the loader, CommonJS files are what stands in the cache of `require`.
 */
import { writeFileSync } from 'node:fs';
import { createRequire, register } from 'node:module';
import { fileURLToPath } from 'node:url';
import { MessageChannel, receiveMessageOnPort } from 'node:worker_threads';

const HOOKS = `
  let port;
  export function initialize(data) { port = data; }
  export function load(url, context, next) { port.postMessage(url); return next(url, context); }
`;

const { port1, port2 } = new MessageChannel();
port1.unref();
register(`data:text/javascript,${encodeURIComponent(HOOKS)}`, { data: port2, transferList: [port2] });

process.on('exit', () => {
  const files = new Set(Object.keys(createRequire(import.meta.url).cache));
  for (let note = receiveMessageOnPort(port1); note !== undefined; note = receiveMessageOnPort(port1)) {
    if (note.message.startsWith('file:')) files.add(fileURLToPath(note.message));
  }
  writeFileSync(process.env.LOADED_FILES, JSON.stringify([...files]));
});
