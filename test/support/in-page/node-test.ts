/** node:test as golden tests use it, for a worker of a browser: tests are collected while files are imported, and run by `runTests`. */
interface Collected {
  readonly name: string;
  readonly skip: string | false;
  readonly run: () => unknown;
}

export interface Outcome {
  readonly name: string;
  /** null: it passed. */
  readonly problem: string | null;
  readonly milliseconds: number;
}

const collected: Collected[] = [];
const afterAll: (() => unknown)[] = [];
let group = '';

type Body = () => unknown;
type Options = { readonly skip?: string | boolean };

export function describe(name: string, body: Body | Options, more?: Body): void {
  const before = group;
  group = `${before}${name} › `;
  if (typeof body === 'function') body();
  else if (!body.skip) more!();
  group = before;
}

export function test(name: string, options: Options | Body, body?: Body): void {
  const run = typeof options === 'function' ? options : body!;
  const skip = typeof options === 'function' ? false : options.skip;
  collected.push({ name: group + name, skip: skip ? String(skip) : false, run });
}

export function after(hook: () => unknown): void {
  afterAll.push(hook);
}

/** Runs those whose names match, one after the other. */
export async function runTests(wanted: RegExp): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  for (const { name, skip, run } of collected) {
    if (skip !== false || !wanted.test(name)) continue;
    const begun = performance.now();
    let problem: string | null = null;
    try {
      await run();
    } catch (error) {
      problem = `${(error as Error).message}\n${(error as Error).stack}`;
    }
    outcomes.push({ name, problem, milliseconds: performance.now() - begun });
  }
  for (const hook of afterAll) await hook();
  return outcomes;
}
