/**
 * Templates of tasks: Jinja as the lm-evaluation-harness sets it up. A column that a document lacks is an error, the last line break
 * stays, blocks keep the space around them, and there is one filter more, `regex_replace`.
 *
 * A template that names a column is that column, whatever its type; one that is a single `{{ … }}` gives the value, not its text.
 */
import { ArgumentError } from '../../base/errors.ts';
import {
  BoundedInterpreter,
  JinjaScope,
  jinja,
  type Node,
  type Program,
  renderLimits,
  type Scope,
  type Value,
} from '../../tokenizer/chat/bounded-interpreter.ts';
import { replaceAll } from '../python/regex.ts';
import { capitalize, strip } from '../python/text.ts';

/** A row of a data set. */
export type Doc = Readonly<Record<string, unknown>>;

/** Methods of Python's that the Jinja library lacks or does otherwise. `self` and the arguments are plain values. */
const methods: Readonly<Record<string, (self: unknown, args: readonly unknown[]) => unknown>> = {
  index: (self, [member]) => {
    const place = Array.isArray(self) ? self.indexOf(member) : String(self).indexOf(String(member));
    if (place < 0) throw new Error(`${JSON.stringify(member)} is not in ${JSON.stringify(self)?.slice(0, 200)}`);
    return place;
  },
  capitalize: (self) => capitalize(String(self)),
  strip: (self, [marks]) => (typeof marks === 'string' ? stripMarks(String(self), marks) : strip(String(self))),
};

const filters: Readonly<Record<string, (self: unknown, args: readonly unknown[]) => unknown>> = {
  regex_replace: (self, [pattern, replacement = '']) => replaceAll(String(pattern), String(replacement), String(self)),
};

function stripMarks(text: string, marks: string): string {
  let from = 0;
  let to = text.length;
  while (from < to && marks.includes(text[from]!)) from++;
  while (to > from && marks.includes(text[to - 1]!)) to--;
  return text.slice(from, to);
}

interface CallNode extends Node {
  readonly callee: Node & {
    readonly object?: Node;
    readonly property?: { readonly value?: string };
    readonly computed?: boolean;
  };
  readonly args: readonly Node[];
}
interface FilterNode extends Node {
  readonly operand: Node;
  readonly filter: Node & {
    readonly value?: string;
    readonly callee?: { readonly value?: string };
    readonly args?: readonly Node[];
  };
}

class TaskInterpreter extends BoundedInterpreter {
  /** Inside of `is defined`. */
  private asking = 0;

  override evaluate(node: Node | undefined, scope: Scope): Value {
    switch (node?.type) {
      case 'TestExpression': {
        this.asking++;
        try {
          return super.evaluate(node, scope);
        } finally {
          this.asking--;
        }
      }
      case 'CallExpression': {
        const { callee, args } = node as CallNode;
        const method = callee.type === 'MemberExpression' && !callee.computed && methods[callee.property?.value ?? ''];
        return method ? this.extra(method, callee.object!, args, scope) : super.evaluate(node, scope);
      }
      case 'FilterExpression': {
        const { operand, filter } = node as FilterNode;
        const extra = filters[filter.callee?.value ?? filter.value ?? ''];
        return extra ? this.extra(extra, operand, filter.args ?? [], scope) : super.evaluate(node, scope);
      }
      case 'Identifier':
      case 'MemberExpression': {
        const value = super.evaluate(node, scope);
        if (value.type === 'UndefinedValue' && this.asking === 0) throw new Error(`${nameOf(node)} is not there`);
        return value;
      }
      default:
        return super.evaluate(node, scope);
    }
  }

  private extra(
    run: (self: unknown, args: readonly unknown[]) => unknown,
    self: Node,
    args: readonly Node[],
    scope: Scope,
  ): Value {
    const plain = (part: Node) => plainValue(this.evaluate(part, scope));
    const result = run(plain(self), args.map(plain));
    return super.evaluate(
      { type: typeof result === 'number' ? 'IntegerLiteral' : 'StringLiteral', value: result } as Node,
      scope,
    );
  }
}

function nameOf(node: Node): string {
  const { value, object, property } = node as { value?: unknown; object?: Node; property?: Node } & Node;
  return object && property ? `${nameOf(object)}.${nameOf(property)}` : String(value ?? node.type);
}

function plainValue({ type, value }: Value): unknown {
  if (type === 'ArrayValue' || type === 'TupleValue') return (value as Value[]).map(plainValue);
  if (type === 'ObjectValue') {
    return Object.fromEntries([...(value as Map<string, Value>)].map(([key, inner]) => [key, plainValue(inner)]));
  }
  return type === 'UndefinedValue' ? undefined : value;
}

const parsed = new Map<string, Program>();

/** The value of a template for a document. Throws ArgumentError `eval.template`, naming the key of the task. */
export function renderValue(key: string, template: string, doc: Doc): unknown {
  if (Object.hasOwn(doc, template)) return doc[template];
  if (!/\{[{%#]/.test(template)) return template;
  try {
    let program = parsed.get(template);
    if (!program) {
      // The library takes one line break from the end.
      program = jinja.parse(jinja.tokenize(template.endsWith('\n') ? `${template}\n` : template, {}));
      parsed.set(template, program);
    }
    const scope = new JinjaScope();
    for (const [name, value] of Object.entries({ True: true, False: false, None: null, ...doc })) {
      if (value !== undefined) scope.set(name, value);
    }
    const interpreter = new TaskInterpreter(scope, renderLimits);
    const [only, ...others] = program.body;
    if (only !== undefined && others.length === 0 && isExpression(only))
      return plainValue(interpreter.evaluate(only, scope));
    return String(interpreter.run(program).value);
  } catch (error) {
    const columns = Object.keys(doc).join(', ');
    throw new ArgumentError(
      'eval.template',
      `${key}: expected a template that this document fills in, found: ${(error as Error).message.replace(/^chat template: /, '')}. ` +
        `The document has ${columns.slice(0, 300)}; the template is ${JSON.stringify(template.slice(0, 200))}.`,
    );
  }
}

const statements = ['Set', 'If', 'For', 'Macro', 'CallStatement', 'FilterStatement', 'Comment', 'StringLiteral'];
const isExpression = (node: Node) => !statements.includes(node.type);

/** The text of a template; a value that is no text is written as JSON. */
export function renderText(key: string, template: string, doc: Doc): string {
  const value = renderValue(key, template, doc);
  return typeof value === 'string' ? value : typeof value === 'object' ? JSON.stringify(value) : String(value);
}
