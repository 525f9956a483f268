/** A process that claims one id, says what came of it, and stays until it is ended. Started by run-file.test.ts. */
import { randomBytes } from 'node:crypto';
import { claimRunFile } from '../../src/node/home/run-claim.js';

const [home = '', id = ''] = process.argv.slice(2);
const result = claimRunFile(home, {
  id,
  instance: randomBytes(8).toString('hex'),
  startedAt: '2026-01-01T00:00:00.000Z',
  version: '1',
});
console.log('runFile' in result ? 'claimed' : 'held');
setInterval(() => undefined, 60_000);
