/** Where the model that comes with the program lies: beside this file, also in the built program. */
import { fileURLToPath } from 'node:url';

/** Absolute path of the demo model's folder. */
export const DEMO_DIRECTORY = fileURLToPath(new URL('./demo', import.meta.url));
