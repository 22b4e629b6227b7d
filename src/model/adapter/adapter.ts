/**
 * An adapter: low-rank corrections of a model's matrices, in files that are much smaller than the model's.
 *
 *   LoRA     W' = W + scale · B · A              scale = α / r, rsLoRA α / √r
 *   DoRA     the rows of W + scale · B · A, each scaled to a length of its own
 *
 * Shapes  A [R, I], B [O, R] for W [O, I]; of an embedding [V, D], A is [V, R] and B [D, R]: row v is corrected by B · A[v]
 * Source  Hu et al. 2021, arXiv:2106.09685 §4.1; Kalajdzievski 2023, arXiv:2312.03732; Liu et al. 2024, arXiv:2402.09353 §4.
 */
import type { TensorSource } from '../../tensor/source.ts';
import type { LlamaConfig } from '../config.ts';
import { foreignName, listParameters, modelTensors, type Parameter } from '../parameters.ts';
import { hfSpelling } from './spelling.ts';

export interface LowRank {
  readonly a: TensorSource;
  /** Its rows, like those of W, lie in our rotary layout. */
  readonly b: TensorSource;
  readonly scale: number;
  /** DoRA: the length of each row, [O]. */
  readonly magnitude: TensorSource | null;
}

export interface Adapter {
  readonly format: 'peft' | 'gguf' | 'memory';
  /** Of the file or folder. */
  readonly name: string;
  /** By the names of what they correct: see `targetsOf`. */
  readonly layers: ReadonlyMap<string, LowRank>;
  /** Parameters that were trained whole, and stand for the model's own. */
  readonly replaced: ReadonlyMap<string, TensorSource>;
  /** Jinja: how conversations with the corrected model are written, where its files say. */
  readonly chatTemplate?: string;
  /** The types of the weights that it was trained over, where its files say: see base-weights.ts. */
  readonly trainedOver?: string;
  /** What the files say besides: the model that it was made for, among others. */
  readonly metadata: ReadonlyMap<string, unknown>;
  close(): void;
}

/** A matrix that an adapter may correct. */
export interface Target extends Parameter {
  /** An embedding looks rows up, all others multiply. */
  readonly use: 'linear' | 'embedding';
}

/**
 * Every matrix that an adapter may correct: each parameter with rows and columns. Where the output layer is the embedding table, it is a
 * target of its own under the name `head_VD`, as the two uses are corrected apart.
 */
export function targetsOf(config: LlamaConfig): Target[] {
  const own = listParameters(config)
    .filter(({ shape, key }) => shape.length === 2 && key !== 'positions_CD')
    .map((parameter) => ({
      ...parameter,
      use: parameter.key === 'embed_VD' ? ('embedding' as const) : ('linear' as const),
    }));
  const embedding = own.find(({ key }) => key === 'embed_VD');
  if (!config.tiedEmbeddings || !embedding) return own;
  const head = { name: 'head_VD', key: 'head_VD', block: null, spec: modelTensors.head_VD } as const;
  return [...own, { ...head, shape: embedding.shape, use: 'linear' }];
}

/** The shapes that A and B of rank R must have. */
export function lowRankShapes({ use, shape }: Target, rank: number): { readonly a: number[]; readonly b: number[] } {
  const [rows, columns] = shape as readonly [number, number];
  return use === 'linear' ? { a: [rank, columns], b: [rows, rank] } : { a: [rows, rank], b: [columns, rank] };
}

/** Columns of B: the same for both uses. */
export function rankOf({ b }: LowRank): number {
  return b.shape[1]!;
}

/** α / r, or α / √r: rsLoRA, whose updates keep their size as the rank grows. */
export function loraScale({ alpha, rank, isRankStabilized }: LoraScaling): number {
  return alpha / (isRankStabilized ? Math.sqrt(rank) : rank);
}

export interface LoraScaling {
  readonly alpha: number;
  readonly rank: number;
  readonly isRankStabilized: boolean;
}

/** `model.layers.3.self_attn.q_proj` → its target; without those that a relative's files hold several of in one matrix (Phi-3). */
export function targetsByModule(config: LlamaConfig): ReadonlyMap<string, Target> {
  const fused: readonly string[] = Object.values(hfSpelling(config)?.names?.fused ?? {}).flat();
  return new Map(
    targetsOf(config).flatMap((target) => {
      const name = foreignName(target, 'hf', hfSpelling(config)?.names);
      const isFused = fused.includes(target.key);
      return name === null || isFused ? [] : [[name.replace(/\.weight$/, ''), target] as const];
    }),
  );
}
