/**
 * Keys of config.json that say once more what the file says elsewhere, or what every LLaMA does. They speak of the mathematics, so
 * they are read, and another value than the known one refuses the file.
 */
import type { Facts } from './facts.ts';

export interface Sizes {
  readonly width: number;
  readonly headCount: number;
  readonly kvHeadCount: number;
  readonly headSize: number;
}

const affirmed = [
  'use_rope', 'use_rotary', 'rotary', 'use_rmsnorm', 'use_rms_norm', 'rms_norm', 'use_swiglu', 'gated_mlp', 'use_gated_mlp',
  'scale_attn_weights', 'normalize_attention_scores', 'causal_attention', 'is_causal', 'use_gqa',
]; // biome-ignore format: a list

/** Reads such keys where they are given. */
export function acceptSameFacts(facts: Facts, { width, headCount, kvHeadCount, headSize }: Sizes): void {
  const same = (names: readonly string[], value: number) => {
    for (const name of names) facts.onlyIfUnread(name, [value], 'it says something else than the rest of this file');
  };
  same(['n_head', 'n_heads', 'num_heads', 'attention_heads'], headCount);
  same(['n_kv_heads', 'n_head_kv', 'num_kv_heads', 'multi_query_group_num'], kvHeadCount);
  same(['head_size', 'attention_head_size', 'attention_head_dim', 'rotary_dim', 'rope_dim', 'v_head_dim'], headSize);
  same(['attention_hidden_size'], width);
  for (const name of affirmed) facts.onlyIfUnread(name, [true], 'every LLaMA does this');
  facts.onlyIfUnread('position_embedding_type', ['rope', 'rotary', 'ROPE'], 'positions are rotary');
  for (const name of ['norm_type', 'normalization', 'normalization_type', 'layer_norm_type']) {
    facts.onlyIfUnread(name, ['rms', 'rmsnorm', 'rms_norm', 'RMSNorm'], 'the norm is RMSNorm');
  }
  for (const name of ['hidden_activation', 'activation_function', 'activation', 'mlp_activation']) {
    facts.onlyIfUnread(name, ['silu', 'swish', 'swiglu'], 'the feed-forward layer is SwiGLU');
  }
}
