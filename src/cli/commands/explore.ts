import { UsageError } from '../../base/errors.ts';
import { print, terminalScenes } from '../../explorer/terminal/print.ts';
import { reportOf } from '../../explorer/terminal/report.ts';
import { languageNames, languageOf, languages } from '../../explorer/words/words.ts';
import { samplingOptions } from '../../inference/sampler/options.ts';
import type { Llama } from '../../platform/node/index.ts';
import { defineCommand } from '../command.ts';
import { type Io, readAll, writeJson } from '../io.ts';
import { loadModel } from '../load-model.ts';
import { looksLikeModel } from '../model-name.ts';
import { modelOptions } from '../model-options.ts';
import type { Options, OptionTable } from '../option-table.ts';

const { seed, temperature, topK, topP, minP, typicalP, repeatPenalty } = samplingOptions;

const options = {
  ...modelOptions,
  prompt: { kind: 'text', short: 'p', otherwise: 'standard input', help: 'the text that is walked through' },
  ids: { kind: 'integers', min: 0, help: 'the text as token ids, for a model without a tokenizer' },
  block: { kind: 'integer', min: 0, default: 0, help: 'the block whose numbers are shown' },
  head: { kind: 'integer', min: 0, default: 0, help: 'the head whose attention is shown' },
  scene: { kind: 'choice', values: terminalScenes, otherwise: 'all but the map', help: 'one part only' },
  lang: {
    kind: 'choice',
    values: languageNames,
    otherwise: "the terminal's",
    help: 'the language of the explanations',
  },
  color: { kind: 'flag', default: true, help: 'plain text' },
  json: { kind: 'flag', help: 'the numbers as one JSON object' },
  seed: { ...seed, default: 0, min: 0, help: 'random numbers start here' },
  temperature,
  topK,
  topP,
  minP,
  typicalP,
  repeatPenalty,
} as const satisfies OptionTable;

export const command = defineCommand({
  options,
  positionals: ['model', 'prompt'],
  placeWords: ([word, ...more], free) =>
    word !== undefined && more.length === 0 && free.includes('prompt') && !looksLikeModel(word) ? ['prompt'] : free,
  details:
    'Prints how the next token comes about, in ten steps from text to choice, with the numbers of this model: tokens, shapes and corners of every matrix, ' +
    'the attention of one head, the length of the stream, the cache, the likeliest tokens and what each sampler leaves.',
  examples: [
    ['explore "The cat sat on the mat"', 'the walk with the bundled model'],
    ['explore model.gguf "The cat" --block 3 --head 5 --scene attention', "one head's attention"],
    ['explore "Once upon a time" --lang ko', 'in Korean'],
    ['explore "Once" --json', 'the numbers for programs'],
  ],
  async run(options, io) {
    const prompt = await readPrompt(options, io);
    const model = await loadModel(options, io);
    try {
      const { blockCount, headCount, contextLength } = model.config;
      const problems: string[] = [];
      if (options.block >= blockCount)
        problems.push(`--block ${options.block}: this model has blocks 0 to ${blockCount - 1}`);
      if (options.head >= headCount)
        problems.push(`--head ${options.head}: this model has heads 0 to ${headCount - 1}`);
      const ids = await idsOf(model, prompt);
      if (ids.length === 0) problems.push('the prompt has no tokens: write at least a word');
      if (ids.length > contextLength) {
        problems.push(`the prompt has ${ids.length} tokens, more than this model's context of ${contextLength}`);
      }
      if (problems.length > 0) throw new UsageError(problems);
      const { block, head, scene, seed, temperature, topK, topP, minP, typicalP, repeatPenalty } = options;
      const sampling = { seed, temperature, topK, topP, minP, typicalP, repeatPenalty };
      const report = await reportOf(model, ids, { block, head, sampling });
      if (options.json) {
        writeJson(io.stdout, report);
        return;
      }
      const isTerminal = io.stdout.isTTY === true;
      const { LC_ALL, LC_MESSAGES, LANG, NO_COLOR } = io.env;
      const words = languages[options.lang ?? languageOf([LC_ALL || LC_MESSAGES || LANG || ''])];
      const paper = { width: Math.max(40, io.stdout.columns ?? 100), color: options.color && isTerminal && !NO_COLOR };
      io.stdout.write(print(report, model.config, words, scene ?? null, paper));
    } finally {
      await model.close();
    }
  },
});

async function readPrompt({ prompt, ids }: Options<typeof options>, io: Io): Promise<string | readonly number[]> {
  if (prompt !== undefined && ids !== undefined) throw new UsageError(['--prompt and --ids both give a text']);
  if (ids !== undefined) return ids;
  if (prompt !== undefined) return prompt;
  if (io.stdin.isTTY)
    throw new UsageError(['a text is missing: give it as a word, with --prompt, or on standard input']);
  return readAll(io);
}

async function idsOf(model: Llama, prompt: string | readonly number[]): Promise<Uint32Array> {
  if (typeof prompt !== 'string') return Uint32Array.from(prompt);
  const { tokenizer } = model; // throws for a model without one, in words
  return tokenizer.encode(prompt, { bos: tokenizer.addBos && tokenizer.bosId !== null });
}
