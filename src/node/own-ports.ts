/** Ports of this machine that the node takes for itself, in words: a tunnel must not listen there. */
import type { NodeOptions } from './node-options.js';

/** `nodePort` is the one that was bound. What is not known (an API on any free port) is not listed. */
export function ownPorts(
  options: Pick<NodeOptions, 'apiPort' | 'discovery'>,
  nodePort: number,
): ReadonlyArray<{ readonly port: number; readonly what: string }> {
  const { apiPort, discovery } = options;
  const all = [
    { port: nodePort, what: 'this node (--node-port)' },
    { port: apiPort ?? 0, what: 'the HTTP API (--chatgpt-api-port)' },
    {
      port: discovery.modules.includes('tcp') ? discovery.listenPort : 0,
      what: 'tcp discovery (--listen-port)',
    },
  ];
  return all.filter(({ port }) => port !== 0);
}
