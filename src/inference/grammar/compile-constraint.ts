/** From what a request asks of its text to the constraint of one generation, compiled once for all requests that ask the same. */
import { ArgumentError } from '../../base/errors.ts';
import type { Tokenizer } from '../../tokenizer/tokenizer.ts';
import { Automaton } from './automaton.ts';
import type { Grammar } from './expression.ts';
import { parseGbnf } from './gbnf.ts';
import { buildNetwork } from './network/network.ts';
import { compileSchema, jsonGrammar } from './schema/compile-schema.ts';
import type { JsonSchema } from './schema/document.ts';
import { TokenConstraint } from './token-constraint.ts';
import { TokenMasks } from './token-masks.ts';
import { type ToolsSpec, toolsGrammar } from './tools.ts';
import { createGrammarVocabulary, type GrammarVocabulary } from './vocabulary.ts';

/** What a text must be. Plain data: it goes to the engine's worker as it is. */
export type ConstraintSpec =
  /** A text of this GBNF grammar. */
  | { readonly kind: 'grammar'; readonly grammar: string }
  /** JSON that is valid for this schema. `strict` closes objects that do not say what else they may hold. */
  | { readonly kind: 'json_schema'; readonly schema: JsonSchema; readonly strict?: boolean | undefined }
  /** Any JSON object. */
  | { readonly kind: 'json_object' }
  | ToolsSpec;

/** Grammars kept for the next request, and how many states they may have together: some megabytes each, whatever is asked for. */
const MAX_KEPT = 16;
const MAX_KEPT_STATES = 400_000;

/** Throws ArgumentError `grammar.…`, `schema.…`, `tools.…`. */
export function grammarOf(spec: ConstraintSpec, hasToken: (text: string) => boolean = () => false): Grammar {
  switch (spec.kind) {
    case 'grammar':
      return parseGbnf(spec.grammar);
    case 'json_schema':
      return compileSchema(spec.schema, { strict: spec.strict ?? false });
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
  compile(spec: ConstraintSpec): TokenConstraint {
    const key = JSON.stringify(spec);
    const masks = this.kept.get(key) ?? this.masksFor(spec);
    this.kept.delete(key);
    this.kept.set(key, masks);
    this.forgetOldest();
    return new TokenConstraint(masks, this.eogIds);
  }

  private forgetOldest(): void {
    let states = this.kept.values().reduce((sum, { automaton }) => sum + automaton.network.stateCount, 0);
    for (const [key, { automaton }] of this.kept) {
      if (this.kept.size <= MAX_KEPT && (states <= MAX_KEPT_STATES || this.kept.size === 1)) return;
      states -= automaton.network.stateCount;
      this.kept.delete(key);
    }
  }

  private masksFor(spec: ConstraintSpec): TokenMasks {
    const { vocabulary } = this;
    const grammar = grammarOf(spec, (text) => vocabulary.idOf(text) !== null);
    return new TokenMasks(new Automaton(buildNetwork(grammar)), vocabulary);
  }

  private get vocabulary(): GrammarVocabulary {
    return (this.cachedVocabulary ??= createGrammarVocabulary(this.tokenizer, this.eogIds, this.vocabSize));
  }
}
