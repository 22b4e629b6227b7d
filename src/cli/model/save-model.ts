/** What `init`, `convert` and `quantize` share: their options, and writing with progress. */
import { existsSync, realpathSync } from 'node:fs';
import { UsageError } from '../../base/errors.ts';
import { formatBytes } from '../../base/units.ts';
import { describeMachine } from '../../platform/node/machine.ts';
import type { SavedTensor, SaveJob } from '../../platform/node/save/job.ts';
import { saveModel } from '../../platform/node/save/save.ts';
import { type MixName, mixes, parseMix } from '../../quant/mixes.ts';
import { type WritableType, writableTypes } from '../../tensor/dtype.ts';
import { type Io, writeLine } from '../io.ts';
import type { OptionSpec, OptionTable } from '../option-table.ts';
import { startProgress } from '../terminal/progress.ts';

export const saveOptions = {
  output: {
    kind: 'text',
    short: 'o',
    required: true,
    value: 'PATH',
    help: 'where to write: a name ending in .gguf makes a GGUF file, any other a Hugging Face folder with safetensors',
  },
  threads: {
    kind: 'integer',
    short: 't',
    min: 1,
    max: 1024,
    otherwise: 'one per physical core',
    help: 'threads that write',
  },
  json: { kind: 'flag', help: 'a JSON object with what was written; progress as JSON lines on stderr' },
} as const satisfies OptionTable;

const mixNames = Object.keys(mixes).map((name) => name.toLowerCase());

/** --dtype, checked against the mixes that there are. */
export const dtypeOption = {
  kind: 'text',
  value: 'TYPE',
  help: `how weights are stored: ${mixNames.join(', ')}`,
  check: (text: string) => {
    try {
      parseMix(text);
      return null;
    } catch {
      return `expected one of ${mixNames.join(', ')}`;
    }
  },
} as const satisfies OptionSpec;

/** For the verbs that write GGUF files of models that there are. */
export const nameOption = {
  kind: 'text',
  value: 'NAME',
  otherwise: 'as the model is called now',
  help: 'what the GGUF file says that the model is called',
} as const satisfies OptionSpec;

/** Types that single matrices may be asked to have: those that can be written. */
export const typeOption = {
  kind: 'text',
  value: 'TYPE',
  otherwise: 'what the mix says',
  check: (text: string) => {
    const types = writableTypes.map((type) => type.toLowerCase());
    return types.includes(text.toLowerCase()) ? null : `expected one of ${types.join(', ')}`;
  },
} as const;

/** The type of this name, in any case. */
export function parseType(text: string | undefined): WritableType | undefined {
  return writableTypes.find((type) => type.toLowerCase() === text?.toLowerCase());
}

export interface SaveOptions {
  readonly output: string;
  readonly threads: number | undefined;
  readonly json: boolean;
}

/** What one name stands for: `x.gguf` a file, everything else a folder. */
export function formatOf(output: string): SaveJob['format'] {
  return output.toLowerCase().endsWith('.gguf') ? 'gguf' : 'safetensors';
}

/** A name that stands for another kind of file, and a model that would be written over itself. */
function checkOutput(output: string, source: SaveJob['source']): void {
  const other = /\.(safetensors|bin|pth?|ggml|json|zip|gz)$/i.exec(output)?.[0];
  if (other !== undefined) {
    throw new UsageError([
      `--output is ${output}: expected a name ending in .gguf for a file, or another for a folder with safetensors, found one ending in ${other}`,
    ]);
  }
  if (source.kind === 'checkpoint' && existsSync(output) && realpathSync(output) === realpathSync(source.path)) {
    throw new UsageError([
      `--output is the model itself, ${output}: expected another name, as its weights would be lost`,
    ]);
  }
}

export async function save(
  what: string,
  job: Omit<SaveJob, 'format' | 'mix'> & { readonly dtype: string | undefined },
  options: SaveOptions,
  io: Io,
): Promise<readonly SavedTensor[]> {
  const { dtype, ...rest } = job;
  checkOutput(options.output, job.source);
  if (job.name !== undefined && formatOf(options.output) !== 'gguf')
    throw new UsageError(['--name is written into GGUF files alone; a folder is called as it is named']);
  const mix: MixName | null = dtype === undefined ? null : parseMix(dtype);
  let progress: ReturnType<typeof startProgress> | null = null;
  try {
    return await saveModel({ ...rest, mix, format: formatOf(options.output) }, options.output, {
      threads: options.threads ?? describeMachine().physicalCores,
      signal: io.signal,
      onProgress: (done, total) => {
        progress ??= startProgress(io, { what, total, json: options.json, amount: formatBytes });
        progress.update(done);
      },
    });
  } finally {
    (progress as ReturnType<typeof startProgress> | null)?.end();
  }
}

/** Says once, on stderr, which tensors could not have the type that was asked for. */
export function sayFallbacks(verb: string, tensors: readonly SavedTensor[], io: Io): void {
  const others = tensors.filter(({ reason }) => reason !== null);
  if (others.length === 0) return;
  const [{ name, reason }] = others as [SavedTensor];
  const rest = others.length === 1 ? '' : `, and ${others.length - 1} more like it`;
  writeLine(io.stderr, `cria ${verb}: ${name}: ${reason}${rest}`);
}

/** Size and bits of a written model. */
export function totals(tensors: readonly SavedTensor[]): { bytes: number; parameters: number; bitsPerWeight: number } {
  const bytes = tensors.reduce((sum, tensor) => sum + tensor.bytes, 0);
  const parameters = tensors.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
  return { bytes, parameters, bitsPerWeight: (bytes * 8) / parameters };
}
