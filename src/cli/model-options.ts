/** Options that several verbs share. */

import { UsageError } from '../base/errors.ts';
import { deviceKinds } from '../devices/device.ts';
import { generationOptions } from '../inference/options.ts';
import { DEFAULT_KEPT_BYTES } from '../inference/remote/load.ts';
import { DEFAULT_CONTEXT } from '../inference/remote/load-defaults.ts';
import { kvTypes } from '../kernels/ops.ts';
import type { OpenOptions } from '../model/checkpoint/checkpoint.ts';
import { longName, type OptionSpec, type Options, type OptionTable } from './option-table.ts';
import { adapterOption } from './parse/adapter-option.ts';

export const modelOption = {
  kind: 'text',
  short: 'm',
  value: 'PATH|NAME',
  otherwise: 'the bundled model',
  help: 'GGUF or safetensors file, Hugging Face or Meta folder, llama2.c file, hf:owner/repo[:quant], or the name of a bundled model (bundled: the first)',
} as const satisfies OptionSpec;

export const jsonOption = {
  kind: 'flag',
  help: 'results as JSON, progress as JSON lines on stderr',
} as const satisfies OptionSpec;

export const deviceOption = {
  kind: 'choice',
  values: ['auto', ...deviceKinds],
  default: 'auto',
  help: 'what computes: wasm, the GPU by webgpu (in Node: npm install webgpu), the faster of them as measured once (auto), or the slow reference',
} as const satisfies OptionSpec;

/** What is said of a model's files where they are silent, or say what nobody knows. */
export const openOptions = {
  ignoreKey: {
    kind: 'texts',
    value: 'NAME',
    help: 'a key of config.json, or of a GGUF file, that is read as if it were not there',
  },
  pre: {
    kind: 'text',
    value: 'NAME',
    otherwise: "the file's own",
    help: 'how a GGUF vocabulary cuts text into words: llama-bpe, qwen2, tekken …',
  },
} as const satisfies OptionTable;

/** The same in the library's words. */
export function openOptionsOf({
  ignoreKey,
  pre,
  ropeScaling,
}: Options<typeof openOptions> & { readonly ropeScaling?: string | undefined }): OpenOptions {
  return {
    ...(ignoreKey.length > 0 && { ignoreKeys: ignoreKey }),
    ...(pre !== undefined && { pre }),
    ...(ropeScaling !== undefined && { ropeScaling }),
  };
}

/** Which model, and how it is run. */
export const modelOptions = {
  model: modelOption,
  adapter: adapterOption,
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
  device: deviceOption,
  blas: {
    kind: 'flag',
    help: 'long prompts by the system BLAS where it is faster than our kernels; the bits are then not promised to be the same',
  },
  revectorize: {
    kind: 'flag',
    default: true,
    help: 'stay with 128-bit vectors, where this Node could join two to 256 bits',
  },
  native: {
    kind: 'flag',
    default: true,
    help: 'stay with WebAssembly, where this processor could run machine code',
  },
  ...openOptions,
  ropeScaling: {
    kind: 'text',
    value: 'METHOD',
    otherwise: 'as its files say',
    help: 'for texts longer than the model was made for, with --context: dynamic, linear:FACTOR or yarn:FACTOR',
  },
  offline: { kind: 'flag', help: 'never fetch a model: hf: names must have been pulled before' },
} as const satisfies OptionTable;

/** For verbs that generate. */
export const draftOption = {
  kind: 'texts',
  value: 'ngram|MODEL',
  otherwise: 'nothing is guessed',
  help: 'guess tokens ahead and check several at once; no text changes. ngram looks them up in the text so far: for edits, extracts and code; a smaller model of the same vocabulary goes ahead. Both may be given',
  check: (text: string) => (text === '' ? 'expected ngram or a model' : null),
} as const satisfies OptionSpec;

/** For verbs that read prompts. */
export const cacheDirOptions = {
  cacheDir: {
    kind: 'text',
    value: 'FOLDER',
    otherwise: 'it is forgotten',
    help: 'keep what was read of prompts in this folder, for the next time and for other processes',
  },
  cacheDirGib: {
    kind: 'number',
    min: 0.001,
    default: DEFAULT_KEPT_BYTES / 2 ** 30,
    help: 'how much that folder holds at most, in GiB: what was not used for longest goes',
  },
} as const satisfies OptionTable;

/** Throws UsageError where guesses are described that nobody makes. */
export function checkDraft(
  given: Options<{ draft: typeof draftOption }> & { draftMax: number; draftMin: number; draftPMin: number },
): void {
  const models = given.draft.filter((word) => word !== 'ngram');
  if (models.length > 1) throw new UsageError([`--draft names ${models.length} models, expected one at most`]);
  if (given.draft.length > 0) return;
  const set = (['draftMax', 'draftMin', 'draftPMin'] as const).filter(
    (key) => given[key] !== generationOptions[key].default,
  );
  if (set.length > 0) throw new UsageError([`${set.map(longName).join(', ')}: nothing is guessed without --draft`]);
}

export type ModelOptions = Options<typeof modelOptions>;

/** When a run ends before its last step, and how it goes on: `train`, `finetune`. */
export const resumeOptions = {
  maxTime: {
    kind: 'text',
    value: 'TIME',
    otherwise: 'until the last step',
    help: 'save a checkpoint and end after this time, as in 90s, 45m, 8h or 1h30m',
    check: (text) => (millisecondsOf(text) === null ? 'expected a time as in 90s, 45m, 8h or 1h30m' : null),
  },
  resume: {
    kind: 'flag',
    word: 'auto',
    help: 'go on after the newest sound checkpoint, to the same bits; begin where there is none (also --resume auto)',
  },
  allowChange: {
    kind: 'texts',
    value: 'KEY',
    help: 'go on although this setting of the recipe, or group of settings, has changed, as in training.learningRate',
  },
} as const satisfies OptionTable;

/** '1h30m' in milliseconds; null: no time. */
export function millisecondsOf(text: string): number | null {
  const [, hours, minutes, seconds] = /^(?:([\d.]+)h)?(?:([\d.]+)m)?(?:([\d.]+)s)?$/.exec(text.trim()) ?? [];
  const total = 3600 * Number(hours ?? 0) + 60 * Number(minutes ?? 0) + Number(seconds ?? 0);
  return Number.isFinite(total) && total > 0 ? total * 1000 : null;
}

/** Whether the time of --max-time is over, counted from now. */
export function timer(maxTime: string | undefined): () => boolean {
  const limit = maxTime === undefined ? Number.POSITIVE_INFINITY : performance.now() + millisecondsOf(maxTime)!;
  return () => performance.now() > limit;
}
