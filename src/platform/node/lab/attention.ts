/** `cria lab attention`: one shape with three numbers of key heads, decoded at many depths and batches, and a report beside the formulas. */
import { join } from 'node:path';
import { loadSettings } from '../../../inference/remote/load.ts';
import type { LoadSettings } from '../../../inference/remote/protocol.ts';
import { type KvType, kvBytes } from '../../../kernels/ops.ts';
import { crossover } from '../../../lab/attention/cost.ts';
import {
  blocksFor,
  type Cell,
  fitCells,
  measureGrid,
  timeWithoutCache,
  type Variant,
} from '../../../lab/attention/measure.ts';
import { type AttentionResult, attentionReport } from '../../../lab/attention/report.ts';
import { dimensions, type LlamaConfig } from '../../../model/config.ts';
import { loadModel, prepareModel } from '../../../model/model.ts';
import { randomWeights } from '../../../model/random-weights.ts';
import { createPrepared } from '../engine/devices.ts';
import { describeMachine } from '../machine.ts';
import { makeFolder } from '../make-folder.ts';
import { writeWholeFile } from '../training/whole-folder.ts';

export interface AttentionOptions {
  readonly name: string;
  readonly config: LlamaConfig;
  readonly kvType: KvType;
  readonly batches: readonly number[];
  readonly depths: readonly number[];
  readonly turns: number;
  readonly steps: number;
  readonly threads: number;
  readonly device: LoadSettings['device'];
  readonly folder: string;
  readonly signal: AbortSignal;
  tell(message: string): void;
  onProgress(share: number): void;
}

const dtype = 'Q4_0' as const;
/** Of one variant: a memory of WebAssembly ends at 4 GiB. */
const MOST_CACHE_BYTES = 1.5 * 2 ** 30;
const UNCACHED_DEPTHS = [128, 256, 512];

/** K = H, the divisor of H nearest to √H, and 1. */
export function keyHeads(heads: number): readonly number[] {
  const divisors = Array.from({ length: heads }, (_, i) => i + 1).filter((k) => heads % k === 0);
  const root = divisors.reduce((best, k) =>
    Math.abs(Math.log(k / Math.sqrt(heads))) < Math.abs(Math.log(best / Math.sqrt(heads))) ? k : best,
  );
  return [...new Set([heads, root, 1])];
}

const nameOf = (heads: number, keys: number) =>
  keys === heads ? 'multi-head (K = H)' : keys === 1 ? 'multi-query (K = 1)' : `grouped (K = ${keys})`;

export async function attentionLab(options: AttentionOptions): Promise<{ result: AttentionResult; report: string }> {
  const { config, kvType, threads, tell, signal } = options;
  makeFolder(options.folder);
  const all = options.batches.flatMap((b) => options.depths.map((n) => ({ b, n })));
  const perBlock = (c: LlamaConfig) => 2 * c.blockCount * dimensions(c).P * kvBytes[kvType] * 32;
  const fits = ({ b, n }: { b: number; n: number }) => blocksFor(b, n) * perBlock(config) <= MOST_CACHE_BYTES;
  const [grid, leftOut] = [all.filter(fits), all.filter((cell) => !fits(cell))];
  const blockCount = Math.max(...grid.map(({ b, n }) => blocksFor(b, n)));
  const contextLength = Math.max(...grid.map(({ n }) => n));

  let chosen = options.device;
  const variants: Variant[] = [];
  try {
    for (const keys of keyHeads(config.headCount)) {
      const own = { ...config, kvHeadCount: keys, contextLength };
      const sources = randomWeights(own, 1, ({ shape }) => (shape.length === 1 ? 'f32' : dtype));
      const device = await createPrepared(loadSettings({ device: chosen, threads }), tell, (made) =>
        prepareModel(made, own, sources),
      );
      chosen = device.kind; // all on the same
      const model = loadModel(device, own, sources, () => {}, { runLength: contextLength });
      const { kvHeadCount, headSize, blockCount: layerCount } = own;
      const store = device.createKvStore({ layerCount, blockCount, kvHeadCount, headSize, type: kvType });
      variants.push({ name: nameOf(own.headCount, keys), config: own, device, model, store });
      tell(`${variants.at(-1)!.name}: on ${device.description}`);
    }
    const types = { dtype, kvType };
    const clock = () => performance.now();
    const cells = await measureGrid(variants, {
      grid,
      turns: options.turns,
      steps: options.steps,
      types,
      clock,
      isStopped: () => signal.aborted,
      onCell: (done, total) => options.onProgress(done / total),
    });
    const uncached: { n: number; milliseconds: number }[] = [];
    for (const n of UNCACHED_DEPTHS.filter((n) => n <= contextLength && !signal.aborted))
      uncached.push({ n, milliseconds: await timeWithoutCache(variants[0]!, n, clock) });
    const { width, blockCount: blocks, headCount, ffnWidth, vocabSize } = config;
    const result: AttentionResult = {
      shape: `${options.name}: ${blocks} blocks of width ${width}, ${headCount} heads, feed-forward ${ffnWidth}, vocabulary ${vocabSize}`,
      machine: `${describeMachine().cpu}; ${variants[0]!.device.description}`,
      dtype,
      kvType,
      variants: variants.map(({ name, config: own }) => ({
        name,
        config: own,
        crossover: crossover(own, types),
        fit: fitCells(cells.filter(({ variant }): boolean => variant === name)),
      })),
      cells: cells satisfies readonly Cell[],
      uncached,
      leftOut,
    };
    const report = join(options.folder, 'attention.html');
    writeWholeFile(join(options.folder, 'attention.json'), `${JSON.stringify(result, null, 2)}\n`);
    writeWholeFile(report, attentionReport(result));
    return { result, report };
  } finally {
    for (const { device } of variants) device.close();
  }
}
