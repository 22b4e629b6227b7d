import type { Command } from './command.ts';

interface Verb {
  readonly group: 'Use a model' | 'Make a model' | 'Look and measure';
  readonly summary: string;
  /** Loaded when it is called, so that `cria --help` is instant and a verb costs only what it needs. */
  load(): Promise<{ readonly command: Command }>;
}

/** Every verb. A name of two words is called with both: `cria tokenizer train`. */
export const verbs: Readonly<Record<string, Verb>> = {
  run: {
    group: 'Use a model',
    summary: 'continue a text',
    load: () => import('./commands/run.ts'),
  },
  chat: {
    group: 'Use a model',
    summary: 'talk with a model at the terminal',
    load: () => import('./commands/chat.ts'),
  },
  serve: {
    group: 'Use a model',
    summary: "answer OpenAI's protocol over HTTP, with a chat page",
    load: () => import('./commands/serve.ts'),
  },
  ps: {
    group: 'Use a model',
    summary: 'the models that a running server has in memory',
    load: () => import('./commands/ps.ts'),
  },
  pull: {
    group: 'Use a model',
    summary: 'fetch a model from the Hugging Face hub',
    load: () => import('./commands/pull.ts'),
  },
  list: {
    group: 'Use a model',
    summary: 'the models that are here',
    load: () => import('./commands/list.ts'),
  },
  rm: {
    group: 'Use a model',
    summary: 'remove a model that was pulled',
    load: () => import('./commands/rm.ts'),
  },
  init: {
    group: 'Make a model',
    summary: 'write a model of any size with random weights',
    load: () => import('./commands/init.ts'),
  },
  convert: {
    group: 'Make a model',
    summary: 'from any format that Cria reads to GGUF or a Hugging Face folder',
    load: () => import('./commands/convert.ts'),
  },
  quantize: {
    group: 'Make a model',
    summary: 'store the weights of a model in fewer bits',
    load: () => import('./commands/quantize.ts'),
  },
  imatrix: {
    group: 'Make a model',
    summary: 'measure over a text which columns of the weights matter, for `quantize --imatrix`',
    load: () => import('./commands/imatrix.ts'),
  },
  merge: {
    group: 'Make a model',
    summary: 'add adapters to the weights of a model, with a proof',
    load: () => import('./commands/merge.ts'),
  },
  corpus: {
    group: 'Make a model',
    summary: 'raw dumps to clean, mixed token shards, with a report of all that was dropped',
    load: () => import('./commands/corpus.ts'),
  },
  'corpus inspect': {
    group: 'Make a model',
    summary: 'what `cria corpus` dropped, and why',
    load: () => import('./commands/corpus-inspect.ts'),
  },
  'corpus query': {
    group: 'Make a model',
    summary: 'ask in SQL what `cria corpus` kept and dropped',
    load: () => import('./commands/corpus-query.ts'),
  },
  'tokenizer train': {
    group: 'Make a model',
    summary: 'train a vocabulary on text: SentencePiece as LLaMA has it, or byte-level BPE',
    load: () => import('./commands/tokenizer-train.ts'),
  },
  train: {
    group: 'Make a model',
    summary: 'train a LLaMA from a recipe',
    load: () => import('./commands/train.ts'),
  },
  finetune: {
    group: 'Make a model',
    summary: 'tune a model on conversations, preferences or rewards, whole or as an adapter',
    load: () => import('./commands/finetune.ts'),
  },
  lab: {
    group: 'Make a model',
    summary: "train small models that differ in one choice: LLaMA's, and what it is compared with",
    load: () => import('./commands/lab.ts'),
  },
  'lab attention': {
    group: 'Look and measure',
    summary: 'what multi-head, grouped and multi-query attention cost: formulas, counted bytes, measured time',
    load: () => import('./commands/lab-attention.ts'),
  },
  doctor: {
    group: 'Look and measure',
    summary: 'what this machine offers, which kernels will run, and what to do about what is missing',
    load: () => import('./commands/doctor.ts'),
  },
  inspect: {
    group: 'Look and measure',
    summary: "a model's metadata, configuration and tensors",
    load: () => import('./commands/inspect.ts'),
  },
  explore: {
    group: 'Look and measure',
    summary: 'how the next token comes about: every number of the model, step by step',
    load: () => import('./commands/explore.ts'),
  },
  tokenize: {
    group: 'Look and measure',
    summary: 'text to token ids and pieces, and back',
    load: () => import('./commands/tokenize.ts'),
  },
  perplexity: {
    group: 'Look and measure',
    summary: 'how well a model predicts a text',
    load: () => import('./commands/perplexity.ts'),
  },
  eval: {
    group: 'Look and measure',
    summary: 'how many multiple-choice questions a model gets right',
    load: () => import('./commands/eval.ts'),
  },
  bench: {
    group: 'Look and measure',
    summary: "speed, in llama-bench's rows",
    load: () => import('./commands/bench.ts'),
  },
};
