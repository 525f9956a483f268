/**
 * Log lines are events: a stable name and fields, written by pino (the only place that knows pino).
 * What a peer said goes into fields, never into the event name, and is escaped before it reaches a terminal.
 */
import { printable } from './text.js';

/** Fields of one event. Strings are escaped and cut; errors are reduced to code and message. */
export type LogFields = Readonly<Record<string, unknown>>;

/** Where a part of the program tells what happened. `event` is a stable kebab-case name. */
export interface Logger {
  debug(event: string, fields?: LogFields): void;
  info(event: string, fields?: LogFields): void;
  warn(event: string, fields?: LogFields): void;
  error(event: string, fields?: LogFields): void;
  /** The same log with fields that every line carries. */
  child(fields: LogFields): Logger;
}

/** Levels from silent to everything. */
export type LogLevel = 'silent' | 'error' | 'warn' | 'info' | 'debug' | 'trace';

/** How to log. */
export interface LogOptions {
  readonly level: LogLevel;
  /** `pretty` for people, `json` for machines. */
  readonly format: 'pretty' | 'json';
  /** Colours in pretty lines. */
  readonly colour: boolean;
  /** File descriptor to write to. @default 2 */
  readonly fd?: number;
}

/**
 * A logger that writes to a file descriptor, by default stderr (stdout belongs to answers). Its packages are loaded with the first
 * one: commands that only ask a running node never make any.
 */
export async function createLogger(options: LogOptions): Promise<Logger> {
  // CommonJS, which has a default in every bundle, and names only where Node looks into it.
  const { default: pino } = await import('pino');
  const fd = options.fd ?? 2;
  const destination =
    options.format === 'pretty'
      ? (await import('pino-pretty')).default({
          colorize: options.colour,
          destination: fd,
          sync: true,
          ignore: 'pid,hostname',
          translateTime: 'SYS:HH:MM:ss.l',
        })
      : pino.destination({ fd, sync: true });
  return wrap(pino({ level: options.level, base: null }, destination));
}

/** A logger that says nothing. */
export const silentLogger: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => silentLogger,
};

/** The original's `DEBUG` levels (0 to 9) as ours: 0 info, 1 to 4 debug, 5 and above trace. */
export function logLevelFromDebug(debug: number): LogLevel {
  if (debug <= 0) return 'info';
  return debug < 5 ? 'debug' : 'trace';
}

interface PinoLike {
  debug(fields: object, event: string): void;
  info(fields: object, event: string): void;
  warn(fields: object, event: string): void;
  error(fields: object, event: string): void;
  child(fields: object): PinoLike;
}

function wrap(log: PinoLike): Logger {
  return {
    debug: (event, fields) => log.debug(clean(fields), event),
    info: (event, fields) => log.info(clean(fields), event),
    warn: (event, fields) => log.warn(clean(fields), event),
    error: (event, fields) => log.error(clean(fields), event),
    child: (fields) => wrap(log.child(clean(fields))),
  };
}

function clean(fields: LogFields | undefined): object {
  if (fields === undefined) return {};
  const out: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(fields)) {
    if (typeof value === 'string') out[key] = printable(value, 500);
    else if (value instanceof Error) {
      const code = (value as { code?: unknown }).code;
      out[key] = printable(`${typeof code === 'string' ? `${code}: ` : ''}${value.message}`, 500);
    } else out[key] = value;
  }
  return out;
}
