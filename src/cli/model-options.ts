/** Options that several verbs share. */
import { deviceKinds } from '../devices/device.ts';
import { DEFAULT_CONTEXT } from '../inference/remote/load-defaults.ts';
import { kvTypes } from '../kernels/ops.ts';
import type { OptionSpec, Options, OptionTable } from './option-table.ts';

export const modelOption = {
  kind: 'text',
  short: 'm',
  value: 'PATH|NAME',
  otherwise: 'the bundled model',
  help: 'GGUF or safetensors file, Hugging Face or Meta folder, llama2.c file, hf:owner/repo[:quant], or the name of a bundled model',
} as const satisfies OptionSpec;

export const jsonOption = {
  kind: 'flag',
  help: 'results as JSON, progress as JSON lines on stderr',
} as const satisfies OptionSpec;

/** Which model, and how it is run. */
export const modelOptions = {
  model: modelOption,
  threads: {
    kind: 'integer',
    short: 't',
    min: 1,
    max: 1024,
    otherwise: 'one per physical core',
    help: 'threads that compute',
  },
  context: {
    kind: 'integer',
    short: 'c',
    min: 1,
    otherwise: `the model's own length, at most ${DEFAULT_CONTEXT}`,
    help: 'longest sequence, prompt and answer together, in tokens',
  },
  kvType: {
    kind: 'choice',
    values: kvTypes,
    otherwise: 'f16, or f32 for a model stored in f32',
    help: 'how keys and values are stored',
  },
  device: { kind: 'choice', values: ['auto', ...deviceKinds], default: 'auto', help: 'what computes' },
  blas: {
    kind: 'flag',
    help: 'long prompts by the system BLAS where it is faster than our kernels; the bits are then not promised to be the same',
  },
  revectorize: {
    kind: 'flag',
    default: true,
    help: 'stay with 128-bit vectors, where this Node could join two to 256 bits',
  },
  offline: { kind: 'flag', help: 'never fetch a model: hf: names must have been pulled before' },
} as const satisfies OptionTable;

export type ModelOptions = Options<typeof modelOptions>;
