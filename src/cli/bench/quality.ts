/** What a quantized cache costs: the perplexity of a text with keys and values of each type, against f16. */
import { byScoring, halfScoredWindows, perplexity, type Window } from '../../evaluation/perplexity.ts';
import { cacheTokenBytes } from '../../inference/remote/load-defaults.ts';
import { type KvType, kvTypes } from '../../kernels/ops.ts';
import type { Llama } from '../../platform/node/index.ts';
import { markdownTable } from '../terminal/columns.ts';

/** The first one is what the others are compared with. */
export const comparedTypes: readonly KvType[] = ['f16', ...kvTypes.filter((type) => type !== 'f16' && type !== 'f32')];

const WINDOW = 512;
const MOST_WINDOWS = 16;

export interface Quality {
  readonly test: 'quality';
  readonly type_k: KvType;
  readonly type_v: KvType;
  /** Of keys and values of all layers. */
  readonly token_bytes: number;
  readonly window: number;
  readonly n_tokens: number;
  readonly perplexity: number;
  readonly perplexity_error: number;
  /** Perplexity over that of f16. */
  readonly ratio: number;
}

/** Throws ArgumentError `perplexity.too-short`. */
export function windowsOf({ tokenizer, contextLength }: Llama, text: string): Window[] {
  const bos = tokenizer.addBos ? tokenizer.bosId : null;
  const ids = tokenizer.encode(text, { bos: bos !== null });
  return halfScoredWindows(ids, Math.min(WINDOW, contextLength), bos).slice(0, MOST_WINDOWS);
}

/** `f16`: the result that this one is compared with; null for f16 itself. */
export async function measureQuality(
  model: Llama,
  windows: readonly Window[],
  f16: Quality | null,
  signal: AbortSignal,
  onWindow: (done: number) => void,
): Promise<Quality> {
  const score = byScoring((context, continuations) => model.score(context, continuations, { signal }));
  const { perplexity: value, error, tokens } = await perplexity(windows, score, onWindow);
  const { kvType, config } = model.facts;
  return {
    test: 'quality',
    type_k: kvType,
    type_v: kvType,
    token_bytes: cacheTokenBytes(config, kvType),
    window: windows[0]!.ids.length,
    n_tokens: tokens,
    perplexity: value,
    perplexity_error: error,
    ratio: f16 ? value / f16.perplexity : 1,
  };
}

export function describeQuality(rows: readonly Quality[]): string {
  const lines = rows.map(({ type_k, token_bytes, perplexity: value, perplexity_error, ratio }) => [
    type_k,
    String(token_bytes),
    `${value.toFixed(4)} ± ${perplexity_error.toFixed(4)}`,
    `${ratio.toFixed(4)} ×`,
  ]);
  return markdownTable([['cache', 'bytes a token', 'perplexity', 'of f16'], ...lines], [1, 2, 3]);
}
