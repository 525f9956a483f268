/** What a node says of itself: to a peer in its hello, to people in the status. */
import type { Discovery } from '../discovery/index.js';
import type { Hello } from '../protocol/index.js';
import type { Address } from '../shared/index.js';
import type { TopologyView } from '../topology/index.js';
import type { SelfSummary } from './mesh.js';
import type { NodeOptions } from './node-options.js';

/** What changes while the node runs. */
export interface SelfDescriptionComponents {
  readonly view: TopologyView;
  /** The bound address. */
  address(): Address;
  discovery(): ReturnType<Discovery['describe']>;
}

/** One node's words about itself. */
export class SelfDescription {
  readonly #options: NodeOptions;
  readonly #c: SelfDescriptionComponents;

  constructor(options: NodeOptions, components: SelfDescriptionComponents) {
    this.#options = options;
    this.#c = components;
  }

  hello({ path, auth }: Pick<Hello, 'path' | 'auth'>): Hello {
    const { view } = this.#c;
    return {
      versionMin: 1,
      versionMax: 1,
      nodeId: this.#options.nodeId,
      instance: this.#options.instance,
      epoch: view.own.epoch,
      features: ['correlated', 'topology'],
      capabilities: view.own.capabilities,
      nodePort: this.#c.address().port,
      topologyDigest: view.digest(),
      agent: `exo-mesh/${this.#options.version}`,
      ...(path === undefined ? {} : { path }),
      ...(auth === undefined ? {} : { auth }),
    };
  }

  summary(): SelfSummary {
    const { nodeId, instance, version, epoch } = this.#options;
    const { host, port } = this.#c.address();
    return {
      id: nodeId,
      instance,
      version,
      nodeHost: host,
      nodePort: port,
      startedAtMs: epoch,
      capabilities: this.#c.view.own.capabilities,
      discovery: this.#c.discovery(),
    };
  }
}
