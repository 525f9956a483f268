/** The shape of options and environment, value by value. `read-config.ts` holds them against each other. */
import * as z from 'zod';
import { ggmlDevices, QUANTISATIONS } from '../../inference/index.js';
import { LIMITS } from '../../shared/index.js';
import { DISCOVERY_MODULES, INTERFACE_TYPES } from '../options/index.js';
import * as v from './values.js';

const DAY_SECONDS = 86_400;
/** Less has no room for a question and its answer. */
const CONTEXT_TOKENS_MIN = 16;

/** Every option that has a value here; defaults are in the table of options. */
export const optionSchema = z.object({
  'node-id': v.nodeId().optional(),
  'node-host': v.host().optional(),
  'node-port': v.listenPort(),
  'wait-for-peers': v.wholeNumber(0, LIMITS.peersMax),
  'disable-tui': z.boolean().optional(),
  'discovery-module': v.commaList(v.oneOf(DISCOVERY_MODULES, 'a discovery module')),
  'discovery-config-path': v.someText().optional(),
  'peer-host': v.host().optional(),
  'peer-port': v.dialPort().optional(),
  'peer-id': v.nodeId().optional(),
  'listen-port': v.listenPort(),
  'broadcast-port': v.dialPort(),
  'discovery-timeout': v.seconds(DAY_SECONDS),
  'node-id-filter': v.commaList((id) => id).optional(),
  'interface-type-filter': v.commaList(v.oneOf(INTERFACE_TYPES, 'a type of interface')).optional(),
  'allow-legacy': v.commaList((host) => host).optional(),
  'auth-token-file': v.someText().optional(),
  'ssh-authorized-keys': v.someText().optional(),
  'ssh-identity': v.someText().optional(),
  'tunnel-probe-interval': v.seconds(DAY_SECONDS),
  'tunnel-probe-timeout': v.seconds(LIMITS.tunnelProbeTimeoutSecondsMax),
  'chatgpt-api-host': v.host(),
  'chatgpt-api-port': v.listenPort(),
  'chatgpt-api-response-timeout': v.seconds(DAY_SECONDS),
  'inference-engine': v.someText(),
  'default-model': v.someText().optional(),
  'default-temp': v.decimalNumber(0, 2),
  'max-generate-tokens': v.wholeNumber(1, LIMITS.generateTokensMax),
  'max-context': v.wholeNumber(CONTEXT_TOKENS_MIN, LIMITS.promptTokensMax).optional(),
  quantisation: v.text(v.oneOf(QUANTISATIONS, 'a type of weights')),
  device: v.text(v.oneOf(ggmlDevices(), 'a device of this machine')),
  threads: v.wholeNumber(1, LIMITS.engineThreadsMax).optional(),
  split: z.boolean().optional(),
  layers: v.layerRanges().optional(),
  'system-prompt': v.rawText().optional(),
  'models-seed-dir': v.someText().optional(),
  'max-parallel-downloads': v.wholeNumber(1, LIMITS.parallelDownloadsMax),
  'download-quick-check': z.boolean().optional(),
  offline: z.boolean().optional(),
  spare: z.boolean().optional(),
  'run-model': v.someText().optional(),
  prompt: v.rawText(),
});

/** Every variable that is read. */
export const environmentSchema = z.object({
  DEBUG: v.wholeNumber(0, 9).optional(),
  DEBUG_DISCOVERY: v.wholeNumber(0, 9).optional(),
  TEMPERATURE: v.decimalNumber(0, 2).optional(),
  HF_ENDPOINT: v.httpUrl().optional(),
  HF_HOME: v.someText().optional(),
  EXO_OFFLINE: v.rawText().optional(),
  HF_HUB_OFFLINE: v.rawText().optional(),
  EXO_AUTH_TOKEN: v.rawText().optional(),
  /** Of the ssh agent; only asked where something is to be signed. */
  SSH_AUTH_SOCK: v.rawText().optional(),
});

/** Values of the options, read but not yet held against each other. */
export type OptionValues = z.infer<typeof optionSchema>;

/** Something that the user should hear about a configuration that is used nevertheless. */
export interface ConfigNote {
  readonly level: 'debug' | 'info' | 'warn';
  readonly message: string;
}
