/** Every bound stands in src/shared/limits with its reason; a `..._MAX` elsewhere is made of those, or is in the list below. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { LIMIT_REASONS, LIMITS } from '../../src/shared/limits.js';
import { sources } from './sources.js';

/** Constants that bound nobody's demand. A place is a file, or the beginning of paths; names: all of the place where none is given. */
interface Exception {
  readonly reason: string;
  readonly places: ReadonlyArray<readonly [place: string, ...names: string[]]>;
}

const EXCEPTIONS: readonly Exception[] = [
  {
    reason: 'the range of a field or of a system, which is not ours to choose',
    places: [
      ['discovery/udp-packet.ts', 'PRIORITY_MAX'],
      ['protocol/messages/wire-shapes.ts', 'PATH_PRIORITY_MAX'],
      ['protocol/pending-requests.ts', 'ID_MAX'],
      ['protocol/transports/tls-hello.ts', 'RECORD_BYTES_MAX'],
      ['topology/entry.ts', 'EPOCH_MAX'],
      ['tunnels/far-pids.ts', 'PID_MAX'],
      ['tunnels/openssh/session-files.ts', 'CONTROL_PATH_BYTES_MAX'],
      ['inference/sampling/sampling-state.ts', 'BIAS_MAX'],
      ['inference/answers/incremental-decoder.ts', 'HELD_TOKENS_MAX', 'PART_TOKENS_MAX'],
    ],
  },
  {
    reason:
      'how our own work is cut or paced, whatever is asked for: measured, and kept beside what it tunes',
    places: [
      ['discovery/flood-gate.ts', 'HEARD_AGAIN_MS_MAX'],
      ['discovery/udp-packet.ts', 'DATAGRAM_BYTES_SENT_MAX'],
      ['protocol/frame-writer.ts', 'COPY_BYTES_MAX'],
      ['protocol/link-profile.ts', 'WINDOW_BYTES_MAX'],
      ['topology/push-planner.ts', 'REFUTE_DELAY_MS_MAX'],
      ['tunnels/supervisor/pty-choice.ts', 'MEASURE_RTT_MS_MAX'],
      ['trust/file-lock.ts', 'RETRY_MS_MAX'],
      ['trust/mesh-keys.ts', 'LOOK_MS_MAX'],
      ['models/disk/lock.ts', 'RETRY_MS_MAX'],
      ['models/peers/piece-size.ts', 'PIECES_MAX'],
      ['models/tokenizer/count-tokens.ts', 'WORD_CHARS_MAX', 'CUT_TOKENS_MAX'],
      ['inference/engines/ggml/'],
      ['inference/planner/load-times.ts', 'BYTES_PER_S_MAX'],
      ['inference/planner/ring-planner.ts', 'RESERVED_TOKENS_MAX'],
      ['inference/planner/step-costs.ts', 'STEP_MS_MAX'],
      ['inference/sampling/likeliest.ts', 'SORTED_MAX'],
      ['node/home/run-claim.ts', 'CLAIM_ROUNDS_MAX'],
      ['api/loop-delay.ts', 'SAMPLES_MAX'],
    ],
  },
  {
    reason: 'how much of a sentence or a table is shown to a person',
    places: [
      ['api/chat-placement.ts', 'NAMED_MAX'],
      ['cli/errors.ts', 'MESSAGE_CHARS_MAX'],
      ['cli/format/'],
      ['tunnels/ssh/ssh-exit.ts', 'MESSAGE_CHARS_MAX'],
      ['tunnels/ssh2/session-failed.ts', 'MESSAGE_CHARS_MAX'],
    ],
  },
  { reason: 'a network in memory behaves as a real one', places: [['protocol/transports/memory-']] },
];

interface Bound {
  readonly file: string;
  readonly name: string;
}

/** Constants whose name says that they bound something, with a number of their own in them. */
function boundsIn(code: string): string[] {
  const constants =
    /^(?:export const|const| {2}(?:static |readonly )+#?)\s*((?:\w*_)?MAX(?:_\w+)?|\w+_(?:LIMIT|CAP)|[a-z]\w*Max)(?::[^=;]+)? =([^;]*);/gm;
  return [...code.matchAll(constants)]
    .filter(
      ([, , value]) => /(?<![\w.])\d/.test(value!) && !value!.includes('LIMITS.') && !value!.includes('=>'),
    )
    .map(([, name]) => name!);
}

function exceptionOf({ file, name }: Bound): string | undefined {
  for (const { places } of EXCEPTIONS) {
    for (const [place, ...names] of places) {
      if (file.startsWith(`src/${place}`) && (names.length === 0 || names.includes(name)))
        return `${place} ${names}`;
    }
  }
  return undefined;
}

const found: readonly Bound[] = sources()
  .filter(({ file }) => !file.startsWith('src/shared/limits'))
  .flatMap(({ file, code }) => boundsIn(code).map((name) => ({ file, name })));

test('a bound has one place: its name stands in one table, and its value can be changed by nobody', () => {
  const names = LIMIT_REASONS.map(({ name }) => name);
  assert.deepEqual(
    names.filter((name, at) => names.indexOf(name) !== at),
    [],
  );
  assert.deepEqual(Object.keys(LIMITS), names);
  assert.ok(Object.isFrozen(LIMITS));
});

test('every bound of what a peer or a person may ask for stands in src/shared/limits', () => {
  const faults = found
    .filter((bound) => exceptionOf(bound) === undefined)
    .map(({ file, name }) => `${file}: ${name}`);
  assert.deepEqual(faults, [], 'move it to src/shared/limits, with its reason');
});

test('the exceptions among the bounds are all there', () => {
  const used = new Set(found.map((bound) => `${bound.file} ${bound.name}`));
  const gone = EXCEPTIONS.flatMap(({ places }) =>
    places.flatMap(([place, ...names]) =>
      names.length > 0
        ? names.filter((name) => !used.has(`src/${place} ${name}`)).map((name) => `${place} ${name}`)
        : found.some(({ file }) => file.startsWith(`src/${place}`))
          ? []
          : [place],
    ),
  );
  assert.deepEqual(gone, []);
});

test('the check sees numbers, and not what is made of the limits', () => {
  assert.deepEqual(boundsIn('const A_MAX = 4 * KIB;\nexport const MAX_B = 2;\nconst wideMax = 7;'), [
    'A_MAX',
    'MAX_B',
    'wideMax',
  ]);
  assert.deepEqual(
    boundsIn('const A_MAX = LIMITS.b / 1_000;\nconst B_MAX = HEAD + TAIL;\nconst size = 4;'),
    [],
  );
});
