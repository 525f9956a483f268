/** `exo trust list`, `add` and `remove`, and `exo join`. */
import { printable } from '../../shared/index.js';
import { HintedError } from '../errors.js';
import type { CliHost } from '../host.js';
import { colours } from '../host.js';
import { Progress } from '../progress.js';
import { CALLED_OFF, type ConfirmOptions, confirmed } from './confirm.js';
import { type DeskOptions, openDesk } from './desk.js';
import { formatTrust } from './format.js';
import { answer } from './key.js';
import { readSecret } from './secret-input.js';

/** Shows this node's own fingerprint, and whom it knows. */
export async function list(host: CliHost, options: DeskOptions): Promise<number> {
  const desk = await openDesk(host, options);
  const found = await desk.list();
  const c = colours(host.stdout, host.env);
  return answer(host, options, found, formatTrust(found, host.clock.wall(), c));
}

/** Trusts a node by its fingerprint, until it is removed. */
export async function add(
  host: CliHost,
  id: string,
  fingerprint: string,
  options: DeskOptions,
): Promise<number> {
  const desk = await openDesk(host, options);
  const node = await desk.trust(id, fingerprint);
  return answer(host, options, { node }, [
    `${printable(node.id, 60)} is trusted with the key ${node.fingerprint}`,
  ]);
}

/** Forgets a node. */
export async function remove(
  host: CliHost,
  id: string,
  options: DeskOptions & ConfirmOptions,
): Promise<number> {
  const desk = await openDesk(host, options);
  const what = `${printable(id, 60)} is forgotten: its key is not known any more, and it is no longer trusted by it.`;
  if (!(await confirmed(host, what, options))) return CALLED_OFF;
  const node = await desk.distrust(id);
  const keys = await desk.keys();
  return answer(host, options, { removed: node }, [
    `${printable(node.id, 60)} is forgotten`,
    ...(keys.length === 0
      ? []
      : [
          'if it has the mesh key it comes back with it; to shut it out: exo key rotate --grace 0, then invite the others anew',
        ]),
  ]);
}

/** Uses an invitation: its words, or nothing, and then it is asked for. */
export async function join(host: CliHost, words: readonly string[], options: DeskOptions): Promise<number> {
  if (words.length !== 0 && words.length !== 3 && !(words.length === 1 && words[0] === '-')) {
    throw new HintedError(
      'option-invalid',
      'an invitation is three words: host:port, fingerprint, secret',
      'copy the whole line from: exo key invite',
    );
  }
  const invitation =
    words.length === 3
      ? words.join(' ')
      : await readSecret(host, 'the invitation', {
          hint: 'exo key invite makes one on a machine of the mesh',
        });
  const desk = await openDesk(host, options);
  const progress = new Progress(host, 'joining');
  const joined = await desk.join(invitation).finally(() => progress.end());
  const { id, fingerprint, address, key_id: keyId } = joined;
  if (id !== null) {
    const key = keyId === null ? 'that mesh has no key' : `the mesh key ${keyId} came with it`;
    return answer(host, options, joined, [
      `joined ${printable(id, 60)} at ${address} (${fingerprint}); ${key}`,
    ]);
  }
  const colon = address.lastIndexOf(':');
  return answer(host, options, joined, [
    `the invitation is kept and used when this node meets ${address} (${fingerprint}); for that run`,
    `  exo --discovery-module direct --peer-host ${address.slice(0, colon)} --peer-port ${address.slice(colon + 1)}`,
  ]);
}
