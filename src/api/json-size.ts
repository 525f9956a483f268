/**
 * How many values a JSON text has and how deep they lie in each other, counted before it is parsed: a body of a few megabytes of
 * brackets keeps the parser, and who looks at what it has made, busy for seconds. Pure; not a check of the text. Called by `body.ts`.
 */

/** Deeper than the schemas that clients send in bodies. */
const DEPTH_MAX = 64;
/** A conversation of ten thousand messages has thirty thousand. A schema notes a fault for each that is wrong. */
const VALUES_MAX = 100_000;
/** Less cannot have too many, and is parsed in some milliseconds whatever it is. */
const SMALL_CHARS = 65_536;

const [QUOTE, BACKSLASH, COMMA] = [0x22, 0x5c, 0x2c];
const [LIST, LIST_END, OBJECT, OBJECT_END] = [0x5b, 0x5d, 0x7b, 0x7d];

/** What is too much of a text, in words; undefined where nothing is. */
export function jsonExcess(text: string): string | undefined {
  if (text.length <= SMALL_CHARS) return undefined;
  let depth = 0;
  let values = 1;
  for (let at = 0; at < text.length; at += 1) {
    switch (text.charCodeAt(at)) {
      case QUOTE:
        at = endOfString(text, at);
        break;
      case COMMA:
        values += 1;
        break;
      case LIST:
      case OBJECT:
        values += 1;
        depth += 1;
        break;
      case LIST_END:
      case OBJECT_END:
        depth -= 1;
        break;
    }
    if (depth > DEPTH_MAX) return `lists and objects in it lie deeper than ${DEPTH_MAX} in each other`;
    if (values > VALUES_MAX) return `it has more than ${VALUES_MAX} values`;
  }
  return undefined;
}

/** Of the quote that ends a string; the end of the text where none does. */
function endOfString(text: string, start: number): number {
  for (let at = start + 1; ; at += 1) {
    at = text.indexOf('"', at);
    if (at < 0) return text.length;
    let slashes = 0;
    while (text.charCodeAt(at - 1 - slashes) === BACKSLASH) slashes += 1;
    if (slashes % 2 === 0) return at;
  }
}
