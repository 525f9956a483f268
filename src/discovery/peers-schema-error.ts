/** What ajv says about a peers.json, at its place in the text and in words for a person. Pure; peers-file.ts asks. */
import type { ErrorObject } from 'ajv';
import { type ExoError, LIMITS, printable } from '../shared/index.js';
import type { JsonDocument } from './json-with-comments.js';

/** The first broken rule, at its place in the text, in words. */
export function schemaError(document: JsonDocument, errors: readonly ErrorObject[]): ExoError {
  // A bad key is reported twice, by the rule that it breaks and by propertyNames; the latter names the key.
  const error = errors.find((one) => one.keyword === 'propertyNames') ?? errors[0];
  if (error === undefined) return document.error([], 'this is not a peers file');
  const path = error.instancePath
    .split('/')
    .slice(1)
    .map((part) => part.replace(/~1/g, '/').replace(/~0/g, '~'));
  // Indexes of lists are numbers to the tree; ids may be digits too and stay text.
  const steps = path.map((part, index) => (index >= 3 && /^\d+$/.test(part) ? Number(part) : part));
  const { words, key } = wordsFor(error);
  const place = path.length === 0 ? '' : `${nameOf(path)}: `;
  const more = errors.length > 1 ? ` (and more after it)` : '';
  return key === undefined
    ? document.error(steps, `${place}${words}${more}`)
    : document.errorAtKey([...steps, key], `${place}${words}${more}`);
}

function nameOf(path: readonly string[]): string {
  const [group, name, ...rest] = path;
  const of = rest.length === 0 ? '' : ` "${printable(rest.join('.'))}"`;
  if (group === 'peers' && name !== undefined) return `peer "${printable(name)}"${of}`;
  if (group === 'tunnels' && name !== undefined) return `tunnel "${printable(name)}"${of}`;
  return `"${printable(path.join('.'))}"`;
}

function wordsFor(error: ErrorObject): { words: string; key?: string } {
  const params = error.params as Record<string, unknown>;
  switch (error.keyword) {
    case 'required': {
      const missing = String(params['missingProperty']);
      const example: Record<string, string> = {
        peers: '"peers": {"mac2": {"address": "127.0.0.1:50052"}}',
        address: '"address": "127.0.0.1:50052"',
        ssh: '"ssh": "user@host"',
      };
      return { words: `"${missing}" is missing; write ${example[missing] ?? `"${missing}"`}` };
    }
    case 'type':
      return { words: `must be ${article(params['type'])}, not ${kindOf(error.data)}` };
    case 'enum':
      return { words: `must be one of ${JSON.stringify(params['allowedValues'])}` };
    case 'minimum':
    case 'maximum':
      return { words: `must be ${String(params['comparison'])} ${String(params['limit'])}` };
    case 'propertyNames': {
      const key = String(params['propertyName']);
      return {
        words: `the name "${printable(key)}" must have 1 to ${LIMITS.nodeIdCharsMax} printable characters`,
        key,
      };
    }
    case 'minLength':
      return { words: 'must not be empty' };
    case 'maxLength':
      return { words: `must not be longer than ${String(params['limit'])} characters` };
    default:
      return { words: error.message ?? 'is not allowed' };
  }
}

function article(type: unknown): string {
  const types = Array.isArray(type) ? type : [type];
  const words: Record<string, string> = {
    object: 'an object { }',
    array: 'a list [ ]',
    string: 'text in double quotes',
    integer: 'a whole number',
    number: 'a number',
    boolean: 'true or false',
  };
  return types.map((one) => words[String(one)] ?? String(one)).join(' or ');
}

function kindOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'an object';
  if (typeof value === 'string') return `the text "${printable(value, 40)}"`;
  return String(value);
}
