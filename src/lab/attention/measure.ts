/** Decoding at many depths and batches, timed: the same model with as many key heads as query heads, with groups, and with one. */
import type { Device } from '../../devices/device.ts';
import { type Batch, batchOfSequences } from '../../kernels/batch.ts';
import { KV_BLOCK_TOKENS, type KvStore, type KvType } from '../../kernels/ops.ts';
import type { LlamaConfig } from '../../model/config.ts';
import { forward, keepOutputs } from '../../model/llama.ts';
import type { Model } from '../../model/model.ts';
import type { DType } from '../../tensor/dtype.ts';
import { counting, predictStep, type StepCost } from './cost.ts';

export interface Variant {
  readonly name: string;
  readonly config: LlamaConfig;
  readonly device: Device;
  readonly model: Model;
  readonly store: KvStore;
}

export interface Cell {
  readonly variant: string;
  readonly b: number;
  readonly n: number;
  readonly predicted: StepCost;
  readonly counted: StepCost;
  /** Of one step, which gives b tokens: the median of the turns. */
  readonly milliseconds: number;
}

/** Blocks that b sequences of n tokens lie in. */
export const blocksFor = (b: number, n: number): number => b * Math.ceil(n / KV_BLOCK_TOKENS);

/** The step after which each of b sequences has n tokens. Its sequences lie one behind the other in the store. */
function stepBatch(b: number, n: number): Batch {
  const blocks = Math.ceil(n / KV_BLOCK_TOKENS);
  return {
    ids: Uint32Array.from({ length: b }, (_, i) => 3 + i),
    positions: new Uint32Array(b).fill(n - 1),
    spans: Array.from({ length: b }, (_, i) => ({
      firstRow: i,
      rowCount: 1,
      firstPosition: n - 1,
      blocks: Uint32Array.from({ length: blocks }, (_, k) => i * blocks + k),
    })),
  };
}

export interface MeasureOptions {
  readonly grid: readonly { readonly b: number; readonly n: number }[];
  readonly turns: number;
  readonly steps: number;
  readonly types: { readonly dtype: DType; readonly kvType: KvType };
  /** Milliseconds. */
  clock(): number;
  isStopped(): boolean;
  onCell(done: number, total: number): void;
}

/** Every cell in turns that alternate between the variants, so that a slow moment of the machine meets all of them. */
export async function measureGrid(variants: readonly Variant[], options: MeasureOptions): Promise<Cell[]> {
  const cells: Cell[] = [];
  const { grid, turns, steps, types } = options;
  for (const [i, { b, n }] of grid.entries()) {
    if (options.isStopped()) break;
    const batch = stepBatch(b, n);
    const times = variants.map((): number[] => []);
    for (let turn = 0; turn < turns; turn++)
      for (const [v, variant] of variants.entries())
        times[v]!.push(await timeSteps(variant, batch, steps, options.clock));
    for (const [v, variant] of variants.entries()) {
      const predicted = predictStep(variant.config, types, { b, n });
      const counted = await countStep(variant, batch);
      const milliseconds = times[v]!.sort((x, y) => x - y)[Math.floor(turns / 2)]!;
      cells.push({ variant: variant.name, b, n, predicted, counted, milliseconds });
    }
    options.onCell(i + 1, grid.length);
  }
  return cells;
}

/** Milliseconds of one step, the mean of `steps` after one that is not counted. */
async function timeSteps(variant: Variant, batch: Batch, steps: number, clock: () => number): Promise<number> {
  await step(variant, batch);
  const from = clock();
  for (let i = 0; i < steps; i++) await step(variant, batch);
  return (clock() - from) / steps;
}

async function step({ device, model, store }: Variant, batch: Batch): Promise<void> {
  const mark = device.mark();
  const logits = forward(model, device.ops, batch, { cache: store, segment: keepOutputs(device) });
  const reading = device.read(logits, 0, 1);
  device.release(mark);
  await reading;
}

async function countStep({ device, model, store }: Variant, batch: Batch): Promise<StepCost> {
  const { ops, cost } = counting(device.ops);
  const mark = device.mark();
  const reading = device.read(forward(model, ops, batch, { cache: store, segment: keepOutputs(device) }), 0, 1);
  device.release(mark);
  await reading;
  return cost();
}

/** Milliseconds of the token after n others when all of them are computed again: no cache. */
export async function timeWithoutCache({ device, model }: Variant, n: number, clock: () => number): Promise<number> {
  const batch = batchOfSequences([Uint32Array.from({ length: n }, (_, i) => 3 + (i % 200))]);
  const run = async () => {
    const mark = device.mark();
    const logits = forward(model, device.ops, batch, {
      rows_R: Uint32Array.of(n - 1),
      segment: keepOutputs(device),
    });
    const reading = device.read(logits, 0, 1);
    device.release(mark);
    await reading;
  };
  await run();
  const from = clock();
  await run();
  return clock() - from;
}

export interface Fit {
  /** Bytes a second of weights, and of the cache. */
  readonly weightRate: number;
  readonly cacheRate: number;
  /** Milliseconds of each sequence of a step, whatever its length. */
  readonly perSequence: number;
}

/** time = W / β + cache / γ + b · c, by least squares over relative errors; a rate that comes out negative is Infinity. */
export function fitCells(cells: readonly Pick<Cell, 'predicted' | 'b' | 'milliseconds'>[]): Fit {
  const rows = cells.map(({ predicted, b, milliseconds }) => ({
    x: [predicted.weightBytes / milliseconds, predicted.cacheBytes / milliseconds, b / milliseconds],
    y: 1,
  }));
  const [weight, cache, sequence] = leastSquares(rows) as [number, number, number];
  const rate = (millisecondsPerByte: number) => (millisecondsPerByte > 0 ? 1000 / millisecondsPerByte : Infinity);
  return { weightRate: rate(weight), cacheRate: rate(cache), perSequence: Math.max(0, sequence) };
}

/** The normal equations by Gaussian elimination; columns are brought to one size first. */
function leastSquares(rows: readonly { readonly x: readonly number[]; readonly y: number }[]): number[] {
  const count = rows[0]!.x.length;
  const sizes = Array.from({ length: count }, (_, i) => Math.hypot(...rows.map(({ x }) => x[i]!)) || 1);
  const matrix = Array.from({ length: count }, (_, i) => [
    ...Array.from({ length: count }, (_, j) =>
      rows.reduce((sum, { x }) => sum + (x[i]! / sizes[i]!) * (x[j]! / sizes[j]!), 0),
    ),
    rows.reduce((sum, { x, y }) => sum + (x[i]! / sizes[i]!) * y, 0),
  ]);
  for (let i = 0; i < count; i++) {
    const pivot = matrix
      .slice(i)
      .reduce((best, row, k) => (Math.abs(row[i]!) > Math.abs(matrix[best]![i]!) ? i + k : best), i);
    [matrix[i], matrix[pivot]] = [matrix[pivot]!, matrix[i]!];
    for (let k = 0; k < count; k++) {
      if (k === i) continue;
      const factor = matrix[k]![i]! / matrix[i]![i]!;
      for (let j = i; j <= count; j++) matrix[k]![j]! -= factor * matrix[i]![j]!;
    }
  }
  return matrix.map((row, i) => row[count]! / row[i]! / sizes[i]!);
}
