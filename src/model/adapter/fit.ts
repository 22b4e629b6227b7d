/** Brings an adapter's tensors together with a model: every one must belong to it, and have the shape and rank that fit. */
import { ConfigError } from '../../base/errors.ts';
import { dtypes, isWeightType, weightTypes } from '../../tensor/dtype.ts';
import type { TensorSource } from '../../tensor/source.ts';
import { formatShape } from '../../tensor/tensor.ts';
import { FiniteRows } from '../checkpoint/finite.ts';
import type { RotaryLayout } from '../checkpoint/layout/row-sources.ts';
import type { LlamaConfig } from '../config.ts';
import type { Parameter } from '../parameters.ts';
import { type LowRank, lowRankShapes, type Target } from './adapter.ts';
import { hfRotary, relaid } from './spelling.ts';

const SHOWN_PROBLEMS = 12;

export interface FoundLayer {
  readonly a: TensorSource;
  readonly b: TensorSource;
  readonly magnitude: TensorSource | null;
  readonly scale: number;
  /** What the file says that it is; null: it does not say. */
  readonly rank: number | null;
  /** How rows of queries and keys are stored. */
  readonly rotary: RotaryLayout;
}

export class AdapterFit {
  private readonly file: string;
  /** The model that the adapter says it was made for. */
  private readonly madeFor: string | null;
  private readonly config: LlamaConfig;
  private readonly problems: string[] = [];

  constructor(file: string, madeFor: string | null, config: LlamaConfig) {
    this.file = file;
    this.madeFor = madeFor;
    this.config = config;
  }

  problem(words: string): void {
    this.problems.push(words);
  }

  get hfRotary(): RotaryLayout {
    return hfRotary(this.config);
  }

  /** A part of the adapter that corrects nothing here. */
  noMatrix(name: string): void {
    const isExpert = this.config.experts !== null && /experts|_exps|ffn_(?:gate|up|down)\.\d/.test(name);
    this.problem(
      isExpert
        ? `${name.slice(0, 200)} corrects routed experts, and adapters correct the other matrices only; merge it into the model where it was trained`
        : `${name.slice(0, 200)} is no matrix of this model`,
    );
  }

  /** null where it does not fit: the problem is noted. */
  layer(name: string, target: Target, { a, b, magnitude, scale, rank, rotary }: FoundLayer): LowRank | null {
    const before = this.problems.length;
    const found = b.shape[1] ?? 0;
    if (rank !== null && rank !== found)
      this.problem(`${name}: B ${formatShape(b.shape)} has rank ${found}, expected ${rank}, as the adapter says`);
    const shapes = lowRankShapes(target, rank ?? found);
    this.checkShape(`${name}: A`, a, shapes.a);
    this.checkShape(`${name}: B`, b, shapes.b);
    if (magnitude) this.checkShape(`${name}: the magnitudes`, magnitude, [target.shape[0]!]);
    if (found < 1) this.problem(`${name}: rank ${found}, expected at least 1`);
    if (this.problems.length > before) return null;
    const rows = (source: TensorSource) => this.rows(source, target, rotary, 0);
    return { a: this.finite(a), b: rows(b), magnitude: magnitude && rows(magnitude), scale };
  }

  /** A parameter that was trained whole. */
  whole(
    name: string,
    parameter: Parameter,
    tensor: TensorSource,
    { rotary, gainsFromOne = false }: { readonly rotary: RotaryLayout; readonly gainsFromOne?: boolean | undefined },
  ): TensorSource | null {
    const before = this.problems.length;
    this.checkShape(name, tensor, parameter.shape);
    return this.problems.length > before ? null : this.rows(tensor, parameter, rotary, gainsFromOne ? 1 : 0);
  }

  /** Throws ConfigError `adapter.fit` with every problem. `used`: how much of the adapter there is. */
  finish(used: number): void {
    if (this.problems.length === 0 && used === 0) this.problem('it holds no tensor: nothing was trained');
    if (this.problems.length === 0) return;
    const rest = this.problems.length - SHOWN_PROBLEMS;
    const shown = rest > 1 ? [...this.problems.slice(0, SHOWN_PROBLEMS), `… and ${rest} more`] : this.problems;
    const origin = this.madeFor === null ? '' : ` (it was made for ${this.madeFor.slice(0, 200)})`;
    throw new ConfigError(`${this.file}: the adapter does not fit the model${origin}`, shown, 'adapter.fit');
  }

  private checkShape(what: string, { shape, dtype }: TensorSource, expected: readonly number[]): void {
    if (formatShape(shape) !== formatShape(expected))
      this.problem(`${what} is ${formatShape(shape)}, expected ${formatShape(expected)}`);
    else if (!isWeightType(dtype) || (shape.length === 1 && dtypes[dtype].blockWeights > 1))
      this.problem(
        `${what} is ${dtype}, expected one of ${shape.length === 1 ? 'f32 f16 bf16' : weightTypes.join(' ')}`,
      );
  }

  private rows(source: TensorSource, parameter: Parameter, rotary: RotaryLayout, gain: 0 | 1): TensorSource {
    return relaid(this.finite(source), parameter, this.config, { from: rotary, to: 'pairs', gain });
  }

  private finite(source: TensorSource): TensorSource {
    return isWeightType(source.dtype) ? new FiniteRows(this.file, source, source.dtype) : source;
  }
}
