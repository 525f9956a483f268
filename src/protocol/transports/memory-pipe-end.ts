/** What is between two ends of a stream of the in-memory network knows them by this. Type only. */

/** One end of a stream, as its pipes see it (`memory-stream.ts`). */
export interface PipeEnd {
  readonly host: { readonly up: boolean; readonly frozen: boolean };
  readonly dead: boolean;
  readonly held: boolean;
  readonly paused: boolean;
  receive(chunk: Buffer): void;
  receiveEnd(): void;
  receiveReset(): void;
  taken(fin: boolean): void;
}
