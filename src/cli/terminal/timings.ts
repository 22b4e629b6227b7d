import type { Timings } from '../../inference/generation.ts';

/** 'prompt 5 tokens, 120 tokens/s · answer 40 tokens, 35 tokens/s (25 of 30 guesses right)' */
export function describeTimings(timings: Timings): string {
  const { cache_n, prompt_n, prompt_per_second, predicted_n, predicted_per_second, draft_n, draft_n_accepted } =
    timings;
  const rate = (perSecond: number) => (perSecond > 0 ? `, ${perSecond.toFixed(1)} tokens/s` : '');
  const cached = cache_n > 0 ? ` (and ${cache_n} remembered)` : '';
  const guesses = draft_n === undefined ? '' : ` (${draft_n_accepted} of ${draft_n} guesses right)`;
  return `prompt ${prompt_n} tokens${cached}${rate(prompt_per_second)} · answer ${predicted_n} tokens${rate(predicted_per_second)}${guesses}`;
}
