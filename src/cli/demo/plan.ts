/** The two machines of the example, as the demo plays them on one: ids, ports, peers files, forwards, commands. Pure. */
import { fileURLToPath } from 'node:url';

/** One node of the demo. */
export interface DemoNode {
  readonly id: string;
  readonly nodePort: number;
  readonly apiPort: number;
  /** Name of its peers file in docs/examples. */
  readonly peersFile: string;
}

/** Mac #1 holds the tunnel: it reaches mac2 at the near end of `-L`. */
export const MAC1: DemoNode = { id: 'mac1', nodePort: 50060, apiPort: 52416, peersFile: 'mac1_peers.json' };
/** Mac #2 reaches mac1 at 50060; on two machines that is the far end of `-R`, here it is mac1 itself. */
export const MAC2: DemoNode = { id: 'mac2', nodePort: 50051, apiPort: 52415, peersFile: 'mac2_peers.json' };

export const LOOPBACK = '127.0.0.1';
/** Near end of `-L`. */
const FORWARD_PORT = 50052;
/** The `-L` of the example. */
export const FORWARD = `${FORWARD_PORT}:localhost:${MAC2.nodePort}`;
/** Its `-R`, which one machine cannot have: its far end would be mac1's own port. */
export const LEFT_OUT = `${MAC1.nodePort}:localhost:${MAC1.nodePort}`;

/** Every port that the demo needs, and for what. */
export const PORTS: ReadonlyArray<{ readonly port: number; readonly what: string }> = [
  { port: MAC1.nodePort, what: 'the node mac1' },
  { port: MAC1.apiPort, what: 'the HTTP API of mac1' },
  { port: MAC2.nodePort, what: 'the node mac2' },
  { port: MAC2.apiPort, what: 'the HTTP API of mac2' },
  { port: FORWARD_PORT, what: 'the near end of the tunnel, ssh -L' },
];

/** The folder of the peers files; as far from the sources as from the built program. */
export const EXAMPLES = fileURLToPath(new URL('../../../docs/examples/', import.meta.url));

/** The options of one node; `file` is its peers file, `engine` what computes its models. */
export function nodeArgs(node: DemoNode, file: string, engine: string): string[] {
  return [
    '--node-id',
    node.id,
    '--node-port',
    String(node.nodePort),
    '--chatgpt-api-port',
    String(node.apiPort),
    '--discovery-module',
    'manual',
    '--discovery-config-path',
    file,
    '--inference-engine',
    engine,
    // Each machine has its part to do, also where one alone would be faster.
    '--split',
    '--disable-tui',
  ];
}
