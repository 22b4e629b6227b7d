/** A Hugging Face folder of random tensors under names that a test writes down, and what Cria computes of it. */
import { ok } from 'node:assert/strict';
import { Random } from '../../src/base/random.ts';
import type { Device } from '../../src/devices/device.ts';
import { MemoryFolder } from '../../src/formats/memory-source.ts';
import { writeSafetensors } from '../../src/formats/safetensors-write.ts';
import { MemorySink } from '../../src/formats/sink.ts';
import { batchOfSequences } from '../../src/kernels/batch.ts';
import { openCheckpoint } from '../../src/model/checkpoint/open.ts';
import { forward } from '../../src/model/llama.ts';
import { loadModel } from '../../src/model/model.ts';
import type { TensorSource } from '../../src/tensor/source.ts';
import type { Plain, Row } from './plain-math.ts';

export type Shapes = Readonly<Record<string, readonly number[]>>;

/** Numbers of f32 for every shape: gains about 1, the others about 0. */
export function randomTensors(shapes: Shapes, seed: number): Map<string, Plain> {
  const random = new Random(seed);
  return new Map(
    Object.entries(shapes).map(([name, shape]) => {
      const isGain = /norm/.test(name);
      const draw = () => Math.fround(isGain ? 1 + 0.2 * random.normal() : 0.3 * random.normal());
      return [name, { shape, values: Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, draw) }];
    }),
  );
}

function sourceOf(name: string, { shape, values }: Plain): TensorSource {
  const isBytes = values instanceof Uint8Array;
  const bytes = isBytes ? values : new Uint8Array((values as Float32Array).buffer);
  const dtype = isBytes ? 'u8' : 'f32';
  const width = shape.at(-1)! * (isBytes ? 1 : 4);
  const readRows: TensorSource['readRows'] = (target, first, rows) =>
    target.set(bytes.subarray(first * width, (first + rows) * width));
  return { name, dtype, shape, readRows };
}

export function openFolder(config: object, tensors: ReadonlyMap<string, Plain>) {
  const sink = new MemorySink();
  writeSafetensors(
    sink,
    [...tensors].map(([name, tensor]) => [name, sourceOf(name, tensor)] as const),
  );
  const files = new Map([
    ['config.json', new TextEncoder().encode(JSON.stringify(config))],
    ['model.safetensors', sink.bytes()],
  ]);
  return openCheckpoint(new MemoryFolder('folder', files));
}

/** The logits of every position, against those of the plain loops. */
export async function sameLogits(
  device: Device,
  config: object,
  tensors: ReadonlyMap<string, Plain>,
  ids: readonly number[],
  expected: readonly Row[],
): Promise<void> {
  const checkpoint = openFolder(config, tensors);
  const model = loadModel(device, checkpoint.config, checkpoint.tensors);
  const found = await device.read(forward(model, device.ops, batchOfSequences([ids])));
  const want = expected.flat();
  ok(found.length === want.length, `${found.length} logits, expected ${want.length}`);
  const most = want.reduce((a, b) => Math.max(a, Math.abs(b)), 0);
  for (const [i, one] of want.entries()) {
    const error = Math.abs(found[i]! - one) / most;
    ok(error <= 2e-5, `logit ${i % expected[0]!.length} of position ${Math.floor(i / expected[0]!.length)}: ${found[i]}, expected ${one}`); // biome-ignore format: one line
  }
}
