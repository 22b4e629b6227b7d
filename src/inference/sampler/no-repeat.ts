/**
 * Forbids every token that would complete an n-gram which the text already holds.
 *
 *   logit_v ← −∞      where h_{i} … h_{i+n−2} = the last n − 1 tokens and v = h_{i+n−1}, for some i
 *
 * n = 1 forbids every token of the text. The text is the first `length` ids of the history, prompt included.
 *
 * Shapes   logits_V
 * Cost     one pass over the history; nothing is stored between tokens
 * Source   Paulus et al. 2017, arXiv:1705.04304 §2.5; transformers' NoRepeatNGramLogitsProcessor. llama.cpp has no such sampler.
 */
export function forbidRepeatedNgrams(logits_V: Float64Array, n: number, history: Uint32Array, length: number): void {
  if (n <= 0) return;
  const tail = length - (n - 1);
  for (let i = 0; i < tail; i++) {
    let matched = 0;
    while (matched < n - 1 && history[i + matched] === history[tail + matched]) matched++;
    if (matched === n - 1) logits_V[history[i + n - 1]!] = Number.NEGATIVE_INFINITY;
  }
}
