/** The events of a stream of server-sent events that a node answers with. */
import { createParser } from 'eventsource-parser';
import { LIMITS } from '../shared/index.js';

/** The `data:` values in order, however the bytes were cut. `onBytes` is called for each part that comes, comments too. */
export async function* events(
  response: AsyncIterable<Buffer>,
  onBytes: () => void = () => undefined,
): AsyncGenerator<{ readonly data: string }> {
  const ready: Array<{ readonly data: string }> = [];
  const parser = createParser({
    onEvent: ({ data }) => ready.push({ data }),
    maxBufferSize: LIMITS.eventCharsMax,
  });
  const decoder = new TextDecoder();
  for await (const bytes of response) {
    onBytes();
    parser.feed(decoder.decode(bytes, { stream: true }));
    yield* ready.splice(0);
  }
}
