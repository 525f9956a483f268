/**
 * Writes JSON in the spelling of Python's `json.dumps`, so that base messages are byte-equal with the original's:
 * `", "` and `": "` between things, everything but printable ASCII escaped, floats with a point. Pure.
 */
import type { Json } from './messages.js';

/** A number that Python holds as a float: 1 is written `1.0`. */
export class PythonFloat {
  readonly value: number;
  constructor(value: number) {
    this.value = value;
  }
}

/** What can be written: JSON, and floats that must look like floats. Keys with an undefined value are left out. */
export type PythonJson =
  | Json
  | PythonFloat
  | readonly PythonJson[]
  | { readonly [key: string]: PythonJson | undefined };

/** The text of a value. Pure ASCII, so its length is its byte length. */
export function pythonJson(value: PythonJson): string {
  if (typeof value === 'string') return pythonString(value);
  if (typeof value === 'number') return Number.isInteger(value) ? integer(value) : float(value);
  if (value === null || typeof value === 'boolean') return String(value);
  if (value instanceof PythonFloat) return float(value.value);
  if (Array.isArray(value)) return `[${value.map(pythonJson).join(', ')}]`;
  const fields: string[] = [];
  for (const [key, field] of Object.entries(value)) {
    if (field !== undefined) fields.push(`${pythonString(key)}: ${pythonJson(field as PythonJson)}`);
  }
  return `{${fields.join(', ')}}`;
}

/** A string literal as Python writes it. */
export function pythonString(text: string): string {
  const plain = JSON.stringify(text);
  return PRINTABLE_ASCII.test(plain)
    ? plain
    : plain.replace(/[^ -~]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
const PRINTABLE_ASCII = /^[ -~]*$/;

function integer(value: number): string {
  return Object.is(value, -0) ? '0' : BigInt(value).toString();
}

/** Shortest digits that read back as the same double, with Python's choice between plain and exponent. */
function float(value: number): string {
  if (!Number.isFinite(value)) return 'null';
  const size = Math.abs(value);
  if (size !== 0 && (size >= 1e16 || size < 1e-4)) {
    return value.toExponential().replace(/e([+-])(\d)$/, 'e$10$2');
  }
  const text = Object.is(value, -0) ? '-0' : String(value);
  return text.includes('.') ? text : `${text}.0`;
}
