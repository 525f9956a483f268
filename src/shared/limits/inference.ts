/** Of rings, plans and answers. Put together with the others in `limits.ts`. */
import { type LimitTable, MIB } from './limit-table.js';

/** Each with its reason. */
export const INFERENCE = {
  generationsMax: [64, 'generations running or waiting on the node that took the request'],
  generationLookMs: [
    250,
    'between two looks whether an answer stands still; a fraction of what is then waited for',
  ],
  generationStillMs: [
    2_000,
    'without a token before the members of the ring are doubted; a token takes a tenth of it on slow machines, and a prompt alone is no reason',
  ],
  resultsRemembered: [
    2_048,
    'results of the last seconds that are sent again when the connection to their reader changes: ten answers at 20 tokens/s, for ten seconds',
  ],
  resultsRememberedMs: [
    20_000,
    'for so long a broken path may go unnoticed where another member reaches the peer; what came before has arrived, or the peer is dead',
  ],
  ringSilentMs: [
    3_000,
    'of silence before a member of a ring that stands still is left: it was asked after two seconds, and a round trip takes less than one',
  ],
  generationRetryMs: [
    5_000,
    'a ring that broke is tried again this long: nodes that met agree in under 1 s, a dead path takes longer',
  ],
  generationBreaksMax: [
    32,
    'times that one answer is taken up in another ring; each costs the whole prompt again',
  ],
  generationRetryDelayMsMin: [50, 'before such a try: a change of the topology travels 50 ms later'],
  generationRetryDelayMsMax: [250, 'as topologySettleMs; a person does not notice it'],
  tokensQueuedMax: [4_096, 'tokens not yet read by a slow client before it is cut'],
  ringSteadyMs: [
    1_000,
    'without a change for so long, a missing connection is no passing state; nodes that met agree in less',
  ],
  modelIdCharsMax: [
    512,
    'name of a model in a question for an offer; a repository of the hub has at most 193',
  ],
  offerWaitMs: [
    500,
    'a node that has not said by then what it offers takes no layers; a person waits for it',
  ],
  offerPatienceMs: [
    5_000,
    'where there is no ring without it: a machine that computes for others says it late, and is not silent',
  ],
  linkRateKeptMs: [
    10 * 60 * 1000,
    'what was measured of a link counts for so long, and it is not tried again before; paths seldom change sooner',
  ],
  linkProbeMs: [
    1_500,
    'for a ping of 64 or 256 KiB that measures a link: what takes longer is slower than any link worth splitting a model over',
  ],
  linkRetryMs: [
    30_000,
    'until a link whose measurement failed is tried again: its far node may have been busy for a moment',
  ],
  linkProbesPerMinute: [
    8,
    'links that a node measures because somebody plans; a ring is chosen among six nodes, and a stranger may ask often',
  ],
  ownOfferMs: [
    20_000,
    'until a node goes on without an offer of its own: the engine starts and measures itself in 2 s, or is stuck',
  ],
  offersKeptMs: [
    5_000,
    'an offer is used again for so long: memory and files of a node seldom change sooner',
  ],
  offersKeptMax: [1_024, 'offers that a node remembers, over all nodes and models'],
  offersInFlight: [16, 'questions for an offer that a node works on at once; each reads a few small files'],
  ringMembersMax: [
    128,
    'places of a ring that is told; the largest open model has 126 layers, and so many names fit the metadata of a tensor',
  ],
  ringsRemembered: [
    64,
    'models of which the last ring is remembered; the next is like it where nothing speaks for another',
  ],
  plansKept: [32, 'answers whose plan is remembered beside what it came to'],
  ringHopTimeoutMs: [30_000, 'a tensor must be accepted by the next node within this'],
  ringRequestsMax: [1_024, 'requests that a ring member works on: full entry nodes, sixteen of them'],
  ringStepsQueuedMax: [
    64,
    'steps of one request that wait on a member that computes longer than ringHoldMs at each; the parts of a prompt of 32,768 tokens',
  ],
  stepTokensMax: [
    65_536,
    'token ids of one tensor for the first layer: one is usual, and reading so many holds up the loop for some ms',
  ],
  promptTokensMax: [
    262_144,
    'token ids of a prompt, and of the answer that it goes on with; the longest contexts of open models, 2 MB of JSON',
  ],
  prefillChunkTokens: [
    512,
    'of a prompt that are computed at once, so that the nodes of a ring work at the same time; the batch that ggml is tuned for',
  ],
  ringStepsHeld: [
    4,
    'steps of one request that wait on a member before it lets the next one wait to be taken over: a slow member slows those before it',
  ],
  ringHeldStepMs: [
    50,
    'steps of a token up to this length: what brought one is answered with what goes back over the same connection, in one write and one wake',
  ],
  ringAnswerMs: [
    1_000,
    'such an answer waits so long at most; a timer of the length of a step would wake the node in the midst of each',
  ],
  ringHoldMs: [10_000, 'a step is held so long at most; well within ringHopTimeoutMs'],
  logitBiasMax: [300, 'tokens with a bias in one request, as at OpenAI'],
  topLogprobsMax: [20, 'of the likeliest tokens that are told beside the chosen one; OpenAI’s bound'],
  resultTokensMax: [1_024, 'tokens of one result with log probabilities; one is usual'],
  penaltyTokensMax: [
    4_096,
    'tokens of prompt and answer that penalties look at; as JSON they fit the metadata of a tensor (64 KiB)',
  ],
  ringQueueBytesMax: [
    512 * MIB,
    'tensors taken over and not yet computed, over all requests; two of the largest',
  ],
  ringEndedKept: [
    4_096,
    'ids of requests that ended early, so that what is still on its way does not revive them',
  ],
  ringRefusalsPerSecond: [
    10,
    'refused work of old peers that is broadcast as a failed result; the rest is logged',
  ],
  resultsReorderedMax: [64, 'results that came before one that is missing; two connections differ by a few'],
  statusPromptCharsMax: [4_096, 'of the prompt in a status broadcast; a status is a control frame of 1 MiB'],
  stopSequencesMax: [16, 'stop sequences of one request; OpenAI takes 4'],
  stopSequenceCharsMax: [1_024, 'text held back while a stop sequence may be beginning'],
  pingTimeoutMsMax: [60_000, 'longest wait that POST /v1/ping takes'],
  generateTokensMax: [
    1_000_000,
    '`--max-generate-tokens`: a million are weeks of generation; more is a typing mistake',
  ],
} as const satisfies LimitTable;
