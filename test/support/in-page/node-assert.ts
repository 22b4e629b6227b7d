/** node:assert/strict as golden tests use it, for a browser. */
export function ok(value: unknown, message = 'expected a true value'): asserts value {
  if (!value) throw new Error(message);
}

export function strictEqual(actual: unknown, expected: unknown, message = ''): void {
  if (!Object.is(actual, expected)) throw new Error(`${message}: got ${String(actual)}, expected ${String(expected)}`);
}

export function deepStrictEqual(actual: unknown, expected: unknown, message = ''): void {
  if (isSame(actual, expected)) return;
  throw new Error(`${message}: got ${JSON.stringify(actual)}, expected ${JSON.stringify(expected)}`);
}

export function match(text: string, pattern: RegExp): void {
  if (!pattern.test(text)) throw new Error(`${text} does not match ${pattern}`);
}

export function throws(run: () => unknown, kind: new (...words: never[]) => Error): void {
  try {
    run();
  } catch (error) {
    if (error instanceof kind) return;
    throw error;
  }
  throw new Error(`expected a ${kind.name}`);
}

function isSame(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  if (Object.getPrototypeOf(a) !== Object.getPrototypeOf(b)) return false;
  if (a instanceof Map && b instanceof Map) return isSame([...a], [...b]);
  const [keys, others] = [Object.keys(a), Object.keys(b)];
  return (
    keys.length === others.length &&
    keys.every((key) => Object.hasOwn(b, key) && isSame(a[key as keyof typeof a], b[key as keyof typeof b]))
  );
}
