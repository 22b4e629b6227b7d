import { formatBytes } from '../../base/units.ts';
import { defineCommand } from '../command.ts';
import { writeJson, writeLine } from '../io.ts';
import { resolveModel } from '../model-name.ts';
import { modelOption, openOptions, openOptionsOf } from '../model-options.ts';
import { dtypeOption, save, saveOptions, sayFallbacks, totals } from '../save-model.ts';

export const command = defineCommand({
  options: {
    model: { ...modelOption, required: true },
    ...openOptions,
    ...saveOptions,
    dtype: { ...dtypeOption, otherwise: 'every tensor keeps its type' },
  },
  positionals: ['model', 'output'],
  details:
    'Reads GGUF, safetensors, pytorch_model.bin, Meta and llama2.c checkpoints; writes GGUF or a Hugging Face folder, with the tokenizer.\n' +
    'A folder holds f32, f16 or bf16 only: give --dtype for a model whose weights are quantized.',
  examples: [
    ['convert Llama-2-7b-hf llama-2-7b.gguf --dtype f16', 'a Hugging Face folder to GGUF'],
    ['convert model.gguf model-hf --dtype bf16', 'and back'],
  ],
  async run(options, io) {
    const path = resolveModel(options.model);
    const job = {
      source: { kind: 'checkpoint', path, open: openOptionsOf(options) },
      dtype: options.dtype,
      measure: false,
    } as const;
    const tensors = await save('converting', job, options, io);
    sayFallbacks('convert', tensors, io);
    const { bytes, parameters, bitsPerWeight } = totals(tensors);
    if (options.json)
      writeJson(io.stdout, { model: path, output: options.output, tensors: tensors.length, parameters, bytes });
    else {
      const size = `${formatBytes(bytes)}, ${bitsPerWeight.toFixed(2)} bits per weight`;
      writeLine(io.stdout, `${options.output}: ${tensors.length} tensors, ${size}`);
    }
  },
});
