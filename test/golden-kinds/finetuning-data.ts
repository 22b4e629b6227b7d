/** golden/alignment/sft_*: which characters of a conversation carry loss, cutting, packing, and what a batch's loss is the mean of. */
import { sharedCut } from '../../src/finetuning/data/fit.ts';
import { formats } from '../../src/finetuning/data/formats.ts';
import { packRows } from '../../src/finetuning/data/packing.ts';
import { Refusal } from '../../src/finetuning/data/sample.ts';
import { traceChat } from '../../src/finetuning/data/turn-spans.ts';
import { neftuneBound } from '../../src/finetuning/neftune.ts';
import { tokenMean } from '../../src/finetuning/token-mean.ts';
import { builtInTemplates } from '../../src/tokenizer/chat/built-in-templates.ts';
import { type ChatMessage, ChatTemplate } from '../../src/tokenizer/chat/chat-template.ts';
import { readFacts } from '../support/golden-facts.ts';
import { type AnyGoldenKind, named } from '../support/golden-kinds.ts';

const endTexts = ['</s>', '<|im_end|>', '<|eot_id|>'];

/** FastChat's Llama 2: no first bos, and one more at the end. */
const fastchatLlama2 = `{% if messages[0]['role'] == 'system' %}{% set turns = messages[1:] %}{% set system = '<<SYS>>\\n' + messages[0]['content'] + '\\n<</SYS>>\\n\\n' %}{% else %}{% set turns = messages %}{% set system = '' %}{% endif %}{% for message in turns %}{% if message['role'] == 'user' %}{{ '[INST] ' + (system if loop.first else '') + message['content'] + ' ' }}{% else %}{{ '[/INST] ' + message['content'] + ' </s><s>' }}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '[/INST]' }}{% endif %}`;

const templates: Readonly<Record<string, { source: string; bos: string }>> = {
  alpaca: { source: builtInTemplates['stanford-alpaca'], bos: '' },
  'vicuna_v1.1': { source: builtInTemplates['fastchat-vicuna'], bos: '' },
  'llama-2 (fastchat)': { source: fastchatLlama2, bos: '<s>' },
  'llama-2 (meta)': { source: builtInTemplates.llama2, bos: '<s>' },
  'chatml (fastchat orca-2)': { source: builtInTemplates.chatml, bos: '' },
  'llama-3 (fastchat)': { source: builtInTemplates.llama3, bos: '<|begin_of_text|>' },
};

interface Spans {
  readonly cases: readonly {
    readonly format: string;
    readonly turns: readonly (readonly [role: string, content: string])[];
    readonly system?: string;
    readonly instruction?: string;
    readonly input?: string;
    readonly output?: string;
    readonly text: string;
    readonly loss_spans: readonly (readonly [number, number])[];
    readonly loss_text: readonly string[];
    readonly last_turn_only: readonly (readonly [number, number])[];
  }[];
}

const spans: AnyGoldenKind = {
  name: 'alignment/sft_spans',
  matches: named('alignment', 'sft_spans'),
  devices: [],
  run({ path }, check) {
    const { facts, finish } = readFacts<Spans>(path);
    for (const [i, item] of facts.cases.entries()) {
      const at = `case ${i} ${item.format}`;
      const form = templates[item.format];
      if (form === undefined) throw new Error(`${at}: no template of this name is known here`);
      const template = new ChatTemplate(form.source, { bos: form.bos, eos: '</s>', all: endTexts });
      const messages = messagesOf(item);
      const { text, turns } = traceChat(template, messages, { endTexts });
      check.exact(`${at} text`, text, item.text);
      const found = turns.map(({ begin, end }) => [begin, end].map((place) => Array.from(text.slice(0, place)).length));
      check.exact(`${at} spans`, found, item.loss_spans);
      check.exact(
        `${at} words`,
        turns.map(({ begin, end }) => text.slice(begin, end)),
        item.loss_text,
      );
      check.exact(`${at} last turn`, found.slice(-1), item.last_turn_only);
      check.cases++;
    }
    finish(check);
  },
};

function messagesOf({ format, turns, system, instruction, input, output }: Spans['cases'][number]): ChatMessage[] {
  const spoken = turns.map(([role, content]) => ({ role, content }));
  if (format !== 'alpaca')
    return system === undefined || system === '' || system === null
      ? spoken
      : [{ role: 'system', content: system }, ...spoken];
  const sample = formats.alpaca.convert({ instruction, input, output }, { isAlpaca: true });
  if (sample instanceof Refusal || sample.kind !== 'chat') throw new Error('an Alpaca row that is no conversation');
  return [...sample.messages];
}

interface Batching {
  readonly cut: readonly { source: number; target: number; limit: number; kept: readonly number[] }[];
  readonly knapsack: readonly { lengths: readonly number[]; capacity: number; packs: readonly number[][] }[];
  readonly best_fit_decreasing: readonly {
    lengths: readonly number[];
    capacity: number;
    bins: readonly number[][];
    filled: number;
  }[];
  readonly accumulation: readonly {
    token_losses: readonly (readonly number[][])[];
    by_tokens: number;
    weight_of_each_token: number;
  }[];
  readonly neftune: readonly { alpha: number; length: number; width: number; bound: number }[];
}

const TOLERANCE = { rtol: 1e-12, atol: 1e-15 };

const batching: AnyGoldenKind = {
  name: 'alignment/sft_batching',
  matches: named('alignment', 'sft_batching'),
  devices: [],
  run({ path }, check) {
    // What the two usual mistakes give is there for reading.
    const wrongWays = ['mean_of_micro_batch_means', 'mean_of_sample_means'];
    const { facts, finish } = readFacts<Batching>(path, wrongWays);
    for (const { source, target, limit, kept } of facts.cut) {
      const { prompt, answer } = sharedCut(source, target, limit);
      check.exact(`cut ${source} + ${target} to ${limit}`, [prompt, answer], kept);
    }
    for (const [i, { lengths, capacity, packs }] of facts.knapsack.entries()) {
      check.exact(`knapsack ${i}`, sorted(lengths, packRows(lengths, capacity, 'knapsack')), ordered(packs));
    }
    for (const [i, { lengths, capacity, bins, filled }] of facts.best_fit_decreasing.entries()) {
      const rows = packRows(lengths, capacity, 'best-fit');
      check.exact(`best fit ${i}`, sorted(lengths, rows), ordered(bins));
      const total = lengths.reduce((a, b) => a + b, 0);
      check.close(`best fit ${i} filled`, [total / (rows.length * capacity)], [filled], TOLERANCE);
    }
    for (const [i, { token_losses, by_tokens, weight_of_each_token }] of facts.accumulation.entries()) {
      const parts = token_losses.map((samples) => {
        const losses = samples.flat();
        return { sum: losses.reduce((a, b) => a + b, 0), tokens: losses.length };
      });
      check.close(`accumulation ${i}`, [tokenMean(parts)], [by_tokens], TOLERANCE);
      // One token's loss raised by 1 raises the mean by its weight.
      const raised = parts.map((part, k) => (k === 0 ? { ...part, sum: part.sum + 1 } : part));
      check.close(`weight ${i}`, [tokenMean(raised) - tokenMean(parts)], [weight_of_each_token], { rtol: 1e-9 });
    }
    for (const { alpha, length, width, bound } of facts.neftune) {
      check.close(`neftune ${alpha}`, [neftuneBound(alpha, length, width)], [bound], TOLERANCE);
    }
    check.cases += Object.values(facts).reduce((sum, list) => sum + (Array.isArray(list) ? list.length : 0), 0);
    finish(check);
  },
};

/** The lengths in each row, in an order that does not depend on which of two equal samples came first. */
const sorted = (lengths: readonly number[], rows: readonly number[][]) =>
  ordered(rows.map((row) => row.map((sample) => lengths[sample]!)));
const ordered = (rows: readonly (readonly number[])[]) =>
  rows.map((row) => [...row].sort((a, b) => b - a)).sort((a, b) => compare(a, b));
function compare(a: readonly number[], b: readonly number[]): number {
  const at = a.findIndex((value, i) => value !== b[i]);
  return at === -1 ? 0 : (b[at] ?? 0) - a[at]!;
}

export const finetuningDataKinds: readonly AnyGoldenKind[] = [spans, batching];
