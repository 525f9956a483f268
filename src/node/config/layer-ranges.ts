/**
 * `--layers` of a node and of `exo verify`: which nodes hold which layers, as `ID=0-11,ID=12-23`. Pure. Whether they fit a model is
 * seen when one is asked for.
 */
import { type PlacedRange, ringFault } from '../../inference/index.js';
import { LIMITS, printable } from '../../shared/index.js';
import { nodeIdFault } from '../home/index.js';

/** The ranges in the order given. Throws an `Error` whose message says what is wrong. */
export function parseLayerRanges(text: string): readonly PlacedRange[] {
  const ranges = text.split(',').map((item) => {
    const [, id, start, end] = /^\s*(.*\S)\s*=\s*(\d{1,6})\s*-\s*(\d{1,6})\s*$/.exec(item) ?? [];
    const quoted = `"${printable(item.trim(), LIMITS.quotedCharsMax)}"`;
    if (id === undefined || nodeIdFault(id) !== undefined)
      throw new Error(`${quoted} is not a node and its layers; write for example n1=0-11,n2=12-23`);
    const range = { nodeId: id, startLayer: Number(start), endLayer: Number(end) };
    if (range.startLayer <= range.endLayer) return range;
    throw new Error(`${quoted} ends before it begins`);
  });
  // Whatever the model: with its last layer where the ranges end, they must make a ring.
  const fault = ringFault(ranges, { id: '', layers: ranges.at(-1)!.endLayer + 1 });
  if (fault === undefined) return ranges;
  throw new Error(`${fault}; ranges follow each other from layer 0 to the last one of the model`);
}
