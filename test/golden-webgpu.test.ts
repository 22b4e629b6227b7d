/**
 * Golden cases of training, of adapters and of LLaMA's relatives on the webgpu device. The software adapters of the tests take minutes
 * for all of them: here are some of each kind; CRIA_GPU_TESTS=all runs every one.
 */
import { test } from 'node:test';
import { loraKinds } from './golden-kinds/lora.ts';
import { relativeKinds } from './golden-kinds/relatives.ts';
import { trainingKinds } from './golden-kinds/training.ts';
import { type AnyGoldenKind, runGoldenKinds } from './support/golden-kinds.ts';
import { gpuDevices, noGpu } from './support/webgpu.ts';

/** Between them: plain steps, LoRA, rsLoRA and DoRA, tied and untied heads, and every choice of the relatives. */
const chosen = [
  ...['llama2-recipe', 'lora-qv-r4', 'lora'],
  ...['gemma2', 'gpt-oss', 'granite', 'mixtral', 'olmo2', 'phi4-mini-long', 'qwen3', 'smollm3'],
];
const devices = await gpuDevices();
const isAll = process.env.CRIA_GPU_TESTS === 'all';

function onGpu(kind: AnyGoldenKind): AnyGoldenKind {
  return {
    ...kind,
    devices,
    matches: (item) => kind.matches(item) && (isAll || chosen.includes(item.name)),
  };
}

if (devices.length === 0) test('golden cases on webgpu', { skip: noGpu }, () => {});
else {
  // What each file has first is computed on devices.
  runGoldenKinds([...trainingKinds, loraKinds[0]!, relativeKinds[0]!].map(onGpu));
}
