/** Documents that are made from the code are what the code says now. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { ERROR_CODES, LIMITS } from '../../src/shared/index.js';
import { ROOT } from '../support/processes.js';
import { read, tableRows } from './documents.js';

/** First column without backticks, over all tables but their heads. */
function names(file: string): string[] {
  return tableRows(read(file)).flatMap(([first]) => /^`(.+)`$/.exec(first!)?.[1] ?? []);
}

/** Codes that some place makes with `retryable: true` in the same call. */
function codesMadeRetryable(): Set<string> {
  const codes = new Set<string>();
  for (const name of readdirSync(path.join(ROOT, 'src'), { recursive: true, encoding: 'utf8' })) {
    if (!name.endsWith('.ts')) continue;
    for (const [call] of read(path.join('src', name)).matchAll(
      /new ExoError\(\s*'[a-z-]+'(?:(?!new ExoError)[\s\S])*?\);/g,
    )) {
      if (call.includes('retryable: true')) codes.add(/'([a-z-]+)'/.exec(call)![1]!);
    }
  }
  return codes;
}

describe('the generated documents', () => {
  it('are what npm run docs would write now', () => {
    const { status, stderr } = spawnSync(process.execPath, ['tools/docs.mjs', '--check'], {
      cwd: ROOT,
      encoding: 'utf8',
    });
    assert.equal(status, 0, stderr);
  });

  it('have every bound once', () => {
    assert.deepEqual(names('docs/LIMITS.md'), Object.keys(LIMITS));
  });

  it('have every error code once', () => {
    assert.deepEqual(names('docs/ERRORS.md'), Object.keys(ERROR_CODES));
  });

  it('call no error final that the program calls retryable', () => {
    const made = codesMadeRetryable();
    assert.ok(made.has('overloaded') && made.has('connect-failed'));
    const final = tableRows(read('docs/ERRORS.md')).filter(([, , retry]) => retry === 'no');
    assert.deepEqual(
      final.map(([code]) => code!.replaceAll('`', '')).filter((code) => made.has(code)),
      [],
    );
  });
});
