import { UsageError } from '../../base/errors.ts';
import { formatBytes } from '../../base/units.ts';
import type { SavedTensor } from '../../platform/node/save/job.ts';
import { dtypes } from '../../tensor/dtype.ts';
import { formatShape } from '../../tensor/tensor.ts';
import { defineCommand } from '../command.ts';
import { type Io, writeJson, writeLine } from '../io.ts';
import {
  dtypeOption,
  formatOf,
  nameOption,
  parseType,
  save,
  saveOptions,
  totals,
  typeOption,
} from '../model/save-model.ts';
import { resolveModel } from '../model-name.ts';
import { modelOption, openOptions, openOptionsOf } from '../model-options.ts';
import { alignColumns } from '../terminal/columns.ts';

export const command = defineCommand({
  options: {
    model: { ...modelOption, required: true },
    ...openOptions,
    ...saveOptions,
    output: { ...saveOptions.output, help: 'the GGUF file to write' },
    dtype: { ...dtypeOption, required: true },
    name: nameOption,
    embeddingType: { ...typeOption, help: 'the type of the table of embeddings, whatever the mix says' },
    outputType: { ...typeOption, help: 'the type of the output matrix, where it is not the table of embeddings' },
    imatrix: {
      kind: 'text',
      value: 'PATH',
      otherwise: 'all columns count alike',
      help: "an importance matrix, from `cria imatrix` or llama.cpp's: errors of columns that matter cost more",
    },
  },
  positionals: ['model', 'output', 'dtype'],
  details:
    "The mixes are llama.cpp's: q4_k_m keeps the most sensitive matrices in more bits. The table shows for every tensor what it became and the\n" +
    'relative error, √(Σ(written − read)² / Σ read²), with --imatrix weighed by it. A shape that a type cannot hold gets another one, and the table says so.',
  examples: [
    ['quantize model-f16.gguf model-q4.gguf q4_k_m', 'a quarter of the size'],
    ['quantize model-f16.gguf model-iq4.gguf iq4_xs --imatrix model.imatrix.gguf', 'smaller still, steered by a text'],
    ['quantize Llama-2-7b-hf model-q8.gguf q8_0', 'from a Hugging Face folder'],
  ],
  async run(options, io) {
    if (formatOf(options.output) !== 'gguf')
      throw new UsageError(['--output must end in .gguf: no other format holds quantized weights']);
    const path = resolveModel(options.model);
    const job = {
      source: { kind: 'checkpoint', path, open: openOptionsOf(options) },
      dtype: options.dtype,
      name: options.name,
      imatrix: options.imatrix,
      asked: { embedding: parseType(options.embeddingType), output: parseType(options.outputType) },
      measure: true,
    } as const;
    const tensors = await save('quantizing', job, options, io);
    const again = tensors.filter(({ from, to }) => from !== to && !/^b?f\d/.test(from));
    if (again.length > 0) {
      const words = `${again.length} tensors were quantized before; errors add up, so start from f16 or bf16 where you can`;
      writeLine(io.stderr, `cria quantize: ${words}`);
    }
    if (options.imatrix !== undefined) sayWeighed(tensors, options.imatrix, io);
    if (options.json) {
      const rows = tensors.map(({ error, ...tensor }) => ({ ...tensor, relativeError: relative(error) }));
      writeJson(io.stdout, {
        model: path,
        output: options.output,
        dtype: options.dtype,
        imatrix: options.imatrix ?? null,
        ...totals(tensors),
        tensors: rows,
      });
    } else print(tensors, options.output, io);
  },
});

/** Matrices that the importance matrix knows nothing of: usually the embedding and the output. */
function sayWeighed(tensors: readonly SavedTensor[], imatrix: string, io: Io): void {
  const without = tensors.filter(({ from, to, weighed }) => !weighed && from !== to && dtypes[to].blockWeights > 1);
  if (without.length === 0) return;
  const names = without.length > 4 ? `${without.length} matrices` : without.map(({ name }) => name).join(', ');
  writeLine(io.stderr, `cria quantize: ${imatrix} has nothing on ${names}; all their columns count alike`);
}

function relative(error: SavedTensor['error']): number | null {
  if (error === null) return null;
  return error.energy > 0 ? Math.sqrt(error.squared / error.energy) : 0;
}

function print(tensors: readonly SavedTensor[], output: string, io: Io): void {
  const rows = tensors.map(({ name, shape, from, to, bytes, error, reason }) => {
    const change = from === to ? to : `${from} → ${to}`;
    const share = relative(error);
    const loss = share === null ? '' : `${(100 * share).toFixed(2)} %`;
    return [name, formatShape(shape), change, formatBytes(bytes), loss, reason ?? ''];
  });
  writeLine(io.stdout, alignColumns([['tensor', 'shape', 'type', 'size', 'error', ''], ...rows], [3, 4]));
  const { bytes, bitsPerWeight } = totals(tensors);
  writeLine(io.stdout, `\n${output}: ${formatBytes(bytes)}, ${bitsPerWeight.toFixed(2)} bits per weight`);
}
