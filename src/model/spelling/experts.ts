/** How files spell routed experts. */
import type { Fact } from './relative.ts';

export interface ExpertKeys {
  /** Hugging Face's key of their number. */
  readonly count: string;
  /** Of the feed-forward width of one. */
  readonly width: string;
  /** Whether their weights add up to 1: always, or the key that says so. GGUF does not say it; the second is `ggufNormalized`. */
  readonly normalized: boolean | string;
  readonly ggufNormalized?: boolean;
}

export function experts({ count, width, normalized, ggufNormalized }: ExpertKeys): Fact {
  return {
    fields: ['experts'],
    readHf: (keys, { ffnWidth }) => ({
      experts: {
        count: keys.count(count),
        used: keys.count('num_experts_per_tok'),
        width: width === 'intermediate_size' ? ffnWidth : keys.count(width),
        normalized: typeof normalized === 'boolean' ? normalized : keys.flag(normalized, false),
        bias: false,
      },
    }),
    writeHf: ({ experts: found }) =>
      found === null
        ? {}
        : {
            [count]: found.count,
            num_experts_per_tok: found.used,
            [width]: found.width,
            ...(typeof normalized === 'string' ? { [normalized]: found.normalized } : {}),
          },
    readGguf: (keys, { ffnWidth }, { tensors }) => ({
      experts: {
        count: keys.count('expert_count'),
        used: keys.count('expert_used_count'),
        width: keys.count('expert_feed_forward_length', ffnWidth),
        normalized: ggufNormalized ?? normalized !== false,
        bias: tensors.has('blk.0.ffn_gate_exps.bias'),
      },
    }),
    writeGguf: ({ experts: found }) =>
      found === null
        ? []
        : [
            ['expert_count', 'u32', found.count],
            ['expert_used_count', 'u32', found.used],
            ['expert_feed_forward_length', 'u32', found.width],
          ],
  };
}
