/** fast-check with the seed of the run. A property that fails says its own seed and path; `EXO_TEST_SEED` replays the run. */
import fc from 'fast-check';
import { TEST_SEED } from './seed.js';

fc.configureGlobal({ ...fc.readConfigureGlobal(), seed: TEST_SEED });

export default fc;
