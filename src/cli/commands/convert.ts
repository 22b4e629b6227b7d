import { existsSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { UsageError } from '../../base/errors.ts';
import { formatBytes } from '../../base/units.ts';
import { readGguf } from '../../formats/gguf.ts';
import type { Adapter } from '../../model/adapter/adapter.ts';
import { isGgufAdapter } from '../../model/adapter/open-gguf-adapter.ts';
import { PEFT_CONFIG } from '../../model/adapter/open-peft.ts';
import { adapterTypes } from '../../model/adapter/write-peft.ts';
import { openAdapterAt, openCheckpointAt, openFile } from '../../platform/node/files.ts';
import { saveAdapter } from '../../platform/node/save/save-adapter.ts';
import { modelOfRun } from '../../platform/node/training/run-checkpoint.ts';
import { defineCommand } from '../command.ts';
import { type Io, writeJson, writeLine } from '../io.ts';
import { dtypeOption, nameOption, save, saveOptions, sayFallbacks, totals } from '../model/save-model.ts';
import { resolveModel } from '../model-name.ts';
import { modelOption, openOptions, openOptionsOf } from '../model-options.ts';

export const command = defineCommand({
  options: {
    model: { ...modelOption, required: true },
    ...openOptions,
    ...saveOptions,
    dtype: { ...dtypeOption, otherwise: 'every tensor keeps its type' },
    name: nameOption,
    base: {
      kind: 'text',
      value: 'PATH|NAME',
      help: "where MODEL is an adapter: the model that it corrects, whose heads say how the adapter's rows lie",
    },
  },
  positionals: ['model', 'output'],
  details:
    'Reads GGUF, safetensors, pytorch_model.bin, Meta and llama2.c checkpoints; writes GGUF or a Hugging Face folder, with the tokenizer.\n' +
    'A folder holds f32, f16 or bf16 only: give --dtype for a model whose weights are quantized.\n' +
    "An adapter (PEFT's folder, a GGUF adapter) becomes the other kind; GGUF has no form for DoRA and for parameters trained whole.",
  examples: [
    ['convert Llama-2-7b-hf llama-2-7b.gguf --dtype f16', 'a Hugging Face folder to GGUF'],
    ['convert model.gguf model-hf --dtype bf16', 'and back'],
    ['convert my-lora my-lora.gguf --base model.gguf --dtype f16', "PEFT's adapter for llama.cpp"],
  ],
  async run(options, io) {
    if (options.base !== undefined || isAdapter(options.model)) {
      if (options.name !== undefined)
        throw new UsageError(['--name is for models: an adapter is called as its file is named']);
      convertAdapter(options, io);
      return;
    }
    const path = resolveModel(options.model);
    const job = {
      source: { kind: 'checkpoint', path, open: openOptionsOf(options) },
      dtype: options.dtype,
      name: options.name,
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

/** Of the folder of a run: its best checkpoint. */
const adapterPath = (name: string) => (existsSync(name) ? (modelOfRun(name) ?? name) : name);

/** By its files alone: what is named may also be a model. */
function isAdapter(name: string): boolean {
  const path = adapterPath(name);
  if (!existsSync(path)) return false;
  if (statSync(path).isDirectory()) return existsSync(join(path, PEFT_CONFIG));
  if (!path.toLowerCase().endsWith('.gguf')) return basename(path).startsWith('adapter_model.');
  const file = openFile(path);
  try {
    return isGgufAdapter(readGguf(file));
  } finally {
    file.close();
  }
}

function convertAdapter(
  options: {
    readonly model: string;
    readonly output: string;
    readonly base: string | undefined;
    readonly dtype: string | undefined;
    readonly json: boolean;
  } & Parameters<typeof openOptionsOf>[0],
  io: Io,
): void {
  const { model: from, output, base, dtype } = options;
  if (base === undefined)
    throw new UsageError([`${from} is an adapter: expected --base MODEL, the model that it corrects`]);
  const type = adapterTypes.find((each) => each === dtype);
  if (dtype !== undefined && type === undefined)
    throw new UsageError([`--dtype is ${dtype}: expected ${adapterTypes.join(', ')} for an adapter`]);
  const { config, close, name } = openCheckpointAt(resolveModel(base), openOptionsOf(options));
  close();
  const adapter = openAdapterAt(adapterPath(from), config);
  try {
    const dropout = Number(adapter.metadata.get('lora_dropout') ?? 0);
    const baseModel = baseNameOf(adapter) ?? name;
    saveAdapter(output, adapter, config, { baseModel, dropout, ...(type && { dtype: type }) });
    const matrices = adapter.layers.size;
    if (options.json) writeJson(io.stdout, { adapter: from, base, output, matrices, whole: adapter.replaced.size });
    else writeLine(io.stdout, `${output}: an adapter of ${matrices} matrices`);
  } finally {
    adapter.close();
  }
}

/** null: none, or a place on the machine where it was trained, which means nothing elsewhere. */
function baseNameOf({ metadata }: Adapter): string | null {
  const name = metadata.get('base_model_name_or_path') ?? metadata.get('general.base_model.0.name');
  return typeof name !== 'string' || /^([.~/\\]|[A-Za-z]:)/.test(name) ? null : name;
}
