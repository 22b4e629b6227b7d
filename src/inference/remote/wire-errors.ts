/** Errors on their way out of a worker: what structured cloning would make a plain Error keeps its class, code and details. */
import { InvariantError } from '../../base/assert.ts';
import { ArgumentError, ConfigError, CriaError, FormatError, UnsupportedError, UsageError } from '../../base/errors.ts';

export interface WireError {
  readonly name: string;
  readonly message: string;
  readonly stack: string | undefined;
  /** The error's own fields: code, file, where, problems. */
  readonly fields: Readonly<Record<string, unknown>>;
}

const classes: Readonly<Record<string, { readonly prototype: Error }>> = {
  CriaError,
  FormatError,
  ConfigError,
  ArgumentError,
  UsageError,
  UnsupportedError,
  InvariantError,
  RangeError,
  TypeError,
};

export function encodeError(error: unknown): WireError {
  if (!(error instanceof Error)) return { name: 'Error', message: String(error), stack: undefined, fields: {} };
  const fields: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(error)) {
    const plain = typeof value === 'string' || typeof value === 'number' || isTexts(value);
    if (plain && key !== 'name' && key !== 'message' && key !== 'stack') fields[key] = value;
  }
  return { name: error.name, message: error.message, stack: error.stack, fields };
}

export function decodeError({ name, message, stack, fields }: WireError): Error {
  const error = new Error(message);
  const known = Object.hasOwn(classes, name) ? classes[name] : undefined;
  if (known) Object.setPrototypeOf(error, known.prototype);
  Object.defineProperty(error, 'name', { value: name, configurable: true, writable: true, enumerable: false });
  if (stack !== undefined) error.stack = stack;
  return Object.assign(error, fields);
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string');
}
