import { existsSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { CriaError } from '../../base/errors.ts';
import { formatBytes, formatCount } from '../../base/units.ts';
import type { TokenizerFiles } from '../../formats/tokenizer-files.ts';
import { checkConfig } from '../../model/checkpoint/checkpoint.ts';
import type { LlamaConfig } from '../../model/config.ts';
import { presetNames, presets } from '../../model/presets.ts';
import { parseHfConfig } from '../../model/spelling/hf.ts';
import { findTokenizerFiles } from '../../platform/node/load-tokenizer.ts';
import { byteVocabulary, LEAST_BYTE_VOCABULARY } from '../../tokenizer/byte-vocabulary.ts';
import { createTokenizer } from '../../tokenizer/create-tokenizer.ts';
import { defineCommand } from '../command.ts';
import { writeJson, writeLine } from '../io.ts';
import { dtypeOption, save, saveOptions, sayFallbacks, totals } from '../model/save-model.ts';
import { didYouMean } from '../parse/did-you-mean.ts';

export const command = defineCommand({
  options: {
    preset: {
      kind: 'text',
      required: true,
      value: 'NAME|FILE',
      help: `${presetNames.join(', ')}; or the path of a config.json`,
    },
    ...saveOptions,
    dtype: { ...dtypeOption, default: 'f32' },
    seed: { kind: 'integer', min: 0, default: 0, help: 'the same seed gives the same file' },
    tokenizer: {
      kind: 'text',
      value: 'PATH',
      otherwise: 'a vocabulary of bytes that has the size of the model',
      help: "a tokenizer to put in: tokenizer.json, tokenizer.model, or any model's; it may be smaller than the model's vocabulary",
    },
  },
  positionals: ['preset'],
  details:
    'Writes a model with random weights: a starting point for training, and a file of any size for benchmarks. The weights are made\n' +
    'while they are written, so that memory does not limit the size.',
  examples: [
    ['init stories-15m -o start.gguf --seed 1', 'a small model to train'],
    ['init llama-2-13b -o big.gguf --dtype q8_0', 'the size of a published model'],
  ],
  async run(options, io) {
    const { name, config } = readPreset(options.preset);
    const tokenizer = options.tokenizer === undefined ? synthetic(config) : fitting(options.tokenizer, config);
    const job = {
      source: { kind: 'random', name, config, seed: options.seed, tokenizer },
      dtype: options.dtype,
      measure: false,
    } as const;
    const tensors = await save('writing', job, options, io);
    sayFallbacks('init', tensors, io);
    const { bytes, parameters } = totals(tensors);
    if (options.json) {
      const { output, dtype, seed } = options;
      writeJson(io.stdout, { output, name, config, dtype, seed, parameters, bytes, tokenizer: tokenizer !== null });
    } else {
      writeLine(io.stdout, `${options.output}: ${name}, ${formatCount(parameters)} parameters, ${formatBytes(bytes)}`);
    }
  },
});

/** A preset's name, whatever the case and the dashes ('stories260K', 'llama2-7B'), or a config.json. */
function readPreset(word: string): { name: string; config: LlamaConfig } {
  const plain = (name: string) => name.toLowerCase().replace(/[^a-z0-9.]/g, '');
  const name = presetNames.find((preset) => plain(preset) === plain(word));
  if (name !== undefined) return { name, config: presets[name] };
  if (!existsSync(word)) {
    throw new CriaError(
      'init.preset',
      `${word}: expected a preset or a config.json${didYouMean(word, presetNames)}. The presets are ${presetNames.join(', ')}.`,
    );
  }
  const { config } = parseHfConfig(basename(word), readFileSync(word, 'utf8'));
  return { name: basename(word, '.json'), config: checkConfig(basename(word), config) };
}

/** A vocabulary of bytes; none where the model's is too small to hold them. */
function synthetic({ vocabSize }: LlamaConfig): TokenizerFiles | null {
  return vocabSize < LEAST_BYTE_VOCABULARY ? null : byteVocabulary(vocabSize);
}

function fitting(path: string, { vocabSize }: LlamaConfig): TokenizerFiles {
  const files = findTokenizerFiles(path);
  const found = createTokenizer(files, { vocabSize }).vocabSize;
  if (found <= vocabSize) return files;
  throw new CriaError(
    'init.tokenizer',
    `${path}: expected at most the model's ${vocabSize} pieces, found ${found}. Take another preset, or a config.json with a vocab_size of ${found}.`,
  );
}
