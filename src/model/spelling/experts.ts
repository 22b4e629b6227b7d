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
  /** Of models of the family without experts, files say that there are 0. */
  readonly optional?: true;
}

/** How files say which blocks have experts: `null` for all of them, an empty list where a model of the family has none. */
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
  const { count, width, weights, weighs = 'results', shared, blocks = always, optional } = spelled;
  const least = optional ? 0 : 1;
  const rest = (size: number) => ({ weighs, shared: shared ? size : null });
  return {
    fields: ['experts'],
    readHf: (keys, known) => {
      const size = width === null ? known.ffnWidth : keys.count(width);
      const among = typeof weights === 'string' ? weights : keys.flag(weights.hf, false) ? 'chosen' : 'all';
      const found = {
        count: keys.count(count, undefined, least),
        used: keys.count('num_experts_per_tok', undefined, least),
        width: size,
        weights: among,
        bias: false,
        blocks: blocks.readHf(keys, known),
        ...rest(size),
      } as const;
      return { experts: isNone(found) ? null : found };
    },
    writeHf: (config) => {
      const { experts: found } = config;
      if (found === null && !optional) return {};
      const { count: all, used, width: each, blocks: which } = found ?? { ...NONE, width: config.ffnWidth };
      return {
        [count]: all,
        num_experts_per_tok: used,
        ...(width === null ? {} : { [width]: each }),
        ...(typeof weights === 'string' ? {} : { [weights.hf]: found?.weights === 'chosen' }),
        ...blocks.writeHf(which, config),
      };
    },
    readGguf: (keys, known, { tensors }) => {
      const size = keys.count('expert_feed_forward_length', known.ffnWidth);
      const found = {
        count: keys.count('expert_count', undefined, least),
        used: keys.count('expert_used_count', undefined, least),
        width: size,
        weights: typeof weights === 'string' ? weights : weights.gguf,
        bias: tensors.has('blk.0.ffn_gate_exps.bias'),
        blocks: blocks.readGguf(keys, known),
        ...rest(size),
      } as const;
      return { experts: isNone(found) ? null : found };
    },
    writeGguf: ({ experts: found, ffnWidth }) => {
      if (found === null && !optional) return [];
      const { count: all, used, width: each, blocks: which } = found ?? { ...NONE, width: ffnWidth };
      return [
        ['expert_count', 'u32', all],
        ['expert_used_count', 'u32', used],
        ['expert_feed_forward_length', 'u32', each],
        ...blocks.writeGguf(which),
      ];
    },
  };
}

const NONE = { count: 0, used: 0, blocks: [] } as const;

/** A model of a family with experts that has none in any block. */
function isNone({ count, blocks }: Pick<Experts, 'count' | 'blocks'>): boolean {
  return count === 0 || blocks?.includes(true) === false;
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
