/**
 * Waits for the nodes that `--layers` names, before a node of its own is asked anything: it has just started, and may not have met
 * them yet. One that is not there soon is refused by name, before an engine is started or a prompt is read for an answer that nobody
 * can compute. Called by `answerers.ts`.
 */
import type { Placement } from '../inference/index.js';
import type { Mesh } from '../node/index.js';
import { LIMITS, printable, withDeadline } from '../shared/index.js';
import { HintedError } from './errors.js';
import type { CliHost } from './host.js';
import { Progress } from './progress.js';

/** Of the mesh, as far as it is looked at here. */
export type NamedMesh = Pick<Mesh, 'self' | 'topology' | 'onChange'>;

/**
 * Rejects with `ring-incomplete` after `LIMITS.generationRetryMs`, at once where nobody looks for peers, and with the signal's reason.
 * @param findsPeers a discovery module is at work
 */
export async function untilNamedNodes(
  host: CliHost,
  mesh: NamedMesh,
  { placement, findsPeers }: { readonly placement: Placement | undefined; readonly findsPeers: boolean },
  signal: AbortSignal,
): Promise<void> {
  if (placement?.kind !== 'manual') return;
  const named = placement.ranges.map(({ nodeId }) => nodeId);
  const missing = () => {
    const { nodes } = mesh.topology();
    const { id } = mesh.self();
    return named.find((name) => name !== id && !nodes.has(name));
  };
  const first = missing();
  if (first === undefined) return;
  if (!findsPeers) throw absent(first, mesh);
  const progress = new Progress(host, `waiting for ${printable(first, 60)}, which --layers names`);
  const deadline = {
    clock: host.clock,
    timeoutMs: LIMITS.generationRetryMs,
    owner: signal,
    tooLate: () => absent(missing() ?? first, mesh),
  };
  try {
    await withDeadline(deadline, (until) => untilThere(mesh, () => missing() === undefined, until));
  } finally {
    progress.end();
  }
}

/** Never settles when the signal is aborted: whoever set the deadline says why. */
function untilThere(mesh: NamedMesh, isThere: () => boolean, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const stop = mesh.onChange(() => {
      if (!isThere()) return;
      stop();
      signal.removeEventListener('abort', stop);
      resolve();
    });
    signal.addEventListener('abort', stop, { once: true });
  });
}

function absent(name: string, mesh: NamedMesh): HintedError {
  const there = [...new Set([mesh.self().id, ...mesh.topology().nodes.keys()])];
  const listed = there.slice(0, 8).map((id) => printable(id, 60));
  const more = there.length > listed.length ? ` and ${there.length - listed.length} more` : '';
  return new HintedError(
    'ring-incomplete',
    `--layers gives layers to node "${printable(name, 60)}", which is not in the mesh; there are: ${listed.join(', ')}${more}`,
    'start that node or connect it (exo peers --all shows who was found and why not), or give its layers to one that is there',
  );
}
