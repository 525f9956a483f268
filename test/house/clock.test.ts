/** Time and chance are passed in: nothing outside the ground floor takes them from the machine. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { sources, withoutComments } from './sources.js';

const FORBIDDEN = [
  /\bDate\.now\b/,
  /\bnew Date\(\)/,
  /\b(?:setTimeout|setInterval)\(/,
  /\bMath\.random\b/,
  /\bperformance\.(?:now|timeOrigin)\b/,
  /\bprocess\.hrtime\b/,
  /\bAbortSignal\.timeout\b/,
  /import \{[^}]*\b(?:setTimeout|setInterval|scheduler)\b[^}]*\} from 'node:timers/,
];

function faultsIn(code: string): string[] {
  return code
    .split('\n')
    .flatMap((line, index) =>
      FORBIDDEN.some((pattern) => pattern.test(line)) ? [`line ${index + 1}: ${line.trim()}`] : [],
    );
}

test('src takes time and chance from Clock and Random only', () => {
  // What runs in a browser has the browser's clock.
  const faults = sources()
    .filter(({ room }) => room !== 'shared' && room !== 'web')
    .flatMap(({ file, code }) => faultsIn(code).map((fault) => `${file} ${fault}`));
  assert.deepEqual(faults, []);
});

test('the check sees calls and does not see comments', () => {
  assert.equal(faultsIn('const a = Date.now();\nsetTimeout(f, 1);\nsocket.setTimeout(0);').length, 3);
  assert.deepEqual(faultsIn(withoutComments('/* Date.now() */ const a = 1; // Math.random()')), []);
  assert.deepEqual(withoutComments("const a = 'https://x';"), "const a = 'https://x';");
});
