/** The command line of `exo connect`, checked. Pure. */
import type { Values } from '../command-spec.js';
import { remoteCommandWords } from './shell-words.js';
import { type SshWords, sshWords } from './ssh-words.js';

/** What was asked for. */
export interface ConnectOptions {
  readonly words: SshWords;
  readonly api?: string;
  readonly json: boolean;
  readonly acceptNewHostKey: boolean;
  /** `--remote-command` as words. */
  readonly remoteCommand?: readonly string[];
  /** The node there, where several run. */
  readonly remoteNode?: string;
  /** Send a build without asking. */
  readonly send: boolean;
  readonly chat?: string;
  /** Empty: the node’s default. */
  readonly model: string;
}

/** Throws `option-*` or `tunnel-spec-invalid`. */
export function readConnectOptions(destination: string, values: Values, cwd: string): ConnectOptions {
  const text = (name: string) => (typeof values[name] === 'string' ? (values[name] as string) : undefined);
  const api = text('api');
  const command = text('remoteCommand');
  const remoteNode = text('remoteNode');
  const chat = text('chat');
  return {
    words: sshWords(destination, values, cwd),
    json: values['json'] === true,
    acceptNewHostKey: values['acceptNewHostKey'] === true,
    send: values['sendBuild'] === true || values['yes'] === true,
    model: text('model') ?? '',
    ...(api === undefined ? {} : { api }),
    ...(command === undefined ? {} : { remoteCommand: remoteCommandWords(command) }),
    ...(remoteNode === undefined ? {} : { remoteNode }),
    ...(chat === undefined ? {} : { chat }),
  };
}
