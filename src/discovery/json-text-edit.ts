/**
 * Puts properties into a JSON text with comments and takes them out, touching nothing else: the text around keeps its
 * bytes, and what is new is indented as the file does it. jsonc-parser's own `modify` drops the comments beside what it
 * removes. Pure; offsets are those of a parsed tree of the same text.
 */
import { createScanner, type Node } from 'jsonc-parser';

/** The scanner's SyntaxKind, a const enum that does not exist at run time. */
const SCAN = { comma: 5, lineComment: 12, blockComment: 13, lineBreak: 14, trivia: 15 } as const;

const DEFAULT_INDENT = '  ';

/** The text with `"key": value` as the last property of the object. */
export function insertProperty(text: string, object: Node, key: string, value: unknown): string {
  const last = object.children?.at(-1);
  const closeAt = object.offset + object.length - 1;
  const inside = text.slice(object.offset + 1, closeAt);
  const style = styleOf(text);
  const isOneLine = style.isOneLine || (last !== undefined && !/[\r\n]/.test(inside));
  if (isOneLine) return insertInLine(text, last, closeAt, property(key, value, undefined));

  const indent =
    last === undefined ? lineIndent(text, object.offset) + style.indent : lineIndent(text, last.offset);
  const added = property(key, value, { ...style, base: indent });
  const closing = `${style.eol}${lineIndent(text, object.offset)}`;
  if (last === undefined) {
    const kept = inside.trimEnd();
    const head = text.slice(0, object.offset + 1) + kept;
    return `${head}${style.eol}${indent}${added}${closing}${text.slice(closeAt)}`;
  }
  const comma = commaAfter(text, last.offset + last.length);
  // Behind what follows on the line of the last property: a comment there is about that one.
  const lineEnd = endOfTriviaOnLine(text, comma === undefined ? last.offset + last.length : comma + 1);
  const head =
    comma === undefined
      ? `${text.slice(0, last.offset + last.length)},${text.slice(last.offset + last.length, lineEnd)}`
      : text.slice(0, lineEnd);
  const rest = text.slice(lineEnd);
  const body = `${head}${style.eol}${indent}${added}${comma === undefined ? '' : ','}`;
  // The closing brace may stand behind the last property: then it gets a line of its own.
  return /^[ \t]*[\r\n]/.test(rest) ? body + rest : `${body}${closing}${rest.trimStart()}`;
}

/** The text without the property; comments beside it stay. */
export function removeProperty(text: string, object: Node, gone: Node): string {
  const end = gone.offset + gone.length;
  const comma = commaAfter(text, end);
  const previous = object.children?.[object.children.indexOf(gone) - 1];
  let changed = cutLine(text, gone.offset, comma === undefined ? end : comma + 1);
  if (comma === undefined && previous !== undefined) {
    // It was the last one: the comma before it goes too, wherever a comment stands between.
    const before = commaAfter(text, previous.offset + previous.length);
    if (before !== undefined) changed = changed.slice(0, before) + changed.slice(before + 1);
  }
  const only = (object.children?.length ?? 0) === 1;
  return only ? closeEmpty(changed, object.offset) : changed;
}

/** The text with another value in the place of a node. */
export function replaceValue(text: string, node: Node, value: unknown): string {
  const style = styleOf(text);
  const old = text.slice(node.offset, node.offset + node.length);
  const isFlat = style.isOneLine || (node.type !== 'object' && !/[\r\n]/.test(old));
  const base = lineIndent(text, node.offset);
  const written = isFlat ? oneLine(value) : stringify(value, { ...style, base });
  return text.slice(0, node.offset) + written + text.slice(node.offset + node.length);
}

interface Style {
  readonly eol: string;
  readonly indent: string;
  readonly isOneLine: boolean;
}

function styleOf(text: string): Style {
  const trimmed = text.trim();
  return {
    eol: /\r\n/.test(text) ? '\r\n' : '\n',
    indent: /[\r\n]([ \t]+)"/.exec(text)?.[1] ?? DEFAULT_INDENT,
    isOneLine: !/[\r\n]/.test(trimmed),
  };
}

function property(
  key: string,
  value: unknown,
  style: (Style & { readonly base: string }) | undefined,
): string {
  const written = style === undefined ? oneLine(value) : stringify(value, style);
  return `${JSON.stringify(key)}: ${written}`;
}

/** Objects over several lines, lists in one: `"forward": ["50052:localhost:50051"]`, as the examples have it. */
function stringify(value: unknown, style: Style & { readonly base: string }): string {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return oneLine(value);
  const entries = Object.entries(value).filter(([, each]) => each !== undefined);
  if (entries.length === 0) return '{}';
  const inner = style.base + style.indent;
  const lines = entries.map(([key, each]) => inner + property(key, each, { ...style, base: inner }));
  return `{${style.eol}${lines.join(`,${style.eol}`)}${style.eol}${style.base}}`;
}

function oneLine(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(oneLine).join(', ')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const entries = Object.entries(value).filter(([, each]) => each !== undefined);
  const parts = entries.map(([key, each]) => `${JSON.stringify(key)}: ${oneLine(each)}`);
  return parts.length === 0 ? '{}' : `{ ${parts.join(', ')} }`;
}

function insertInLine(text: string, last: Node | undefined, closeAt: number, added: string): string {
  if (last === undefined) {
    const kept = text.slice(0, closeAt).trimEnd();
    return `${kept}${kept.endsWith('/') ? ' ' : ''}${added}${text.slice(closeAt)}`;
  }
  const end = last.offset + last.length;
  const comma = commaAfter(text, end);
  const at = comma === undefined ? end : comma + 1;
  const glue = comma === undefined ? ', ' : ' ';
  return `${text.slice(0, at)}${glue}${added}${comma === undefined ? '' : ','}${text.slice(at)}`;
}

/** Spaces and tabs at the beginning of the line. */
function lineIndent(text: string, offset: number): string {
  const start = Math.max(text.lastIndexOf('\n', offset - 1), text.lastIndexOf('\r', offset - 1)) + 1;
  return /^[ \t]*/.exec(text.slice(start, offset))![0];
}

/** Where the next comma is, behind spaces and comments; undefined where something else comes first. */
function commaAfter(text: string, offset: number): number | undefined {
  const scanner = createScanner(text, false);
  scanner.setPosition(offset);
  for (;;) {
    const kind: number = scanner.scan();
    if (kind === SCAN.comma) return scanner.getTokenOffset();
    if (!isTrivia(kind)) return undefined;
  }
}

/** The end of spaces and comments from `offset` on, before the line ends or something else begins. */
function endOfTriviaOnLine(text: string, offset: number): number {
  const scanner = createScanner(text, false);
  scanner.setPosition(offset);
  let end = offset;
  for (;;) {
    const kind: number = scanner.scan();
    if (kind === SCAN.lineBreak || !isTrivia(kind)) return end;
    // A comment over several lines belongs to what follows it.
    if (kind === SCAN.blockComment && /[\r\n]/.test(scanner.getTokenValue())) return end;
    if (kind !== SCAN.trivia) end = scanner.getTokenOffset() + scanner.getTokenLength();
  }
}

function isTrivia(kind: number): boolean {
  return kind >= SCAN.lineComment && kind <= SCAN.trivia;
}

/** Cuts a range, and with it its lines where nothing else stands on them. */
function cutLine(text: string, from: number, to: number): string {
  const indent = lineIndent(text, from);
  const lineStart = from - indent.length;
  const startsLine = lineStart === 0 || /[\r\n]/.test(text[lineStart - 1]!);
  const rest = /^[ \t]*(\r\n|\n|\r)/.exec(text.slice(to));
  if (startsLine && rest !== null) return text.slice(0, lineStart) + text.slice(to + rest[0].length);
  const spaces = /^[ \t]*/.exec(text.slice(to))![0].length;
  return startsLine
    ? text.slice(0, from) + text.slice(to + spaces)
    : text.slice(0, from).replace(/[ \t]+$/, '') + text.slice(to);
}

/** An object that has become empty is written as `{}` where nothing but white space is in it. */
function closeEmpty(text: string, open: number): string {
  return text.slice(0, open + 1) + text.slice(open + 1).replace(/^\s*\}/, '}');
}
