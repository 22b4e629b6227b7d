/** What a golden runner compares with: it notes how near the worst number came to its tolerance, and which fields were read. */
import { deepStrictEqual } from 'node:assert/strict';
import type { Floats } from '../../src/tensor/tensor.ts';
import { assertClose, MismatchError, relativeL2 } from './close.ts';

export interface Tolerance {
  readonly rtol?: number;
  readonly atol?: number;
}

export class Check {
  /** Cases inside one file; a runner of a folder leaves it alone. */
  cases = 0;
  compared = 0;
  /** The largest error as a share of its tolerance, and where it was. */
  worst = 0;
  at = '';
  private readonly title: string;

  constructor(title: string) {
    this.title = title;
  }

  /** |actual − expected| ≤ atol + rtol · |expected| everywhere. */
  close(what: string, actual: Floats | readonly number[], expected: Floats | readonly number[], tolerance: Tolerance) {
    assertClose(`${this.title} ${what}`, actual, expected, tolerance);
    const { rtol = 0, atol = 0 } = tolerance;
    for (let i = 0; i < expected.length; i++) {
      if (actual[i] === expected[i]) continue;
      this.note(Math.abs(actual[i]! - expected[i]!) / (atol + rtol * Math.abs(expected[i]!)), what);
    }
    this.compared++;
  }

  /** ‖actual − expected‖ / ‖expected‖ ≤ limit */
  closeByNorm(what: string, actual: Floats, expected: Floats, limit: number) {
    const lengths = actual.length === expected.length;
    const error = lengths ? relativeL2(actual, expected) : Number.NaN;
    if (!(error <= limit)) {
      const found = lengths ? `relative L2 error ${error}` : `${actual.length} values, expected ${expected.length}`;
      throw new MismatchError(`${this.title} ${what}: ${found}, limit ${limit}`);
    }
    this.note(error / limit, what);
    this.compared++;
  }

  exact(what: string, actual: unknown, expected: unknown) {
    deepStrictEqual(actual, expected, `${this.title} ${what}`);
    this.compared++;
  }

  private note(share: number, what: string): void {
    if (!(share > this.worst)) return;
    this.worst = share;
    this.at = `${what} of ${this.title}`;
  }
}

/**
 * A view of a golden case's facts that knows which were read, so that a runner cannot pass over an expectation: `unread` lists
 * the fields that nobody asked for. Lists of numbers count as one field; words for people are left out by name.
 */
export function watched<T extends object>(
  facts: T,
): { readonly facts: T; unread(ignored: readonly string[]): string[] } {
  const read = new Map<object, Set<string>>();
  const views = new Map<object, object>();
  const view = <V>(value: V): V => {
    if (typeof value !== 'object' || value === null || isPlainList(value)) return value;
    let proxy = views.get(value);
    if (!proxy) {
      const keys = new Set<string>();
      read.set(value, keys);
      proxy = new Proxy(value, {
        get(target, key, receiver) {
          if (typeof key === 'string') keys.add(key);
          return view(Reflect.get(target, key, receiver));
        },
      });
      views.set(value, proxy);
    }
    return proxy as V;
  };
  const unread = (value: unknown, path: string, ignored: readonly string[]): string[] => {
    if (typeof value !== 'object' || value === null || isPlainList(value)) return [];
    return Object.entries(value).flatMap(([key, part]) => {
      if (!Array.isArray(value) && ignored.includes(key)) return [];
      const name = Array.isArray(value) ? `${path}[${key}]` : `${path}${path && '.'}${key}`;
      return read.get(value)?.has(key) ? unread(part, name, ignored) : [name];
    });
  };
  return { facts: view(facts), unread: (ignored) => unread(facts, '', ignored) };
}

/** Numbers, words or rows of them: read as a whole. */
function isPlainList(value: object): boolean {
  return Array.isArray(value) && value.every((item) => typeof item !== 'object' || item === null || isPlainList(item));
}
