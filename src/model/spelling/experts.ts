/** How files spell routed experts. */
import type { Facts } from '../../formats/config/facts.ts';
import { show } from '../../formats/json.ts';
import type { RouteWeights } from '../../kernels/ops.ts';
import { type Experts, type LlamaConfig, MOST_BLOCKS } from '../config.ts';
import type { Fact, GgufEntry } from './relative.ts';

export interface ExpertKeys {
  /** Hugging Face's key of their number. */
  readonly count: string;
  /** Of the feed-forward width of one; null: it is that of the model's plain layers. */
  readonly width: string | null;
  /** Always so; or `chosen` where the key `hf` is true and `all` where it is not. GGUF does not say it: `gguf`. */
  readonly weights: RouteWeights | { readonly hf: string; readonly gguf: RouteWeights };
  readonly weighs?: Experts['weighs'];
  /** An expert of the same width for every token. */
  readonly shared?: true;
  /** Which blocks have experts; absent: all. */
  readonly blocks?: ExpertBlocks;
}

/** How files say which blocks have experts: `null` for all of them. */
export interface ExpertBlocks {
  readonly readHf: (keys: Facts, known: LlamaConfig) => readonly boolean[] | null;
  readonly writeHf: (blocks: readonly boolean[] | null, config: LlamaConfig) => Record<string, unknown>;
  readonly readGguf: (keys: Facts, known: LlamaConfig) => readonly boolean[] | null;
  readonly writeGguf: (blocks: readonly boolean[] | null) => readonly GgufEntry[];
}

const always: ExpertBlocks = {
  readHf: () => null,
  writeHf: () => ({}),
  readGguf: () => null,
  writeGguf: () => [],
};

export function experts(spelled: ExpertKeys): Fact {
  const { count, width, weights, weighs = 'results', shared, blocks = always } = spelled;
  const rest = (size: number) => ({ weighs, shared: shared ? size : null });
  return {
    fields: ['experts'],
    readHf: (keys, known) => {
      const size = width === null ? known.ffnWidth : keys.count(width);
      const among = typeof weights === 'string' ? weights : keys.flag(weights.hf, false) ? 'chosen' : 'all';
      return {
        experts: {
          count: keys.count(count),
          used: keys.count('num_experts_per_tok'),
          width: size,
          weights: among,
          bias: false,
          blocks: blocks.readHf(keys, known),
          ...rest(size),
        },
      };
    },
    writeHf: (config) => {
      const { experts: found } = config;
      if (found === null) return {};
      return {
        [count]: found.count,
        num_experts_per_tok: found.used,
        ...(width === null ? {} : { [width]: found.width }),
        ...(typeof weights === 'string' ? {} : { [weights.hf]: found.weights === 'chosen' }),
        ...blocks.writeHf(found.blocks, config),
      };
    },
    readGguf: (keys, known, { tensors }) => {
      const size = keys.count('expert_feed_forward_length', known.ffnWidth);
      return {
        experts: {
          count: keys.count('expert_count'),
          used: keys.count('expert_used_count'),
          width: size,
          weights: typeof weights === 'string' ? weights : weights.gguf,
          bias: tensors.has('blk.0.ffn_gate_exps.bias'),
          blocks: blocks.readGguf(keys, known),
          ...rest(size),
        },
      };
    },
    writeGguf: ({ experts: found }) =>
      found === null
        ? []
        : [
            ['expert_count', 'u32', found.count],
            ['expert_used_count', 'u32', found.used],
            ['expert_feed_forward_length', 'u32', found.width],
            ...blocks.writeGguf(found.blocks),
          ],
  };
}

/** One entry a block; null where all have experts. */
export function blocksWith(blockCount: number, has: (block: number) => boolean): readonly boolean[] | null {
  const list = Array.from({ length: Math.min(blockCount, MOST_BLOCKS) }, (_, i) => has(i));
  return list.includes(false) ? list : null;
}

/** The numbers of blocks that a key lists; null where it says nothing. */
export function listedBlocks(keys: Facts, key: string, blockCount: number): ReadonlySet<number> | null {
  const value = keys.take(key);
  if (value === null) return null;
  const isBlock = (one: unknown) => Number.isInteger(one) && (one as number) >= 0 && (one as number) < blockCount;
  if (Array.isArray(value) && value.every(isBlock)) return new Set(value as number[]);
  keys.problem(key, `is ${show(value)}, expected a list of blocks, 0 to ${blockCount - 1}`);
  return null;
}
