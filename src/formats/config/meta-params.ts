/**
 * params.json beside Meta's consolidated.NN.pth. The feed-forward width and the vocabulary size follow from the tensors.
 * Source  meta-llama/llama and meta-llama/llama-models, ModelArgs: the defaults are theirs.
 */

import { parseJsonObject } from '../json.ts';
import { Facts } from './facts.ts';

export interface MetaParams {
  readonly width: number;
  readonly blockCount: number;
  readonly headCount: number;
  readonly kvHeadCount: number;
  readonly normEps: number;
  readonly ropeTheta: number;
  /** Llama 3.1's scaling of rotary positions, with the constants that Meta's code holds. */
  readonly useScaledRope: boolean;
  /** Factor of that scaling: 8 for Llama 3.1, 32 for 3.2. */
  readonly ropeScalingFactor: number;
  readonly multipleOf: number;
  readonly ffnDimMultiplier: number | null;
  /** null: not said (−1); the embedding table says it. */
  readonly vocabSize: number | null;
  readonly contextLength: number | null;
}

export function parseMetaParams(file: string, text: string): MetaParams {
  const facts = new Facts(file, parseJsonObject(file, text));
  const headCount = facts.count('n_heads');
  const vocabSize = facts.number('vocab_size', -1);
  if (!(vocabSize === -1 || (Number.isSafeInteger(vocabSize) && vocabSize >= 1))) {
    facts.problem('vocab_size', `is ${vocabSize}, expected a whole number from 1, or -1`);
  }
  const params: MetaParams = {
    width: facts.count('dim'),
    blockCount: facts.count('n_layers'),
    headCount,
    kvHeadCount: facts.count('n_kv_heads', headCount),
    normEps: facts.number('norm_eps', 1e-5),
    ropeTheta: facts.number('rope_theta', 10_000),
    useScaledRope: facts.flag('use_scaled_rope', false),
    ropeScalingFactor: facts.number('rope_scaling_factor', 8),
    multipleOf: facts.count('multiple_of', 256),
    ffnDimMultiplier: facts.numberOrNull('ffn_dim_multiplier'),
    vocabSize: vocabSize === -1 ? null : vocabSize,
    contextLength: facts.countOrNull('max_seq_len'),
  };
  facts.ignore(['max_batch_size', 'model_parallel_size', 'use_kv_cache']);
  for (const key of ['moe_args', 'quantization_args', 'lora_args', 'vision_chunk_size']) {
    facts.only(key, [], 'this variant of Llama is not implemented');
  }
  facts.finish();
  return params;
}
