/** test/golden/forward: logits, hidden states and attention probabilities of whole models, on every device, at GOLDEN.md's tolerances. */
import { ok } from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { describe, test } from 'node:test';
import { batchOfSequences } from '../src/kernels/batch.ts';
import { forward } from '../src/model/llama.ts';
import { loadModel } from '../src/model/model.ts';
import { openCheckpointAt } from '../src/platform/node/files.ts';
import type { Tensor } from '../src/tensor/tensor.ts';
import { assertClose } from './support/close.ts';
import { testDevices } from './support/devices.ts';
import { goldenJson, goldenPath, goldenTensors, goldenTolerance } from './support/golden.ts';
import { gpuDevices } from './support/webgpu.ts';

interface ForwardCase {
  readonly fp32_vs_fp64: Record<string, { max_abs_err: number; max_abs_value: number }>;
}

const folder = (name: string) => `forward/${name}`;

for (const { name: deviceName, create } of [...testDevices, ...(await gpuDevices())]) {
  describe(`golden forward on ${deviceName}`, () => {
    for (const name of readdirSync(goldenPath('forward'))) {
      test(name, async () => {
        const checkpoint = openCheckpointAt(goldenPath(folder(name)));
        const expected = goldenTensors(`${folder(name)}/expected.safetensors`);
        const { fp32_vs_fp64: noise } = goldenJson<ForwardCase>(`${folder(name)}/expected.json`);
        const device = await create();
        const model = loadModel(device, checkpoint.config, checkpoint.tensors);

        const [B, T] = expected.input_ids!.shape as [number, number];
        const mask = expected.attention_mask?.data;
        const rows = Array.from({ length: B }, (_, b) => expected.input_ids!.data.subarray(b * T, (b + 1) * T));
        // Left padding has no place in a flattened batch: it is cut off here, and carries no expectation.
        const start = rows.map((_, b) => (mask ? mask.subarray(b * T, (b + 1) * T).indexOf(1) : 0));
        const batch = batchOfSequences(rows.map((row, b) => row.subarray(start[b]!)));

        const seen = new Map<string, Tensor>();
        const logits = forward(model, device.ops, batch, { tap: (tap, tensor) => seen.set(tap, tensor) });
        const check = async (what: string, tensor: Tensor) => {
          const width = tensor.shape.at(-1)!;
          const valid = start.flatMap((from, b) =>
            Array.from(expected[what]!.data.subarray((b * T + from) * width, (b + 1) * T * width)),
          );
          const tolerance = goldenTolerance(noise[what]!);
          assertClose(`${name} ${what}`, await device.read(tensor), valid, tolerance);
        };
        await check('logits', logits);
        await check('hidden.0', seen.get('embedding')!);
        for (let i = 0; i < checkpoint.config.blockCount; i++)
          await check(`hidden.${i + 1}`, seen.get(`blocks.${i}.output`)!);
        await check('hidden.norm', seen.get('norm')!);
        ok(
          Object.keys(expected).filter((key) => key.startsWith('hidden.')).length === checkpoint.config.blockCount + 2,
        );
        device.close();
        checkpoint.close();
      });
    }
  });
}
