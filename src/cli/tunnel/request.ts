/**
 * A command line of ssh as the body of POST /v1/tunnels. What the flags mean is said by `tunnels`; here they are only found
 * among the options, and a line that forwards nothing is answered with an example.
 */
import { printable } from '../../shared/index.js';
import { describeSpec, specFromFlags, type TunnelFlags } from '../../tunnels/index.js';
import type { TunnelRequestJson } from '../api-shapes.js';
import type { Values } from '../command-spec.js';
import { HintedError } from '../errors.js';

/** Throws `option-missing`, or `tunnel-spec-invalid`, which names the flag. Relative names of files begin at `folder`. */
export function tunnelRequest(destination: string, values: Values, folder: string): TunnelRequestJson {
  const flags: TunnelFlags = { ...(values as Omit<TunnelFlags, 'destination'>), destination };
  if ((flags.L ?? []).length + (flags.R ?? []).length === 0) {
    throw new HintedError(
      'option-missing',
      'a tunnel needs at least one -L or -R',
      `for example: exo tunnel open -L 50052:localhost:50051 ${printable(destination, 80)}`,
    );
  }
  const spec = specFromFlags(flags, { baseFolder: folder });
  return { ...(flags.name === undefined ? {} : { name: flags.name }), ...describeSpec(spec) };
}
