/** Where a thread begins: TypeScript is loaded in the main thread only, so a thread does it for itself. */
import { register } from 'tsx/esm/api';

register();
await import('./worker.ts');
