/**
 * JSON with comments and trailing commas, read into values that know where they stand. Errors name file, line
 * and column. Not a schema check; peers-file.ts is the caller.
 */
import {
  createScanner,
  findNodeAtLocation,
  getNodeValue,
  type Node,
  type ParseError,
  parseTree,
  printParseErrorCode,
} from 'jsonc-parser';
import { type ErrorCode, ExoError, LIMITS, printable } from '../shared/index.js';

/** The scanner's SyntaxKind, a const enum that does not exist at run time. */
const SCAN = { openBrace: 1, closeBrace: 2, openBracket: 3, closeBracket: 4, end: 17 } as const;

/** A place in a text, both from 1. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

/** A parsed text; paths are keys and indexes from the root. */
export class JsonDocument {
  readonly #text: string;
  readonly #file: string;
  readonly #code: ErrorCode;
  readonly #root: Node;

  /** Throws `code` for anything that is not JSON (with comments), naming file, line, column and what is wrong. */
  constructor(text: string, file: string, code: ErrorCode) {
    // A byte order mark, as some Windows editors write it, is not part of the JSON.
    this.#text = text.replace(/^\ufeff/, ' ');
    this.#file = file;
    this.#code = code;
    if (this.#text.trim() === '') {
      throw this.#errorAtOffset(0, 'the file is empty; write {"peers": {}} at least');
    }
    this.#checkDepth();
    const errors: ParseError[] = [];
    const root = parseTree(this.#text, errors, { allowTrailingComma: true, disallowComments: false });
    const first = errors[0];
    if (first !== undefined) throw this.#errorAtOffset(first.offset, wordsFor(first, this.#text));
    if (root === undefined)
      throw this.#errorAtOffset(0, 'there is nothing but comments; write {"peers": {}}');
    this.#root = root;
    this.#checkNames(root);
  }

  /** The plain value. */
  value(): unknown {
    return getNodeValue(this.#root);
  }

  /** An error at a path; the nearest parent that exists stands in for what is missing. */
  error(path: ReadonlyArray<string | number>, reason: string): ExoError {
    return this.#errorAtOffset(this.#nodeAt(path).offset, reason);
  }

  /** An error at the key (not the value) that the path ends with. */
  errorAtKey(path: ReadonlyArray<string | number>, reason: string): ExoError {
    const node = this.#nodeAt(path);
    const key = node.parent?.type === 'property' ? node.parent.children?.[0] : undefined;
    return this.#errorAtOffset((key ?? node).offset, reason);
  }

  /**
   * The first key that occurs twice in one object, where `matters` says that it does (path of the object, key):
   * an error at the repetition that names the line of the first. Undefined when there is none.
   */
  repetition(matters: (path: readonly string[], key: string) => boolean): ExoError | undefined {
    return this.#repetitionIn(this.#root, [], matters);
  }

  #nodeAt(path: ReadonlyArray<string | number>): Node {
    for (let length = path.length; length > 0; length -= 1) {
      const node = findNodeAtLocation(this.#root, path.slice(0, length));
      if (node !== undefined) return node;
    }
    return this.#root;
  }

  #errorAtOffset(offset: number, reason: string): ExoError {
    const { line, column } = this.#position(offset);
    return new ExoError(this.#code, `${this.#file}:${line}:${column}: ${reason}`);
  }

  #repetitionIn(
    node: Node,
    path: readonly string[],
    matters: (path: readonly string[], key: string) => boolean,
  ): ExoError | undefined {
    if (node.type !== 'object') return undefined;
    const offsets = new Map<string, number>();
    for (const property of node.children ?? []) {
      const [name, value] = property.children ?? [];
      const key = String(name?.value);
      const first = offsets.get(key);
      if (first !== undefined && matters(path, key)) {
        const line = this.#position(first).line;
        return this.#errorAtOffset(
          property.offset,
          `"${printable(key)}" is already there in line ${line}; remove one of the two`,
        );
      }
      offsets.set(key, property.offset);
      const inside = value === undefined ? undefined : this.#repetitionIn(value, [...path, key], matters);
      if (inside !== undefined) return inside;
    }
    return undefined;
  }

  #position(offset: number): Position {
    const before = this.#text.slice(0, offset).split(/\r\n|\n|\r/);
    return { line: before.length, column: (before.at(-1)?.length ?? 0) + 1 };
  }

  /** The parser calls itself for every level; a text of a million brackets must not exhaust the stack. */
  #checkDepth(): void {
    const scanner = createScanner(this.#text, true);
    let depth = 0;
    let kind: number = scanner.scan();
    for (; kind !== SCAN.end; kind = scanner.scan()) {
      if (kind === SCAN.openBrace || kind === SCAN.openBracket) depth += 1;
      else if (kind === SCAN.closeBrace || kind === SCAN.closeBracket) depth -= 1;
      if (depth > LIMITS.jsonDepthMax) {
        throw this.#errorAtOffset(
          scanner.getTokenOffset(),
          `nested deeper than ${LIMITS.jsonDepthMax} levels; peers.json needs six`,
        );
      }
    }
  }

  /** `__proto__` is a name that a plain object further on cannot hold: it would change the object instead. */
  #checkNames(node: Node): void {
    if (node.type === 'property' && node.children?.[0]?.value === '__proto__') {
      throw this.#errorAtOffset(node.offset, '"__proto__" cannot be used as a name; choose another');
    }
    for (const child of node.children ?? []) this.#checkNames(child);
  }
}

/** What a syntax error means for a person, by the parser's name for it. */
const SYNTAX: Readonly<Record<string, string>> = {
  InvalidSymbol: 'this is not JSON; names and text stand in double quotes',
  InvalidNumberFormat: 'this is not a number',
  PropertyNameExpected: 'a name in double quotes is expected here',
  ValueExpected: 'a value is expected here',
  ColonExpected: 'a colon is missing between name and value',
  CommaExpected: 'a comma is missing before this',
  CloseBraceExpected: 'a closing brace } is missing',
  CloseBracketExpected: 'a closing bracket ] is missing',
  EndOfFileExpected: 'the JSON has ended before this; remove what follows',
  InvalidCommentToken: 'this comment is not complete',
  UnexpectedEndOfComment: 'a comment that begins with /* is not closed with */',
  UnexpectedEndOfString: 'this text has no closing double quote on its line',
  UnexpectedEndOfNumber: 'this number is not complete',
  InvalidUnicode: 'this \\u escape needs four hexadecimal digits',
  InvalidEscapeCharacter: 'this escape is not known; a backslash itself is written \\\\',
  InvalidCharacter: 'a control character stands in the text; write \\n or \\t',
};

function wordsFor(error: ParseError, text: string): string {
  const words = SYNTAX[printParseErrorCode(error.error)] ?? 'this is not JSON';
  const found = text.slice(error.offset, error.offset + Math.min(error.length, 20));
  return found.trim() === '' ? words : `${words} (found ${printable(found)})`;
}
