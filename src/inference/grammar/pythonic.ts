/**
 * Calls as Python writes them, which Llama 3.2 and 4 are taught: `[weather(city="Seoul", days=3), now()]`. The grammar of a call's
 * arguments, and back to JSON as it comes.
 */
import { choice, type Expression, type Grammar, sequence, text } from './expression.ts';
import { compilePossibleSchema } from './schema/compile-schema.ts';
import type { JsonSchema } from './schema/json-schema.ts';
import type { ToolEvent } from './tool-reader.ts';

/** Keywords of a schema that say no more of an object than its properties do. */
const plain = new Set(
  '$schema $id $comment $defs definitions title description examples default type properties required additionalProperties'.split(
    ' ',
  ),
);
const words = { true: 'True', false: 'False', null: 'None' } as const;

/**
 * `a=…, b=…` in the schema's order, of which those that are not required may be left out. `adopt` takes the grammar of a value in, under a
 * name of its own. null: the schema says more than that, and its object is written as a whole, `**{…}`.
 */
export function keywordArguments(
  parameters: JsonSchema,
  strict: boolean,
  adopt: (name: string, grammar: Grammar) => Expression,
): Expression | null {
  if (typeof parameters !== 'object' || parameters === null) return null;
  const schema = parameters as Readonly<Record<string, unknown>>;
  const { properties = {}, required = [], type = 'object' } = schema;
  if (type !== 'object' || Object.keys(schema).some((key) => !plain.has(key))) return null;
  const keys = Object.keys(properties as object);
  const needed = new Set(required as readonly string[]);
  if (keys.some((key) => !/^[A-Za-z_]\w*$/.test(key)) || [...needed].some((key) => !keys.includes(key))) return null;
  const values = keys.map((key) => {
    // What the value's schema refers to is found where it was.
    const $defs = { ...(schema.$defs as object | undefined), arguments: schema };
    const { definitions } = schema;
    const value = {
      $ref: `#/$defs/arguments/properties/${key}`,
      $defs,
      ...(definitions !== undefined && { definitions }),
    };
    return adopt(key, pythonWords(compilePossibleSchema(value as JsonSchema, { strict })));
  });
  // State 2·i + 1: before property i, with one written already.
  const edges = keys.flatMap((key, i) => {
    const written = sequence(`${key}=`, values[i]!);
    const from = 2 * i;
    return [
      { from, to: from + 3, label: written },
      { from: from + 1, to: from + 3, label: sequence(', ', written) },
      ...(needed.has(key) ? [] : [0, 1].map((any) => ({ from: from + any, to: from + 2 + any, label: null }))),
    ];
  });
  const end = 2 * keys.length;
  return { kind: 'graph', stateCount: end + 2, finals: [end, end + 1], edges };
}

/** True, False and None where JSON has its words for them. */
function pythonWords(grammar: Grammar): Grammar {
  const utf8 = new TextDecoder();
  const inner = (expression: Expression): Expression => {
    switch (expression.kind) {
      case 'bytes': {
        const word = expression.bytes.length <= 5 ? utf8.decode(expression.bytes) : '';
        return Object.hasOwn(words, word) ? text(words[word as keyof typeof words]) : expression;
      }
      case 'sequence':
        return { ...expression, parts: expression.parts.map(inner) };
      case 'choice':
        return choice(...expression.options.map(inner));
      case 'repeat':
        return { ...expression, of: inner(expression.of) };
      case 'graph':
        return {
          ...expression,
          edges: expression.edges.map((edge) => ({ ...edge, label: edge.label && inner(edge.label) })),
        };
      default:
        return expression;
    }
  };
  return { ...grammar, rules: new Map([...grammar.rules].map(([name, expression]) => [name, inner(expression)])) };
}

/** A list of calls, from behind its first bracket on, as events whose arguments are JSON. */
export class PythonicReader {
  private state: 'list' | 'arguments' | 'value' | 'end' = 'list';
  private pending = '';
  /** How many arguments the call has so far, and whether they come as one object. */
  private count = 0;
  private isWhole = false;
  private depth = 0;
  private quote: '"' | "'" | null = null;
  private isEscaped = false;
  /** Letters outside of texts, which may become True. */
  private word = '';

  push(part: string): ToolEvent[] {
    this.pending += part;
    const events: ToolEvent[] = [];
    while (this.readPart(events));
    return events;
  }

  /** True while there is more to be understood. */
  private readPart(events: ToolEvent[]): boolean {
    const argument = (json: string) => {
      if (json !== '') events.push({ kind: 'arguments', text: json });
    };
    switch (this.state) {
      case 'list': {
        if (this.take(/^\s*\]/)) return this.go('end');
        const call = this.take(/^[\s,]*([\w.-]+)\s*\(/);
        if (!call) return false;
        events.push({ kind: 'call', name: call[1]! });
        this.count = 0;
        this.isWhole = false;
        return this.go('arguments');
      }
      case 'arguments': {
        if (this.take(/^[\s,]*\)/)) {
          argument(this.isWhole ? '' : this.count === 0 ? '{}' : '}');
          return this.go('list');
        }
        if (this.take(/^\s*\*\*\s*/)) {
          this.isWhole = true;
          return this.go('value');
        }
        const key = this.take(/^[\s,]*([A-Za-z_]\w*)\s*=\s*(?=\S)/);
        if (!key) return false;
        argument(`${this.count++ === 0 ? '{' : ', '}${JSON.stringify(key[1])}: `);
        return this.go('value');
      }
      case 'value': {
        const { json, ended } = this.readValue();
        argument(json);
        return ended && this.go('arguments');
      }
      default:
        return false;
    }
  }

  private go(state: typeof this.state): true {
    this.state = state;
    return true;
  }

  private take(what: RegExp): RegExpExecArray | null {
    const found = what.exec(this.pending);
    if (found) this.pending = this.pending.slice(found[0].length);
    return found;
  }

  /** More of a value: it ends before a comma or bracket that is not its own. */
  private readValue(): { json: string; ended: boolean } {
    let json = '';
    let at = 0;
    let ended = false;
    for (; at < this.pending.length; at++) {
      const character = this.pending[at]!;
      if (this.quote !== null) json += this.inText(character);
      else if (/[A-Za-z]/.test(character)) this.word += character;
      else {
        json += this.endWord();
        if (this.depth === 0 && (character === ',' || character === ')')) {
          ended = true;
          break;
        }
        if (character === '"' || character === "'") {
          this.quote = character;
          json += '"';
          continue;
        }
        if (character === '[' || character === '{') this.depth++;
        else if (character === ']' || character === '}') this.depth--;
        json += character;
      }
    }
    this.pending = this.pending.slice(at);
    return { json, ended };
  }

  private inText(character: string): string {
    if (this.isEscaped) {
      this.isEscaped = false;
      return character === "'" ? "'" : `\\${character}`;
    }
    if (character === '\\') {
      this.isEscaped = true;
      return '';
    }
    if (character === this.quote) {
      this.quote = null;
      return '"';
    }
    return character === '"' ? '\\"' : character;
  }

  private endWord(): string {
    const { word } = this;
    this.word = '';
    return Object.entries(words).find(([, python]) => python === word)?.[0] ?? word;
  }
}
