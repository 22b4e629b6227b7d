/** The steps that a model is asked for sooner or later, rehearsed, so that no first token waits for kernels to be compiled. */
import type { Batch } from '../../kernels/batch.ts';
import { forward } from '../../model/llama.ts';
import type { Engine } from '../engine.ts';

/** New rows of a step, and of how many the logits are wanted: tokens of one and of several sequences, a prompt that fills tiles of kernels. */
const STEPS = [
  [1, 1],
  [2, 2],
  [4, 4],
  [8, 8],
  [64, 1],
] as const;

/** Does nothing on devices that compile ahead. `onProgress` hears of the kernels. */
export async function rehearse(engine: Engine, onProgress: (done: number, total: number) => void): Promise<void> {
  const { device, model, store, segment, contextLength } = engine;
  const positions = Math.min(contextLength, store.blockCount * store.blockTokens);
  const blocks = Uint32Array.from({ length: store.blockCount }, (_, i) => i);
  const step = (rowCount: number, wanted: number, firstPosition: number) => {
    const spans = [{ firstRow: 0, rowCount, firstPosition, blocks }];
    const ids = new Uint32Array(rowCount);
    const batch: Batch = { ids, positions: ids.map((_, i) => firstPosition + i), spans };
    const mark = device.mark();
    const rows_R = Uint32Array.from({ length: wanted }, (_, i) => rowCount - wanted + i);
    const logits = forward(model, device.ops, batch, { cache: store, rows_R, segment });
    device.largest?.(logits, 1);
    device.release(mark);
  };
  await device.rehearse?.(() => {
    for (const [rows, wanted] of STEPS) if (rows <= positions) step(rows, wanted, 0);
    step(1, 1, positions - 1);
  }, onProgress);
}
