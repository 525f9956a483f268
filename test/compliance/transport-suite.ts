/** What every `Transport` must do. Run over TCP (both ways of receiving) and over the in-memory network. */
import { afterEach, beforeEach, describe } from 'node:test';
import { bytesSuite } from './transport-bytes.js';
import { endsSuite } from './transport-ends.js';
import { type TestNetwork, TransportLab } from './transport-lab.js';
import { reachSuite } from './transport-reach.js';

export type { TestNetwork } from './transport-lab.js';

/** Registers the suite. `makeNetwork` is called before each test. */
export function transportSuite(name: string, makeNetwork: () => Promise<TestNetwork>): void {
  describe(name, () => {
    const lab = new TransportLab();
    beforeEach(async () => lab.open(await makeNetwork()));
    afterEach(() => lab.close());
    bytesSuite(lab);
    endsSuite(lab);
    reachSuite(lab);
  });
}
