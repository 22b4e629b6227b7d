/**
 * Every key of a fine-tuning recipe, with its default. Papers' hyper-parameters are the defaults, where
 * there are such; their sources stand beside them.
 */
import { recomputePolicies } from '../autograd/tape.ts';
import { PASS_TOKENS } from '../training/micro-batch.ts';
import type { Checked, Schema } from '../training/recipe/schema.ts';
import { trainOnChoices } from './data/encode.ts';
import { tooLongChoices } from './data/fit.ts';
import { formatNames } from './data/formats.ts';
import { packingChoices } from './data/packing.ts';
import { groupScalings } from './losses/advantages.ts';
import { grpoLossNames } from './losses/grpo.ts';
import { klEstimators } from './losses/kl.ts';
import { preferenceLossNames } from './losses/preference.ts';
import { marginTableNames } from './losses/reward-model.ts';
import { ruleNames } from './rules.ts';

const positive = { kind: 'number', min: 0, above: true } as const;
const share = { kind: 'number', min: 0, max: 1 } as const;
const count = { kind: 'integer', min: 1 } as const;
const text = { kind: 'text' } as const;

/** Fields of rows under other names. */
const fieldNames = [
  'instruction',
  'input',
  'output',
  'conversations',
  'messages',
  'system',
  'tools',
  'prompt',
  'completion',
  'text',
  'chosen',
  'rejected',
  'margin',
  'rating',
  'label',
  'tag',
  'dialogue',
  'answer',
] as const;

const source = {
  kind: 'object',
  keys: {
    /** A file, a folder, or hf:owner/name. */
    path: { kind: 'text', required: true },
    /** Of a data set of the hub. */
    split: text,
    subset: text,
    /** Absent: by the fields of each row. */
    format: { kind: 'choice', values: formatNames },
    fields: {
      kind: 'object',
      keys: Object.fromEntries(fieldNames.map((name) => [name, text])) as {
        [name in (typeof fieldNames)[number]]: typeof text;
      },
    },
    /** Times that its rows are seen in an epoch. */
    repeat: { ...count, default: 1 },
    /** Rows that are used, from the first on; absent: all. */
    rows: count,
  },
} as const satisfies Schema;

/** What an adapter may correct, by the names of Hugging Face's modules. */
export const adapterTargets = [
  'q_proj',
  'k_proj',
  'v_proj',
  'o_proj',
  'gate_proj',
  'up_proj',
  'down_proj',
  'lm_head',
  'embed_tokens',
] as const;

export const methods = ['sft', 'reward', 'rejection', 'ppo', 'dpo', 'grpo'] as const;
export type Method = (typeof methods)[number];

export const dpoLosses = [...preferenceLossNames, 'kto', 'orpo', 'simpo'] as const;

/** Every key of a recipe. An unknown key is an error. */
export const recipeSchema = {
  kind: 'object',
  keys: {
    name: { kind: 'text', required: true },
    seed: { kind: 'integer', min: 0, default: 1 },
    method: { kind: 'choice', values: methods, default: 'sft' },
    model: {
      kind: 'object',
      keys: {
        /** A path, `bundled` or a bundled model's name, hf:owner/name, the folder of a run, or stage:NAME. */
        from: { kind: 'text', required: true },
        /** A shallower model is trained, which begins with this share of the model's blocks: 0.25 for a draft. Absent: all. */
        keepBlocks: { ...share, above: true },
        /** Absent: the model's own. */
        contextLength: count,
        /** A built-in template's name, a file of Jinja, or Jinja; absent: the model's own. It is written into the checkpoints. */
        template: text,
      },
    },
    data: {
      kind: 'object',
      keys: {
        train: { kind: 'list', required: true, item: source },
        /** What is never trained on. */
        valid: { kind: 'list', item: source },
        /** Without `valid`: the share of the samples that is held back. */
        validShare: { ...share, default: 0 },
        trainOn: { kind: 'choice', values: trainOnChoices, default: 'all' },
        tooLong: { kind: 'choice', values: tooLongChoices, default: 'refuse' },
        packing: { kind: 'choice', values: packingChoices, default: 'none' },
        /** Prompts and completions that are texts become turns of a conversation. */
        asChat: { kind: 'boolean', default: false },
      },
    },
    adapter: {
      kind: 'object',
      keys: {
        kind: { kind: 'choice', values: ['none', 'lora', 'dora'], default: 'none' },
        /** What the frozen matrices of the blocks are held in: as they are stored, or in fewer bits (QLoRA). */
        base: { kind: 'choice', values: ['stored', 'q8_0', 'q4_k', 'nf4'], default: 'stored' },
        rank: { ...count, default: 8 },
        /** Absent: as the rank. */
        alpha: positive,
        /** α / √rank instead of α / rank. */
        rsLora: { kind: 'boolean', default: false },
        /** Of what goes into A in training: the share of the numbers that is dropped (PEFT's lora_dropout). Absent: none. */
        dropout: { kind: 'number', min: 0, above: true, max: 0.9 },
        /** Absent: `all`, the linear layers of the blocks. */
        targets: { kind: 'list', item: { kind: 'choice', values: ['all', ...adapterTargets] } },
        ranks: {
          kind: 'object',
          keys: Object.fromEntries(adapterTargets.map((name) => [name, count])) as {
            [name in (typeof adapterTargets)[number]]: typeof count;
          },
        },
      },
    },
    training: {
      kind: 'object',
      keys: {
        /** Absent, and without `steps`: 3. */
        epochs: positive,
        /** At most so many. */
        steps: count,
        /** Rows in one step: samples, pairs, or packed rows. */
        batch: { ...count, default: 32 },
        /** Absent: the usual one of the method; see run/schedule.ts. */
        learningRate: positive,
        /** Tokens that go through the model at once; fewer need less memory. A longer sample goes by itself. */
        microBatchTokens: { ...count, max: PASS_TOKENS, default: PASS_TOKENS },
        schedule: { kind: 'choice', values: ['cosine', 'constant', 'linear'], default: 'cosine' },
        /** Of the steps. */
        warmup: { ...share, default: 0.03 },
        finalFraction: { ...share, default: 0 },
        weightDecay: { kind: 'number', min: 0, default: 0 },
        beta1: { ...share, default: 0.9 },
        beta2: { ...share, default: 0.999 },
        eps: { ...positive, default: 1e-8 },
        clip: { ...positive, default: 1 },
        recompute: { kind: 'choice', values: recomputePolicies, default: 'none' },
        products: { kind: 'choice', values: ['f32', 'bf16'], default: 'f32' },
        /** NEFTune's noise on embeddings. */
        neftuneAlpha: positive,
        onAnomaly: { kind: 'choice', values: ['stop', 'skip'], default: 'stop' },
        spikeDeviations: positive,
      },
    },
    dpo: {
      kind: 'object',
      keys: {
        loss: { kind: 'choice', values: dpoLosses, default: 'sigmoid' },
        beta: { ...positive, default: 0.1 },
        labelSmoothing: { kind: 'number', min: 0, max: 0.499, default: 0 },
        referenceFree: { kind: 'boolean', default: false },
        /** Weight of the chosen answers' own loss, which keeps them likely. */
        nllWeight: { kind: 'number', min: 0, default: 0 },
        /** simpo's margin. */
        gamma: { kind: 'number', min: 0, default: 0.5 },
        /** orpo's weight of the odds ratio. */
        lambda: { ...positive, default: 0.1 },
        desirableWeight: { ...positive, default: 1 },
        undesirableWeight: { ...positive, default: 1 },
      },
    },
    reward: {
      kind: 'object',
      keys: {
        /** Margins of ratings, as in Llama 2's table 27. */
        margins: { kind: 'choice', values: marginTableNames, default: 'none' },
        centerCoefficient: { kind: 'number', min: 0, default: 0 },
      },
    },
    /** How answers are drawn (rejection, ppo, grpo). */
    sampling: {
      kind: 'object',
      keys: {
        /** Answers to one prompt; absent: 8. ppo draws one. */
        answers: count,
        maxTokens: { ...count, default: 128 },
        temperature: { ...positive, default: 1 },
      },
    },
    /** What judges answers (rejection, ppo, grpo): a reward model, two of them as in Llama 2, or a rule. */
    judge: {
      kind: 'object',
      keys: {
        /** A run of `method: reward`, or stage:NAME. */
        helpfulness: text,
        safety: text,
        rule: { kind: 'choice', values: ruleNames },
        /** What the rule looks for. */
        words: { kind: 'list', item: text },
      },
    },
    rejection: {
      kind: 'object',
      keys: { rounds: { ...count, default: 1 } },
    },
    ppo: {
      kind: 'object',
      keys: {
        iterations: { ...count, default: 200 },
        /** Prompts in one iteration. */
        prompts: { ...count, default: 512 },
        /** Answers in one gradient step. */
        minibatch: { ...count, default: 64 },
        epochs: { ...count, default: 1 },
        /** Weight of the KL to the reference. */
        beta: { kind: 'number', min: 0, default: 0.01 },
        kl: { kind: 'choice', values: klEstimators, default: 'k1' },
        clip: { ...positive, default: 0.2 },
        clipValue: { ...positive, default: 0.2 },
        valueCoefficient: { kind: 'number', min: 0, default: 0.1 },
        gamma: { ...share, default: 1 },
        lambda: { ...share, default: 0.95 },
        /** Taken off the score of an answer that does not end. */
        missingEndPenalty: { kind: 'number', min: 0, default: 0 },
        /** Ends when the mean score on the held-back prompts has not risen for so many looks; absent: never. */
        patience: count,
        /** Ends when the KL (k3) of an answer exceeds this; absent: never. */
        maxKl: positive,
      },
    },
    grpo: {
      kind: 'object',
      keys: {
        iterations: { ...count, default: 200 },
        prompts: { ...count, default: 16 },
        loss: { kind: 'choice', values: grpoLossNames, default: 'dapo' },
        scaling: { kind: 'choice', values: groupScalings, default: 'group' },
        importance: { kind: 'choice', values: ['token', 'sequence'], default: 'token' },
        beta: { kind: 'number', min: 0, default: 0 },
        epsilonLow: { ...positive, default: 0.2 },
        epsilonHigh: { ...positive, default: 0.2 },
        /** Gradient steps on one set of answers. */
        epochs: { ...count, default: 1 },
      },
    },
    output: {
      kind: 'object',
      keys: {
        validateEvery: { ...count, default: 100 },
        checkpointEvery: { ...count, default: 100 },
        sampleEvery: { ...count, default: 100 },
        keepLast: { ...count, default: 2 },
        /** A checkpoint at every so many steps that stays, beside the last and the best. */
        keepEvery: count,
        samplePrompt: { kind: 'text', default: 'Tell me a story.' },
        sampleTokens: { ...count, default: 80 },
      },
    },
  },
} as const satisfies Schema;

export type Recipe = Checked<typeof recipeSchema>;
export type DataSource = Checked<typeof source>;
