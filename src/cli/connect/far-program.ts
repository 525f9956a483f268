/** Finds an exo on the far machine that this one can work with, and sends one where there is none. */
import { ExoError, printable, toExoError } from '../../shared/index.js';
import { HintedError } from '../errors.js';
import { bytes } from '../format/units.js';
import type { CliHost } from '../host.js';
import { version } from '../version.js';
import { FarClient, type FarProgram } from './far-client.js';
import { FAR_SCHEMA, type FarAnswer } from './far-protocol.js';
import { planPack } from './pack.js';
import type { RemoteShell } from './remote-shell.js';
import { sendBuild } from './send-build.js';
import { NODE_MIN, nodeIsEnough, readSurvey, type Survey, surveyLine } from './survey.js';

/** What the user said about it. */
export interface FarProgramOptions {
  /** `--remote-command` as words. */
  readonly command?: readonly string[];
  /** Send a build without asking. */
  readonly send: boolean;
  /** For the question. */
  readonly destination: string;
}

/** An exo that answers. */
export interface FoundProgram {
  readonly client: FarClient;
  readonly program: FarProgram;
  readonly hello: FarAnswer<'hello'>;
  readonly survey: Survey;
  /** A build was sent for it. */
  readonly sentBytes?: number;
}

/** Login scripts may take their time. */
const SURVEY_WITHIN_MS = 20_000;
const HELLO_WITHIN_MS = 15_000;

/** Throws `tunnel-failed` or `option-unsupported` with what to do next. */
export async function findFarProgram(
  host: CliHost,
  shell: RemoteShell,
  options: FarProgramOptions,
  signal: AbortSignal,
  tell: (text: string) => void,
): Promise<FoundProgram> {
  const looked = await shell.run(surveyLine(), { timeoutMs: SURVEY_WITHIN_MS, signal });
  const survey = readSurvey(looked.stdout);
  const complaints: string[] = [];
  for (const words of candidates(options, survey)) {
    const program = { path: survey.path, words };
    const found = await greet(host, shell, program, signal);
    if (!(found instanceof ExoError)) return { ...found, program, survey };
    complaints.push(`${words.join(' ')}: ${found.message}`);
  }
  if (options.command !== undefined) {
    throw new ExoError(
      'tunnel-failed',
      `--remote-command does not lead to a usable exo: ${complaints.join('; ')}`,
    );
  }
  const missing = complaints.length === 0 ? 'there is no exo there' : complaints.join('; ');
  requireNode(survey, missing);
  await consent(host, options, survey, missing);
  const pack = planPack();
  tell(`sending exo ${pack.version}`);
  const sent = await sendBuild(shell, pack, survey.home, signal);
  const program = { path: survey.path, words: [sent.exo] };
  const found = await greet(host, shell, program, signal);
  if (found instanceof ExoError) throw found;
  return { ...found, program, survey, sentBytes: sent.bytes };
}

/** One line about it, for the step. */
export function describeProgram({ hello, program, sentBytes }: FoundProgram): string {
  const sent = sentBytes === undefined ? '' : `, sent just now (${bytes(sentBytes)})`;
  return `${hello.version} at ${program.words.join(' ')}${sent}, Node ${printable(hello.node, 20)}`;
}

function candidates({ command }: FarProgramOptions, survey: Survey): ReadonlyArray<readonly string[]> {
  if (command !== undefined) {
    const [first = '', ...rest] = command;
    return [[first.startsWith('~/') ? `${survey.home}${first.slice(1)}` : first, ...rest]];
  }
  const files = [survey.exo, survey.sent].filter((file) => file !== undefined);
  return [...new Set(files)].map((file) => [file]);
}

/** Starts it and asks who it is; what cannot be used is an answer, not an exception. */
async function greet(
  host: CliHost,
  shell: RemoteShell,
  program: FarProgram,
  signal: AbortSignal,
): Promise<{ readonly client: FarClient; readonly hello: FarAnswer<'hello'> } | ExoError> {
  const client = new FarClient(host.clock, shell, program);
  try {
    const hello = await client.ask('hello', {}, signal, HELLO_WITHIN_MS);
    if (hello.schema === FAR_SCHEMA) return { client, hello };
    await client.close();
    return new ExoError(
      'tunnel-failed',
      `is exo ${hello.version}, which exo ${version()} here cannot work with`,
    );
  } catch (error) {
    await client.close();
    signal.throwIfAborted();
    return toExoError(error);
  }
}

function requireNode({ node, os, tar }: Survey, missing: string): void {
  if (node === undefined) {
    throw new HintedError(
      'tunnel-failed',
      `${missing}, and no Node.js to run one`,
      `install Node.js ${NODE_MIN} or newer there (${os === 'Darwin' ? 'brew install node' : 'https://nodejs.org, or the package nodejs'}), then run this again`,
    );
  }
  if (!nodeIsEnough(node.version)) {
    throw new HintedError(
      'tunnel-failed',
      `${missing}, and the Node.js there is ${printable(node.version, 20)} (${node.file}); exo needs ${NODE_MIN} or newer`,
      'install a newer Node.js there, then run this again',
    );
  }
  if (!tar) throw new ExoError('tunnel-failed', `${missing}, and no tar to unpack one; install tar there`);
}

async function consent(
  host: CliHost,
  { send, destination }: FarProgramOptions,
  survey: Survey,
  missing: string,
): Promise<void> {
  if (send) return;
  const what = `exo ${version()} into ${survey.home}/.local/share/exo-mesh`;
  const answer = await host.ask(`On ${destination}: ${missing}. Send ${what} (no root needed)? [y/N] `);
  if (answer !== undefined && /^y(es)?$/i.test(answer.trim())) return;
  throw new HintedError(
    'tunnel-failed',
    missing,
    answer === undefined
      ? `--send-build sends ${what}; or install exo there, or name it with --remote-command`
      : 'install exo there, or name it with --remote-command',
  );
}
