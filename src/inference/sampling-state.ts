/**
 * How the temperature of a request reaches the node that samples: in `inference_state`, which every node (old ones too)
 * passes on as it is. Absent when the request names none, so that such a request looks as the original's. Pure.
 */
import type { JsonObject } from '../protocol/index.js';
import type { SamplingOptions } from './engine.js';

/** OpenAI's own bound. */
const TEMPERATURE_MAX = 2;

/** The state that carries a temperature. */
export function samplingState(temperature: number | undefined): JsonObject | null {
  return temperature === undefined ? null : { temperature };
}

/** How to sample by a state from the wire; the default where it says nothing usable. */
export function samplingOf(state: JsonObject | null, defaultTemperature: number): SamplingOptions {
  const value = state?.['temperature'];
  const usable = typeof value === 'number' && value >= 0 && value <= TEMPERATURE_MAX;
  return { temperature: usable ? value : defaultTemperature };
}
