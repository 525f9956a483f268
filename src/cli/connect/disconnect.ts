/**
 * `exo disconnect`: undoes what `exo connect` did. The far side first, while there is a way to it; what cannot be reached is
 * said, and kept in mind for the next try.
 */
import { exoHome } from '../../node/home/index.js';
import { printable, toExoError } from '../../shared/index.js';
import type { Values } from '../command-spec.js';
import { CLI_SCHEMA_VERSION, printJson } from '../commands/view.js';
import { EXIT, HintedError } from '../errors.js';
import type { CliHost } from '../host.js';
import { stopSignal } from '../stop-signal.js';
import { runningNodes } from '../target.js';
import { type ConnectionRecord, listRecords, removeRecord } from './connection-record.js';
import { FarClient } from './far-client.js';
import type { FarAnswer } from './far-protocol.js';
import { partHere } from './introduce.js';
import { describe, reloadPeers } from './local-node.js';
import { withoutNearEntry } from './near-entry.js';
import { openShell } from './open-shell.js';
import { editPeersFile } from './peers-file-store.js';
import type { SshWords } from './ssh-words.js';
import { Steps } from './steps.js';

/** What came of the far side. */
type FarOutcome = FarAnswer<'leave'> | { readonly unreachable: string };

/** Exit code 0 when nothing is left, 1 when the far side could not be reached. Throws `peer-unknown` or `node-ambiguous`. */
export async function disconnect(host: CliHost, name: string | undefined, values: Values): Promise<number> {
  const home = exoHome(host.env);
  const record = choose(listRecords(home), name);
  const asJson = values['json'] === true;
  const stop = stopSignal(host);
  const steps = new Steps(host, { quiet: asJson });
  try {
    const far = await steps.run('there', () => leaveThere(host, record, values, stop.signal));
    await steps.run('here', () => leaveHere(host, record));
    const done = !('unreachable' in far);
    if (done) removeRecord(home, record.peer);
    report(host, record, far, asJson);
    return done ? EXIT.ok : EXIT.failed;
  } catch (error) {
    if (stop.signal.aborted) return EXIT.cancelled;
    throw error;
  } finally {
    stop.release();
  }
}

/** By id, its beginning, or destination; the only one where none is named. */
function choose(records: readonly ConnectionRecord[], name: string | undefined): ConnectionRecord {
  const exact = records.filter(({ peer, destination }) => peer === name || destination === name);
  const fitting =
    name === undefined
      ? records
      : exact.length > 0
        ? exact
        : records.filter(({ peer }) => name !== '' && peer.startsWith(name));
  const [only] = fitting;
  if (fitting.length === 1 && only !== undefined) return only;
  const list = records.map(({ peer, destination }) => `  ${peer}   ${destination}`).join('\n');
  if (only !== undefined) {
    throw new HintedError(
      'node-ambiguous',
      `several connections fit; name one:\n${list}`,
      'exo disconnect <peer>',
    );
  }
  const which =
    name === undefined
      ? 'exo connect has made no connection here'
      : `no connection to ${printable(name, 80)} was made by exo connect`;
  throw new HintedError(
    'peer-unknown',
    list === '' ? which : `${which}; there are:\n${list}`,
    'a peer that was not connected so is taken out of its peers.json by hand',
  );
}

async function leaveThere(
  host: CliHost,
  record: ConnectionRecord,
  values: Values,
  signal: AbortSignal,
): Promise<{ readonly value: FarOutcome; readonly what: string }> {
  try {
    const login = await openShell(host, record.ssh as SshWords, false, signal);
    try {
      const client = new FarClient(host.clock, login, record.far.program);
      try {
        const value = await client.ask(
          'leave',
          {
            node: record.peer,
            peer: record.near.node,
            peersFile: record.far.port === null ? null : record.far.peersFile,
            before: record.far.before,
            distrust: record.trust?.there === true,
            stop: values['keepRemote'] !== true,
          },
          signal,
        );
        return { value, what: describeLeft(record, value) };
      } finally {
        await client.close();
      }
    } finally {
      await login.close();
    }
  } catch (error) {
    signal.throwIfAborted();
    const { message } = toExoError(error);
    return { value: { unreachable: message }, what: `not reached: ${message}` };
  }
}

function describeLeft({ near, far }: ConnectionRecord, left: FarAnswer<'leave'>): string {
  const entry = left.removed ? `${near.node} is out of ${far.peersFile}` : 'no entry was there';
  const node =
    left.stopped !== null
      ? `, ${left.stopped} has stopped`
      : left.kept !== null
        ? `, its node stays: ${left.kept}`
        : '';
  return entry + node;
}

async function leaveHere(
  host: CliHost,
  record: ConnectionRecord,
): Promise<{ readonly value: undefined; readonly what: string }> {
  const { peersFile, before } = record.near;
  const edited = editPeersFile(peersFile, (text, file) => withoutNearEntry(text, file, record.peer, before));
  const reader = runningNodes(host.env).find((run) => run.peersFile === peersFile);
  if (reader !== undefined) await reloadPeers(host, await describe(host, reader));
  if (record.trust?.here === true) await partHere(host, record.near.node, record.peer);
  const what =
    edited.before === edited.after
      ? 'no entry was there'
      : `${record.peer} is out of ${peersFile}, its tunnel is closed`;
  return { value: undefined, what };
}

function report(host: CliHost, record: ConnectionRecord, far: FarOutcome, asJson: boolean): void {
  const remains =
    'unreachable' in far
      ? [
          ...(record.far.port === null ? [] : [`the entry ${record.near.node} in ${record.far.peersFile}`]),
          ...(record.far.started ? [`the node ${record.peer}, which exo connect had started`] : []),
        ]
      : [];
  if (asJson) {
    printJson(host, {
      schema_version: CLI_SCHEMA_VERSION,
      peer: record.peer,
      destination: record.destination,
      remote: far,
      remains,
    });
    return;
  }
  if (!('unreachable' in far)) {
    host.stdout.write(`${record.near.node} and ${record.peer} are disconnected\n`);
    if (record.near.started) host.stdout.write('the node here goes on: exo stop ends it\n');
    return;
  }
  host.stderr.write(
    `${record.destination} was not reached; there remain${remains.length === 0 ? ' no entries' : ''}:\n${remains.map((each) => `  ${each}\n`).join('')}run exo disconnect ${record.peer} again when it can be reached\n`,
  );
}
