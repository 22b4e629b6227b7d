/** What rank-steps.ts is asked to do, and of which model. */
import type { Recompute } from '../../src/autograd/tape.ts';
import { type LlamaConfig, paperChoices } from '../../src/model/config.ts';
import { listParameters } from '../../src/model/parameters.ts';
import { elementCount } from '../../src/tensor/tensor.ts';
import type { OptimizerOptions } from '../../src/training/optimizer.ts';
import { blockOf } from '../../src/training/ranks/parts.ts';
import type { Sharding } from '../../src/training/ranks/sharding.ts';
import type { DropoutOptions } from '../../src/training/step/dropping.ts';

export interface RankCase {
  /** Of a micro-batch, over all ranks. */
  readonly rows: number;
  readonly microBatches: number;
  readonly optimizer?: Partial<OptimizerOptions>;
  readonly sharding?: Sharding;
  readonly overlap?: boolean;
  readonly recompute?: Recompute;
  readonly dropout?: DropoutOptions;
  /** Decay of an average of the weights. */
  readonly ema?: number;
  /** A folder of checkpoints to go on after the newest of, if there is one, and to write another to. */
  readonly checkpoints?: string;
  readonly steps?: number;
}

export interface RankResult {
  readonly losses: readonly number[];
  readonly norms: readonly number[];
  /** Σ g² of the ranks' first passes; none on one rank with one. */
  readonly small: readonly number[];
  /** Of all weights after the last step. */
  readonly digest: string;
  /** Of held-out rows, after the last step. */
  readonly evaluated: number;
  /** The scores of what comes after a row. */
  readonly next: readonly number[];
  /** The same of the weights' average; null: none is kept. */
  readonly averaged: Pick<RankResult, 'digest' | 'evaluated'> | null;
  /** What mpirun said of where the ranks are. */
  readonly isOneMachine: boolean;
  /** For each rank, the bytes that it allocated on the device, and those beside it. */
  readonly bytes: readonly number[];
}

export const LENGTH = 12;
export const config: LlamaConfig = {
  ...paperChoices,
  width: 16,
  blockCount: 4,
  headCount: 2,
  kvHeadCount: 1,
  headSize: 8,
  ffnWidth: 24,
  vocabSize: 29,
  contextLength: LENGTH,
  normEps: 1e-5,
  ropeTheta: 10_000,
  ropeScaling: { kind: 'none' },
  tiedEmbeddings: true,
  attentionBias: false,
  slidingWindow: null,
};

/** How many parameters there are: in each of so many blocks, and outside of them. */
export const PARAMETERS = { blocks: config.blockCount, block: countOf(0), outside: countOf(null) };

function countOf(block: number | null): number {
  return listParameters(config)
    .filter(({ name }) => blockOf(name) === block)
    .reduce((sum, { shape }) => sum + elementCount(shape), 0);
}
