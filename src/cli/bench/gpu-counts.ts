/**
 * What a token costs on the GPU, counted: dispatches, bytes and arithmetic of each kernel; and its time, by the adapter's own clock where
 * it has one. A generated token is the last one of a test, a token of a prompt is a share of the first chunk that is read.
 */
import { formatBytes, formatCount } from '../../base/units.ts';
import type { WebGpuDevice } from '../../devices/webgpu/device.ts';
import { KV_BLOCK_TOKENS, type KvStore, type KvType } from '../../kernels/ops.ts';
import { forward, keepOutputs } from '../../model/llama.ts';
import type { Model } from '../../model/model.ts';
import { markdownTable } from '../terminal/columns.ts';
import { contextOf, type Test, testName } from './measure.ts';

export interface KernelCost {
  readonly kernel: string;
  readonly dispatches: number;
  readonly bytes: number;
  readonly flops: number;
  /** null: the adapter has no clock. */
  readonly seconds: number | null;
}

/** Fields of a row, per token; kernels come in order of their bytes. */
export interface GpuCounts {
  readonly dispatches_per_token: number;
  readonly bytes_per_token: number;
  readonly flops_per_token: number;
  readonly gpu_ns_per_token: number | null;
  readonly kernels_per_token: readonly KernelCost[];
}

/** Counts each test on a model that is loaded for it. */
export async function countTests(
  device: WebGpuDevice,
  model: Model,
  tests: readonly Test[],
  { kvType, batchTokens }: { readonly kvType: KvType; readonly batchTokens: number },
): Promise<GpuCounts[]> {
  const { blockCount: layerCount, kvHeadCount, headSize } = model.config;
  const blockCount = Math.ceil(Math.max(...tests.map(contextOf)) / KV_BLOCK_TOKENS);
  const store = device.createKvStore({ layerCount, blockCount, kvHeadCount, headSize, type: kvType });
  const counts: GpuCounts[] = [];
  for (const { prompt, generate, depth } of tests) {
    const rows = generate > 0 ? 1 : Math.min(prompt, batchTokens);
    const position = generate > 0 ? depth + Math.max(1, prompt) + generate - 1 : depth;
    counts.push(await countStep(device, model, store, rows, position));
  }
  return counts;
}

async function countStep(
  device: WebGpuDevice,
  model: Model,
  store: KvStore,
  rows: number,
  firstPosition: number,
): Promise<GpuCounts> {
  const numbers = (from: number) => Uint32Array.from({ length: rows }, (_, i) => from + i);
  const blocks = Uint32Array.from({ length: store.blockCount }, (_, i) => i);
  const batch = {
    ids: numbers(0).map((i) => i % model.config.vocabSize),
    positions: numbers(firstPosition),
    spans: [{ firstRow: 0, rowCount: rows, firstPosition, blocks }],
  };
  const segment = keepOutputs(device);
  const step = async () => {
    const mark = device.mark();
    const options = { cache: store, rows_R: Uint32Array.of(rows - 1), segment };
    const reading = device.read(forward(model, device.ops, batch, options));
    device.release(mark);
    await reading;
  };
  await step(); // compiles
  const before = new Map([...device.counts.kernels].map(([name, count]) => [name, { ...count }]));
  await step();
  const none = { dispatches: 0, bytes: 0, flops: 0 };
  const counted = [...device.counts.kernels].map(([kernel, after]) => {
    const { dispatches, bytes, flops } = before.get(kernel) ?? none;
    return {
      kernel,
      dispatches: (after.dispatches - dispatches) / rows,
      bytes: (after.bytes - bytes) / rows,
      flops: (after.flops - flops) / rows,
    };
  });
  const seconds = await device.time(step);
  const kernels = counted
    .filter(({ dispatches }) => dispatches > 0)
    .map((cost) => ({ ...cost, seconds: seconds && (seconds.get(cost.kernel) ?? 0) / rows }))
    .sort((a, b) => b.bytes - a.bytes);
  const sum = (of: (cost: KernelCost) => number) => kernels.reduce((total, cost) => total + of(cost), 0);
  return {
    dispatches_per_token: sum((cost) => cost.dispatches),
    bytes_per_token: sum((cost) => cost.bytes),
    flops_per_token: sum((cost) => cost.flops),
    gpu_ns_per_token: seconds && sum((cost) => cost.seconds!) * 1e9,
    kernels_per_token: kernels,
  };
}

/** A paragraph and a table of a test. */
export function describeCounts(test: Test, counts: GpuCounts): string {
  const what = test.generate > 0 ? 'the last token that is generated' : 'a token of the prompt';
  const { dispatches_per_token, bytes_per_token, flops_per_token, gpu_ns_per_token } = counts;
  const time = (seconds: number) =>
    seconds < 1e-3 ? `${(seconds * 1e6).toFixed(1)} µs` : `${(seconds * 1e3).toFixed(2)} ms`;
  const few = (count: number) => (Number.isInteger(count) ? String(count) : count.toFixed(2));
  const bytes = (count: number) => formatBytes(Math.round(count));
  const clock = gpu_ns_per_token === null ? '' : `, ${time(gpu_ns_per_token / 1e9)} of the GPU's clock`;
  const total = `${few(dispatches_per_token)} dispatches, ${bytes(bytes_per_token)}, ${formatCount(Math.round(flops_per_token))}FLOP${clock}`;
  const rows = counts.kernels_per_token.map(({ kernel, dispatches, bytes: moved, flops, seconds }) => [
    kernel,
    few(dispatches),
    bytes(moved),
    formatCount(Math.round(flops)),
    seconds === null ? '–' : time(seconds),
  ]);
  const head = ['kernel', 'dispatches', 'bytes', 'flops', 'time'];
  return `${testName(test)}, ${what}: ${total}\n\n${markdownTable([head, ...rows], [1, 2, 3, 4])}`;
}
