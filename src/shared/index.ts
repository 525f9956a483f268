/**
 * The ground floor: what every room stands on and nothing of the product itself. Imports nothing of ours.
 */
export { onceAborted, unlessAborted, untilAnyAborted } from './abort.js';
export {
  type Address,
  type AddressScope,
  addressScope,
  compareForDialling,
  formatAddress,
  hostRange,
  isIPv6,
  isLoopback,
  isPort,
  parseAddress,
} from './address.js';
export { type BackoffOptions, fullJitterMs } from './backoff.js';
export { BoundedMap } from './bounded-map.js';
export { type Clock, sleep, systemClock, type TimerHandle } from './clock.js';
export { closest } from './closest.js';
export { type Deadline, waitAtMost, withDeadline } from './deadline.js';
export {
  ERROR_CODES,
  type ErrorCode,
  ExoError,
  type ExoErrorOptions,
  isErrorCode,
  toExoError,
} from './errors.js';
export { type Startable, startAll, stopAll } from './lifecycle.js';
export { LIMITS } from './limits.js';
export {
  createLogger,
  type LogFields,
  type Logger,
  type LogLevel,
  type LogOptions,
  logLevelFromDebug,
  silentLogger,
} from './log.js';
export { type PortHolder, portHolder, tryListen } from './port-look.js';
export { type Random, randomInt, randomUuid, seededRandom, systemRandom } from './random.js';
export { SHED_REASONS, type ShedReason, Sheds } from './sheds.js';
export { idFault, isPrintable, PRINTABLE_PATTERN, printable, printableLines } from './text.js';
export { SourceLimiter, TokenBucket } from './token-bucket.js';
export { VirtualClock } from './virtual-clock.js';
