/** Bodies from the network: JSON, then a zod schema; refused with every problem at once, in OpenAI's shape. */
import type { z } from 'zod';
import { nearestNames } from '../../base/nearest.ts';
import { ApiError } from '../api-error.ts';
import { refusedFields } from './fields.ts';

/** No request needs more, and everything that walks over a body is safe then. */
const DEEPEST = 128;
/** Faults of one request that are told, and letters of a name that is one. */
const MOST_PROBLEMS = 16;
const LONGEST_NAME = 256;

function isDeep(text: string): boolean {
  let depth = 0;
  let quoted = false;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === 0x22) quoted = !quoted;
    else if (quoted) i += code === 0x5c ? 1 : 0;
    else if (code === 0x5b || code === 0x7b) {
      if (++depth > DEEPEST) return true;
    } else if (code === 0x5d || code === 0x7d) depth--;
  }
  return false;
}

/** Throws ApiError 400 `invalid_json`. */
export function readText(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new ApiError(400, 'invalid_json', 'the body is not UTF-8.', { cause });
  }
}

/** Throws ApiError 400 `invalid_json`. */
export function parseJson(text: string): unknown {
  if (isDeep(text)) throw new ApiError(400, 'invalid_json', `the body is nested deeper than ${DEEPEST} levels.`);
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new ApiError(400, 'invalid_json', `the body is not JSON: ${(cause as Error).message}`, { cause });
  }
}

/** Throws ApiError 400 `unknown_parameter`, `invalid_type`, `missing_required_parameter`, `invalid_value`. */
export function parseBody<Schema extends z.ZodObject | z.ZodArray>(schema: Schema, body: unknown): z.infer<Schema> {
  const parsed = schema.safeParse(withoutNulls(body, schema), { reportInput: true });
  if (parsed.success) return parsed.data as z.infer<Schema>;
  const known = 'shape' in schema ? Object.keys(schema.shape) : [];
  const problems = parsed.error.issues.slice(0, MOST_PROBLEMS).flatMap((issue) => problemsOf(issue, known));
  const [{ code, param }] = problems as [Problem];
  const told = problems.slice(0, MOST_PROBLEMS).map(({ text }) => text);
  const message = [...told, ...(problems.length > told.length ? ['and more'] : [])].join('; ');
  throw new ApiError(400, code, `${message}.`, param === '' ? {} : { param });
}

/** null means absent: also where a client writes down every parameter that it knows and we do not. */
function withoutNulls(body: unknown, schema: z.ZodObject | z.ZodArray): unknown {
  if (typeof body !== 'object' || body === null || Array.isArray(body) || !('shape' in schema)) return body;
  const given = Object.entries(body);
  const kept = given.filter(([key, value]) => value !== null || Object.hasOwn(schema.shape, key));
  return kept.length === given.length ? body : Object.fromEntries(kept);
}

interface Problem {
  readonly code: string;
  readonly param: string;
  readonly text: string;
}

type Issue = z.core.$ZodIssue;

function problemsOf(issue: Issue, known: readonly string[]): Problem[] {
  const param = issue.path.join('.');
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.slice(0, MOST_PROBLEMS + 1).map((given) => {
      const key = given.slice(0, LONGEST_NAME);
      const instead = issue.path.length === 0 ? refusedFields[key] : undefined;
      if (instead !== undefined) {
        return {
          code: 'unsupported_parameter',
          param: key,
          text: `${key} is refused, as it would change the text: ${instead}`,
        };
      }
      const near = issue.path.length === 0 ? nearestNames(key, known, 1) : [];
      const hint = near.length > 0 ? ` (did you mean ${near[0]}?)` : '';
      const name = [...issue.path, key].join('.');
      return { code: 'unknown_parameter', param: name, text: `${name} is not supported here${hint}` };
    });
  }
  if (issue.code === 'invalid_union') return problemsOf(inUnion(issue), known);
  const where = param === '' ? 'the body' : param;
  if (issue.code === 'invalid_type' && issue.input === undefined) {
    return [{ code: 'missing_required_parameter', param, text: `${where} is missing, expected ${issue.expected}` }];
  }
  const code = issue.code === 'invalid_type' ? 'invalid_type' : 'invalid_value';
  return [{ code, param, text: `${where}: ${lowerFirst(issue.message)}${found(issue.input)}` }];
}

/** What to say of a value that is none of several kinds: the first fault inside of it, else the kinds. */
function inUnion({ errors, path, input, ...rest }: z.core.$ZodIssueInvalidUnion): Issue {
  // Of a union told apart by one field: its own words, or the values that the field may have, which zod gives and its types do not say.
  const { options } = rest as { options?: readonly unknown[] };
  if (options) {
    const words = options.map((option) => JSON.stringify(option)).join(' or ');
    const isOwn = !/^invalid/i.test(rest.message);
    return { code: 'custom', path, input, message: isOwn ? rest.message : `expected ${words}` };
  }
  const inner = errors.flat();
  const first = inner.find((one) => one.path.length > 0 || one.code === 'unrecognized_keys');
  if (first?.code === 'invalid_value') {
    const at = first.path.join('.');
    const values = inner.flatMap((one) =>
      one.code === 'invalid_value' && one.path.join('.') === at ? one.values : [],
    );
    const message = `expected ${[...new Set(values)].map((value) => JSON.stringify(value)).join(' or ')}`;
    return { ...first, values, message, path: [...path, ...first.path] };
  }
  if (first) return { ...first, path: [...path, ...first.path] };
  const kinds = new Set(inner.flatMap((one) => (one.code === 'invalid_type' ? [one.expected] : [])));
  const expected = [...kinds].join(' or ') as 'string'; // read as a word alone
  if (kinds.size === 0) return { code: 'custom', path, input, message: 'expected another value' };
  return { code: 'invalid_type', expected, path, input, message: `expected ${expected}` };
}

function found(input: unknown): string {
  const plain = typeof input === 'number' || typeof input === 'boolean' || input === null;
  return plain ? `, found ${String(input)}` : '';
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}
