/** How a failure leaves the program: one line, a hint on the next, and an exit code. Pure but for the writing. */
import { type ErrorCode, ExoError, printable, toExoError } from '../shared/index.js';
import { type CliHost, colours } from './host.js';
import { sourceStack } from './source-stack.js';

/** Exit codes of all commands. */
export const EXIT = {
  ok: 0,
  /** It was tried and failed. */
  failed: 1,
  /** The command line or the environment cannot be used; nothing was tried. */
  usage: 2,
  /** Ctrl-C, as shells report it: 128 + SIGINT. */
  cancelled: 130,
} as const;

/** Version of the shape of errors under `--json`. */
const ERROR_SCHEMA_VERSION = 1;
/** An error message may list what there is; more is a flood. */
const MESSAGE_CHARS_MAX = 2_000;

/** What to do next, where the message does not say it; HELP stands for the help of the command that failed. */
const HINTS: Partial<Record<ErrorCode, string>> = {
  'option-invalid': 'HELP lists the options and their values',
  'option-missing': 'HELP shows examples',
  'option-unsupported': 'HELP lists what this version has',
  'peers-file-invalid': 'peers.example.json shows every field; editors complete it through "$schema"',
  'peer-unknown': 'exo peers lists the peers',
  'peer-unreachable': 'exo peers --all says why',
  'model-unknown': 'exo model search finds models, exo status lists those of a node',
  'model-absent': 'exo model list shows what is here, exo model pull fetches a model',
  'tunnel-unknown': 'exo tunnel list shows the tunnels',
  'tunnel-exists': 'exo tunnel close NAME ends the other one, or name this one with --name',
  'tunnel-spec-invalid': 'exo tunnel open --help shows examples',
  'ring-incomplete': 'exo topology shows which nodes are there',
  'api-unreachable': 'start a node in another terminal with: exo',
  'http-unauthorized':
    'set EXO_API_TOKEN to the token of that node’s run file ($EXO_HOME/run/<node-id>.json), or to the API token of exo key show',
  'mesh-key-unknown': 'exo key show lists the keys',
  'auth-required': 'exo key join takes over the key of that mesh, exo join uses an invitation',
  'auth-failed': 'exo key show on both machines: is it the same key?',
  internal: 'this is a fault of exo; DEBUG=1 shows more',
};

/** An error with a hint of its own. */
export class HintedError extends ExoError {
  readonly hint: string;

  constructor(code: ErrorCode, message: string, hint: string) {
    super(code, message);
    this.hint = hint;
  }
}

/** The exit code of a failure: 2 where the command line is at fault, else 1. */
export function exitCode(error: ExoError): number {
  return error.code.startsWith('option-') ? EXIT.usage : EXIT.failed;
}

/** The hint of an error of a command, if there is one. */
function hintOf(error: ExoError, command: string): string | undefined {
  return error instanceof HintedError
    ? error.hint
    : HINTS[error.code]?.replace('HELP', `exo ${command} --help`);
}

/** Writes a failure to stderr, as JSON under `--json`, and returns the exit code. */
export function reportError(host: CliHost, thrown: unknown, asJson: boolean, command = 'node'): number {
  const error = toExoError(thrown);
  const hint = hintOf(error, command);
  if (asJson) {
    const body = { code: error.code, message: error.message, hint: hint ?? null };
    host.stderr.write(`${JSON.stringify({ schema_version: ERROR_SCHEMA_VERSION, error: body })}\n`);
  } else {
    const c = colours(host.stderr, host.env);
    const lines = error.message.split('\n').map((line) => printable(line, MESSAGE_CHARS_MAX));
    host.stderr.write(`${c.red('error:')} ${lines.join('\n')}\n`);
    if (hint !== undefined) host.stderr.write(`${c.dim(`hint: ${hint}`)}\n`);
    const cause = error.cause;
    if (error.code === 'internal' && host.env['DEBUG'] && cause instanceof Error) {
      host.stderr.write(`${sourceStack(cause) ?? ''}\n`);
    }
  }
  return exitCode(error);
}
