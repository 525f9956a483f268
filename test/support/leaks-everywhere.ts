/** Preloaded by `npm test` into every test file, and into the runner of each, which has nothing to check: `leaks.ts`, for all of them. */
if (process.env['NODE_TEST_CONTEXT'] !== undefined) await import('./leaks.js');

export {};
