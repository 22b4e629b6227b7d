/** From what a request asks of its text to the constraint of one generation, compiled once for all requests that ask the same. */
import { ArgumentError } from '../../base/errors.ts';
import type { Tokenizer } from '../../tokenizer/tokenizer.ts';
import { Automaton } from './automaton.ts';
import type { Grammar } from './expression.ts';
import { parseGbnf } from './gbnf.ts';
import { buildNetwork, type Network } from './network/network.ts';
import { compileSchema, jsonGrammar, ofSchema } from './schema/compile-schema.ts';
import type { JsonSchema } from './schema/json-schema.ts';
import { TokenConstraint } from './token-constraint.ts';
import { TokenMasks } from './token-masks.ts';
import { type ToolsSpec, toolsGrammar } from './tools.ts';
import { createGrammarVocabulary, type GrammarVocabulary } from './vocabulary.ts';

/** What a text must be. Plain data: it goes to the engine's worker as it is. */
export type ConstraintSpec =
  /** A text of this GBNF grammar. */
  | { readonly kind: 'grammar'; readonly grammar: string }
  /**
   * JSON that is valid for this schema. `strict` closes objects that do not say what else they may hold, and implies `exact`: what
   * cannot be held is refused. Otherwise it is let go, and is in the notes.
   */
  | {
      readonly kind: 'json_schema';
      readonly schema: JsonSchema;
      readonly strict?: boolean | undefined;
      readonly exact?: boolean | undefined;
    }
  /** Any JSON object. */
  | { readonly kind: 'json_object' }
  | ToolsSpec;

/** A specification whose grammar was built elsewhere, away from the thread that generates. */
export interface CompiledConstraint {
  readonly kind: 'compiled';
  /** The same number, the same network. */
  readonly id: number;
  readonly network: Network;
  /** What was asked for and is not held. */
  readonly notes: readonly string[];
  /** About what the network takes in memory. */
  readonly bytes: number;
}

/** Grammars kept for the next request, and how many states they may have together: some megabytes each, whatever is asked for. */
const MAX_KEPT = 16;
const MAX_KEPT_STATES = 400_000;

/** Throws ArgumentError `grammar.…`, `schema.…`, `tools.…`. */
export function grammarOf(spec: ConstraintSpec, hasToken: (text: string) => boolean = () => false): Grammar {
  switch (spec.kind) {
    case 'grammar':
      return parseGbnf(spec.grammar);
    case 'json_schema':
      return compileSchema(spec.schema, { strict: spec.strict ?? false, exact: spec.exact ?? spec.strict ?? false });
    case 'json_object':
      return jsonGrammar('object');
    case 'tools':
      return toolsGrammar(spec, hasToken);
    default:
      throw new ArgumentError(
        'grammar.kind',
        `constraint: expected kind grammar, json_schema, json_object or tools, found ${JSON.stringify((spec satisfies never as { kind?: unknown }).kind)}.`,
      );
  }
}

/** `memory`: 'shared' lets several threads use one network. Throws ArgumentError, see grammarOf(). */
export function compileConstraint(
  spec: ConstraintSpec,
  hasToken: (text: string) => boolean,
  memory: 'own' | 'shared',
): Omit<CompiledConstraint, 'id'> {
  const grammar = grammarOf(spec, hasToken);
  const network = networkOf(grammar, spec);
  const bytes = networkBytes(network);
  const { notes = [] } = grammar;
  return { kind: 'compiled', network: memory === 'shared' ? shareNetwork(network) : network, notes, bytes };
}

function networkOf(grammar: Grammar, { kind }: ConstraintSpec): Network {
  try {
    return buildNetwork(grammar);
  } catch (error) {
    throw kind === 'json_schema' ? ofSchema(error) : error;
  }
}

function networkBytes(value: unknown): number {
  if (ArrayBuffer.isView(value)) return value.byteLength;
  if (typeof value !== 'object' || value === null) return 0;
  return Object.values(value).reduce<number>((sum, part) => sum + networkBytes(part), 0);
}

/** The same network with its arrays in shared memory. */
function shareNetwork(network: Network): Network {
  const share = <Value>(value: Value): Value => {
    if (ArrayBuffer.isView(value)) return shareArray(value as unknown as Uint8Array | Uint32Array) as unknown as Value;
    if (typeof value !== 'object' || value === null || value instanceof Map) return value;
    return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, share(part)])) as Value;
  };
  return share(network);
}

function shareArray<Numbers extends Uint8Array | Uint32Array>(array: Numbers): Numbers {
  const copy = new (array.constructor as new (buffer: SharedArrayBuffer) => Numbers)(
    new SharedArrayBuffer(array.byteLength),
  );
  copy.set(array);
  return copy;
}

/** The constraints of one model. */
export class ConstraintCompiler {
  private readonly tokenizer: Tokenizer;
  private readonly eogIds: ReadonlySet<number>;
  private readonly vocabSize: number;
  private cachedVocabulary: GrammarVocabulary | undefined;
  /** By content, least recently used first. */
  private readonly kept = new Map<string, TokenMasks>();

  constructor(tokenizer: Tokenizer, eogIds: ReadonlySet<number>, vocabSize: number) {
    this.tokenizer = tokenizer;
    this.eogIds = eogIds;
    this.vocabSize = vocabSize;
  }

  /** A constraint for one generation. Throws ArgumentError, see grammarOf(). */
  compile(spec: ConstraintSpec | CompiledConstraint): TokenConstraint {
    const key = spec.kind === 'compiled' ? `#${spec.id}` : JSON.stringify(spec);
    const masks = this.kept.get(key) ?? this.masksFor(spec);
    this.kept.delete(key);
    this.kept.set(key, masks);
    this.forgetOldest();
    return new TokenConstraint(masks, this.eogIds);
  }

  private forgetOldest(): void {
    let states = [...this.kept.values()].reduce((sum, { automaton }) => sum + automaton.network.stateCount, 0);
    for (const [key, { automaton }] of this.kept) {
      if (this.kept.size <= MAX_KEPT && (states <= MAX_KEPT_STATES || this.kept.size === 1)) return;
      states -= automaton.network.stateCount;
      this.kept.delete(key);
    }
  }

  private masksFor(spec: ConstraintSpec | CompiledConstraint): TokenMasks {
    const { vocabulary } = this;
    const hasToken = (text: string) => vocabulary.idOf(text) !== null;
    const { network } = spec.kind === 'compiled' ? spec : compileConstraint(spec, hasToken, 'own');
    return new TokenMasks(new Automaton(network), vocabulary);
  }

  private get vocabulary(): GrammarVocabulary {
    return (this.cachedVocabulary ??= createGrammarVocabulary(this.tokenizer, this.eogIds, this.vocabSize));
  }
}
