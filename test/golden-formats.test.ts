/** test/golden/formats: a model read from every kind of file gives the logits of the reference, on every device. */
import { describe, test } from 'node:test';
import { batchOfSequences } from '../src/kernels/batch.ts';
import { forward } from '../src/model/llama.ts';
import { loadModel } from '../src/model/model.ts';
import { openCheckpointAt } from '../src/platform/node/files.ts';
import { assertClose } from './support/close.ts';
import { testDevices } from './support/devices.ts';
import { goldenJson, goldenPath, goldenTensors, goldenTolerance } from './support/golden.ts';

/** File or folder under test/golden/formats → the tensor of its case's expected.safetensors that holds its logits. */
const files = {
  'gguf-llama-cpp-converter/hf': 'logits.hf_f32',
  'gguf-llama-cpp-converter/model-f16.gguf': 'logits.f16',
  'gguf-llama-cpp-converter/model-q8_0.gguf': 'logits.q8_0',
  'gguf-llama-mixed/model.gguf': 'logits',
  'meta-llama1-mp2/hf': 'logits',
  'meta-llama1-mp2/meta': 'logits',
  'meta-llama2-mp2/hf': 'logits',
  'meta-llama2-mp2/meta': 'logits',
  'meta-llama3-mp2/hf': 'logits',
  'meta-llama3-mp2/meta': 'logits',
  'safetensors-bf16': 'logits',
  'safetensors-fp16': 'logits',
  'safetensors-sharded': 'logits',
  'torch-bin': 'logits',
};

type Noise = { max_abs_err: number; max_abs_value: number };

for (const { name: deviceName, create } of testDevices) {
  describe(`golden formats on ${deviceName}`, () => {
    for (const [path, logitsName] of Object.entries(files)) {
      test(path, async () => {
        const folder = `formats/${path.split('/')[0]}`;
        const expected = goldenTensors(`${folder}/expected.safetensors`);
        const { fp32_vs_fp64: noise } = goldenJson<{ fp32_vs_fp64?: Record<string, Noise> }>(`${folder}/expected.json`);
        const checkpoint = openCheckpointAt(goldenPath(`formats/${path}`));
        const device = await create();
        const model = loadModel(device, checkpoint.config, checkpoint.tensors);

        const { shape, data } = expected.input_ids!;
        const [B, T] = shape as [number, number];
        const batch = batchOfSequences(Array.from({ length: B }, (_, b) => data.subarray(b * T, (b + 1) * T)));
        const logits = await device.read(forward(model, device.ops, batch));
        const wanted = expected[logitsName]!.data;
        const largest = wanted.reduce((max, x) => Math.max(max, Math.abs(x)), 0);
        // Where the case records no noise of its own, GOLDEN.md's typical one: 1e-5 of the largest logit.
        assertClose(path, logits, wanted, goldenTolerance(noise?.logits ?? { max_abs_err: 0, max_abs_value: largest }));
        device.close();
        checkpoint.close();
      });
    }
  });
}
