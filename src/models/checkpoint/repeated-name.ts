/**
 * Finds names that stand twice in one object of a JSON text. JSON.parse takes the last of them without a word, and two
 * programs that read the same file would then see different tensors. Pure.
 */

const PARTS = /"(?:\\.|[^"\\])*"|[{}[\]]/g;

/** The first such name; undefined where there is none. The text must be valid JSON. */
export function repeatedName(text: string): string | undefined {
  /** The names so far of every object that is open; undefined for a list. */
  const open: Array<Set<string> | undefined> = [];
  for (const { 0: part, index } of text.matchAll(PARTS)) {
    if (part === '{') open.push(new Set());
    else if (part === '[') open.push(undefined);
    else if (part === '}' || part === ']') open.pop();
    else {
      const names = open.at(-1);
      if (names === undefined || !isBeforeColon(text, index + part.length)) continue;
      const name = JSON.parse(part) as string;
      if (names.has(name)) return name;
      names.add(name);
    }
  }
  return undefined;
}

function isBeforeColon(text: string, from: number): boolean {
  let at = from;
  while (' \t\r\n'.includes(text[at] ?? 'x')) at += 1;
  return text[at] === ':';
}
