/**
 * Jinja that ends. The templates come with model files, so they are not trusted: @huggingface/jinja has no loops without an
 * end, but nested loops, doubling strings and recursion can run for ever or fill memory. Every node of the template that is
 * evaluated costs one step and more for large values; a spent budget or an oversized value ends rendering with an error.
 */
import { Environment, Interpreter, parse, tokenize } from '@huggingface/jinja';
import { ArgumentError } from '../../base/errors.ts';
import { strftime } from './strftime.ts';

export interface RenderLimits {
  /** Evaluated nodes and looped-over items. */
  readonly steps: number;
  /** UTF-16 units of any string, the result included. */
  readonly textLength: number;
  readonly listLength: number;
}

export const renderLimits: RenderLimits = { steps: 1_000_000, textLength: 1 << 24, listLength: 1 << 16 };

const MAX_TEMPLATE_LENGTH = 1 << 18;
/** The library's preprocessing takes quadratic time in the length of a run of white space. */
const MAX_SPACE_RUN = 2000;

/** What this file needs of the library, whose own declarations do not resolve under Node's module rules. */
export interface Node {
  readonly type: string;
}
export interface Value {
  readonly type: string;
  readonly value: unknown;
}
export interface Scope {
  set(name: string, value: unknown): unknown;
}
interface Evaluator {
  evaluate(node: Node | undefined, environment: Scope): Value;
  run(program: Program): Value;
}
export const JinjaScope = Environment as unknown as new () => Scope;
const JinjaInterpreter = Interpreter as unknown as new (environment: Scope) => Evaluator;
export const jinja = { tokenize, parse } as unknown as {
  tokenize(source: string, options: { lstrip_blocks?: boolean; trim_blocks?: boolean }): readonly unknown[];
  parse(tokens: readonly unknown[]): Program;
};

/** A parsed template. */
export interface Program extends Node {
  readonly body: readonly Node[];
}

export class BoundedInterpreter extends JinjaInterpreter {
  private readonly limits: RenderLimits;
  private readonly looped = new WeakSet<object>();
  private steps = 0;

  constructor(environment: Scope, limits: RenderLimits) {
    super(environment);
    this.limits = limits;
  }

  override evaluate(node: Node | undefined, environment: Scope): Value {
    this.spend(1);
    if (node !== undefined && node.type === 'For') this.noteIterable(node);
    const value = super.evaluate(node, environment);
    const size = sizeOf(value);
    if (size > 0) {
      const isText = value.type === 'StringValue';
      const limit = isText ? this.limits.textLength : this.limits.listLength;
      if (!(size <= limit)) throw tooMuch(`a ${isText ? 'text' : 'list'} of at most ${limit}`, `one of ${size}`);
      this.spend(node !== undefined && this.looped.has(node) ? size : size >> (isText ? 8 : 4));
    }
    return value;
  }

  private spend(steps: number): void {
    this.steps += steps;
    if (!(this.steps <= this.limits.steps)) throw tooMuch(`an end within ${this.limits.steps} steps`, 'none');
  }

  /** What a loop runs over costs its full length, also when the loop's body is empty. */
  private noteIterable(loop: object): void {
    const { iterable } = loop as { iterable: { type: string; lhs?: object } };
    this.looped.add(iterable.type === 'SelectExpression' && iterable.lhs !== undefined ? iterable.lhs : iterable);
  }
}

function sizeOf(value: Value): number {
  if (value.type === 'StringValue' || value.type === 'ArrayValue') return (value.value as { length: number }).length;
  return value.type === 'ObjectValue' ? (value.value as Map<string, unknown>).size : 0;
}

function tooMuch(expected: string, found: string): ArgumentError {
  return new ArgumentError(
    'chat.template-limit',
    `chat template: expected ${expected}, found ${found}. The template is hostile or broken, or the conversation is far too long.`,
  );
}

/** A template's syntax tree, with transformers' settings: trim_blocks, lstrip_blocks, loop controls. */
export function parseTemplate(source: string): Program {
  if (!(source.length <= MAX_TEMPLATE_LENGTH)) {
    throw tooMuch(`a template of at most ${MAX_TEMPLATE_LENGTH} characters`, `one of ${source.length}`);
  }
  if (new RegExp(`\\s{${MAX_SPACE_RUN}}`).test(source)) {
    throw tooMuch(`fewer than ${MAX_SPACE_RUN} spaces in a row in the template`, 'more');
  }
  return explained('cannot be read', () =>
    jinja.parse(jinja.tokenize(source, { lstrip_blocks: true, trim_blocks: true })),
  );
}

/** Runs a template. `now` is the clock of strftime_now, which is not there without one. */
export function runTemplate(
  program: Program,
  context: Readonly<Record<string, unknown>>,
  now: (() => Date) | undefined,
  limits = renderLimits,
): string {
  const environment = new JinjaScope();
  const globals: Record<string, unknown> = {
    true: true,
    True: true,
    false: false,
    False: false,
    none: null,
    None: null,
    raise_exception: (message: unknown) => {
      throw new ArgumentError(
        'chat.template-refuses',
        `chat template: it refuses this conversation: ${String(message)}. Change the messages or their order, or choose another template.`,
      );
    },
    ...(now === undefined ? {} : { strftime_now: (format: unknown) => strftime(now(), String(format)) }),
    range: (start: number, stop?: number, step?: number) => boundedRange(start, stop, step, limits),
  };
  const variables = { ...globals, ...context };
  return explained('failed', () => {
    for (const [name, value] of Object.entries(variables)) environment.set(name, value);
    return String(new BoundedInterpreter(environment, limits).run(program).value);
  });
}

function boundedRange(
  start: number,
  stop: number | undefined,
  step: number | undefined,
  limits: RenderLimits,
): number[] {
  const [from, to] = stop === undefined ? [0, start] : [start, stop];
  const by = step ?? 1;
  const count = Math.max(0, Math.ceil((to - from) / by));
  if (!(count <= limits.listLength)) throw tooMuch(`a range of at most ${limits.listLength}`, `one of ${count}`);
  return Array.from({ length: count }, (_, i) => from + i * by);
}

/** Our own errors as they are; the library's, and a stack that overflows, as one that says where they come from. */
function explained<T>(what: string, run: () => T): T {
  try {
    return run();
  } catch (error) {
    if (error instanceof ArgumentError) throw error;
    const message = error instanceof Error ? error.message : String(error);
    throw new ArgumentError(
      'chat.template-failed',
      `chat template: it ${what}: ${message}. Choose a built-in template by name, or mend this one.`,
    );
  }
}
