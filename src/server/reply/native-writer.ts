/** An answer as llama-server's own endpoints give it. */
import type { GenerationResult, Piece } from '../../inference/generation.ts';
import type { NativeShape } from '../request/native.ts';
import { LineGuard } from './line-guard.ts';
import type { TokenNames } from './token-names.ts';

export interface NativeHead {
  readonly model: string;
  /** The text of the prompt. */
  readonly prompt: string;
  readonly promptTokens: number;
  readonly truncated: boolean;
  readonly contextLength: number;
}

export class NativeWriter {
  private readonly head: NativeHead;
  private readonly shape: NativeShape;
  private readonly names: TokenNames;
  private readonly clock: () => number;
  private readonly guard: LineGuard;
  private firstAt: number | null = null;
  private content = '';
  private readonly tokens: number[] = [];
  private readonly probabilities: object[] = [];

  constructor(head: NativeHead, shape: NativeShape, names: TokenNames, clock: () => number) {
    this.head = head;
    this.shape = shape;
    this.names = names;
    this.clock = clock;
    this.guard = new LineGuard(shape.leastIndent);
  }

  /** Nothing more is wanted. */
  get isOver(): boolean {
    const { predictMs } = this.shape;
    const isLate = predictMs !== null && this.firstAt !== null && this.clock() - this.firstAt > predictMs;
    return this.guard.isOver || (isLate && this.guard.hasBreak);
  }

  /** A part of a stream; null where there is nothing to tell. */
  push(piece: Piece): object | null {
    this.firstAt ??= this.clock();
    const content = this.guard.push(piece.text);
    const tokens = this.shape.tokens ? [piece.id] : [];
    const completion_probabilities = this.shape.probabilities ? [this.probabilitiesOf(piece)] : [];
    this.content += content;
    this.tokens.push(...tokens);
    this.probabilities.push(...completion_probabilities);
    if (content === '' && tokens.length === 0 && completion_probabilities.length === 0) return null;
    return {
      ...this.common(content, tokens, completion_probabilities),
      stop: false,
      tokens_predicted: 0,
    };
  }

  /** What was held back. */
  rest(): object | null {
    const content = this.guard.end();
    this.content += content;
    return content === '' ? null : { ...this.common(content, [], []), stop: false, tokens_predicted: 0 };
  }

  /** The last object; `isWhole`: it is the only one, and has all of the text. */
  end(result: GenerationResult, cachedTokens: number, isWhole: boolean): object {
    const { finishReason, stop, timings, seed, forgotten = 0 } = result;
    const { prompt, truncated, contextLength } = this.head;
    const body = {
      ...(isWhole ? this.common(this.content, this.tokens, this.probabilities) : this.common('', [], [])),
      prompt,
      stop: true,
      stop_type: finishReason !== 'stop' || this.guard.isOver ? 'limit' : stop !== null ? 'word' : 'eos',
      stopping_word: stop ?? '',
      truncated: truncated || forgotten > 0,
      has_new_line: this.guard.hasBreak,
      tokens_predicted: timings.predicted_n,
      tokens_cached: cachedTokens,
      generation_settings: { n_ctx: contextLength, seed },
      timings,
    };
    return this.shape.fields ? picked(body, this.shape.fields) : body;
  }

  private common(content: string, tokens: readonly number[], completion_probabilities: readonly object[]) {
    const { model, promptTokens } = this.head;
    return {
      index: 0,
      model,
      content,
      tokens_evaluated: promptTokens,
      ...(this.shape.tokens && { tokens }),
      ...(this.shape.probabilities && { completion_probabilities }),
    };
  }

  private probabilitiesOf({ id, logprobs }: Piece): object {
    const isAfter = this.shape.probabilities === 'prob';
    const named = (each: { readonly id: number; readonly logprob: number }) => {
      const { token, bytes, logprob } = this.names.name(each.id, each.logprob);
      return { id: each.id, token, bytes, ...(isAfter ? { prob: Math.exp(each.logprob) } : { logprob }) };
    };
    const { logprob, top } = logprobs!;
    return { ...named({ id, logprob }), [isAfter ? 'top_probs' : 'top_logprobs']: top.map(named) };
  }
}

/** Fields by their paths, each under its whole path, as llama-server names them; what is not there is left out. */
function picked(body: object, paths: readonly string[]): object {
  const entries = paths.flatMap((path) => {
    let value: unknown = body;
    for (const key of path.split('/')) {
      if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return [];
      value = (value as Record<string, unknown>)[key];
    }
    return [[path, value] as const];
  });
  return Object.fromEntries(entries);
}
