/** The facts that the files of every LLaMA state: sizes, epsilon, tied embeddings, biases. */
import type { LlamaConfig } from '../config.ts';
import { count, number } from './fact.ts';
import type { Fact } from './relative.ts';

const headSize: Fact = {
  fields: ['headSize'],
  readHf: (keys, { width, headCount }) => {
    const given = keys.countOrNull('head_dim');
    if (given !== null) return { headSize: given };
    if (width % headCount === 0) return { headSize: width / headCount };
    const problem = `is ${width}, not a multiple of num_attention_heads ${headCount}, and head_dim is not given`;
    keys.problem('hidden_size', problem);
    return { headSize: 2 };
  },
  writeHf: (config) => ({ head_dim: config.headSize }),
  readGguf: (keys, { width, headCount }) => {
    const size = keys.count('attention.key_length', width / headCount);
    keys.only('attention.value_length', [size, null], 'keys and values are of one size');
    return { headSize: size };
  },
  writeGguf: ({ width, headCount, headSize: size }) =>
    size * headCount === width
      ? []
      : [
          ['attention.key_length', 'u32', size],
          ['attention.value_length', 'u32', size],
        ],
};

const vocabSize: Fact = {
  fields: ['vocabSize'],
  readHf: (keys) => ({ vocabSize: keys.count('vocab_size') }),
  writeHf: (config) => ({ vocab_size: config.vocabSize }),
  readGguf: (keys, _, { tensors, vocabularyLength }) => {
    const rows = tensors.get('token_embd.weight')?.shape[0] ?? vocabularyLength;
    keys.only('vocab_size', [rows, null], 'the rows of token_embd.weight');
    return { vocabSize: rows };
  },
  writeGguf: (config) => [['vocab_size', 'u32', config.vocabSize]],
};

const tiedEmbeddings: Fact = {
  fields: ['tiedEmbeddings'],
  readHf: (keys) => ({ tiedEmbeddings: keys.flag('tie_word_embeddings', false) }),
  writeHf: (config) => ({ tie_word_embeddings: config.tiedEmbeddings }),
  readGguf: (_keys, _known, { tensors }) => ({ tiedEmbeddings: !tensors.has('output.weight') }),
  writeGguf: () => [],
};

/** Which projections have biases, by Hugging Face's keys; in GGUF the tensors say it. */
export function biases(kind: 'llama' | 'none' | 'qkv'): Fact {
  return {
    fields: ['attentionBias', 'attentionOutputBias', 'feedForwardBias'],
    readHf: (keys) => {
      if (kind === 'llama') {
        const attention = keys.flag('attention_bias', false);
        const feedForward = keys.flag('mlp_bias', false);
        return { attentionBias: attention, attentionOutputBias: attention, feedForwardBias: feedForward };
      }
      const attentionBias = kind === 'qkv';
      const has = attentionBias ? 'biases on query, key and value only' : 'no biases';
      keys.only('attention_bias', [attentionBias, null], `this model has ${has}`);
      keys.only('mlp_bias', [false, null], 'the feed-forward layer has no biases');
      return { attentionBias, attentionOutputBias: false, feedForwardBias: false };
    },
    writeHf: (config) =>
      kind === 'llama' ? { attention_bias: config.attentionBias, mlp_bias: config.feedForwardBias } : {},
    readGguf: (_keys, _known, { tensors }) => ({
      attentionBias: tensors.has('blk.0.attn_q.bias') || tensors.has('blk.0.attn_qkv.bias'),
      attentionOutputBias: tensors.has('blk.0.attn_output.bias'),
      feedForwardBias: tensors.has('blk.0.ffn_down.bias'),
    }),
    writeGguf: () => [],
  };
}

/** The activation, which Hugging Face's configurations name and GGUF's do not. */
export function activation(
  activation: LlamaConfig['activation'],
  { key = 'hidden_act', names }: { readonly key?: string; readonly names: readonly string[] },
): Fact {
  return {
    fields: ['activation'],
    readHf: (keys) => {
      keys.only(key, [...names, null], `the feed-forward layer is ${activation}`);
      return { activation };
    },
    writeHf: () => ({ [key]: names[0] }),
    readGguf: () => ({ activation }),
    writeGguf: () => [],
  };
}

export const normEps = number('normEps', { hf: 'rms_norm_eps', gguf: 'attention.layer_norm_rms_epsilon' });

export const commonFacts: readonly Fact[] = [
  count('width', { hf: 'hidden_size', gguf: 'embedding_length' }),
  count('blockCount', { hf: 'num_hidden_layers', gguf: 'block_count' }),
  count('headCount', { hf: 'num_attention_heads', gguf: 'attention.head_count' }),
  count('kvHeadCount', { hf: 'num_key_value_heads', gguf: 'attention.head_count_kv' }, ({ headCount }) => headCount),
  count('ffnWidth', { hf: 'intermediate_size', gguf: 'feed_forward_length' }),
  vocabSize,
  count('contextLength', { hf: 'max_position_embeddings', gguf: 'context_length' }),
  normEps,
  tiedEmbeddings,
  headSize,
  biases('none'),
  activation('swiglu', { names: ['silu', 'swish'] }),
];

/**
 * In GGUF the tensors say where norms stand, where an architecture's files differ: a norm before a branch, behind it or both, and norms
 * of queries and keys or none.
 */
export const normsOfTensors: Fact = {
  fields: ['normPlacement', 'qkNorm'],
  readHf: () => ({}),
  writeHf: () => ({}),
  readGguf: (_keys, known, { tensors }) => {
    const before = tensors.has('blk.0.attn_norm.weight');
    const behind = tensors.has('blk.0.post_attention_norm.weight');
    if (!before && !behind) return {};
    return {
      normPlacement: before && behind ? 'both' : before ? 'before' : 'output',
      qkNorm: tensors.has('blk.0.attn_q_norm.weight') ? known.qkNorm : 'none',
    };
  },
  writeGguf: () => [],
};
