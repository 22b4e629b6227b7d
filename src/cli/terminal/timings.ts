import type { Timings } from '../../inference/generation.ts';

/** 'prompt 5 tokens, 120 tokens/s · answer 40 tokens, 35 tokens/s' */
export function describeTimings(timings: Timings): string {
  const { cache_n, prompt_n, prompt_per_second, predicted_n, predicted_per_second } = timings;
  const rate = (perSecond: number) => (perSecond > 0 ? `, ${perSecond.toFixed(1)} tokens/s` : '');
  const cached = cache_n > 0 ? ` (and ${cache_n} remembered)` : '';
  return `prompt ${prompt_n} tokens${cached}${rate(prompt_per_second)} · answer ${predicted_n} tokens${rate(predicted_per_second)}`;
}
