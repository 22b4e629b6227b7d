import { readFileSync, writeFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { UsageError } from '../../base/errors.ts';
import { parseItems } from '../../evaluation/items.ts';
import {
  accuracies,
  type ChoiceScore,
  choiceRules,
  type RuleName,
  scoreItem,
} from '../../evaluation/multiple-choice.ts';
import type { Scorer } from '../../evaluation/requests.ts';
import type { Llama } from '../../platform/node/index.ts';
import { defineCommand } from '../command.ts';
import { writeJson, writeLine } from '../io.ts';
import { loadModel } from '../load-model.ts';
import { resolveModel } from '../model-name.ts';
import { modelOptions } from '../model-options.ts';
import { alignColumns } from '../terminal/columns.ts';
import { startProgress } from '../terminal/progress.ts';

export const command = defineCommand({
  options: {
    ...modelOptions,
    file: {
      kind: 'text',
      short: 'f',
      value: 'PATH',
      required: true,
      help: 'JSON lines, plain or .gz: { query, choices, gold } each, or HellaSwag, PIQA, or requests as OLMo publishes them',
    },
    labels: {
      kind: 'text',
      value: 'PATH',
      otherwise: 'the items say',
      help: 'one right answer per line, as with PIQA',
    },
    unconditional: {
      kind: 'text',
      default: 'Answer:',
      help: 'what answers are put after for acc_uncond, where the file does not say; "": leave that rule out',
    },
    limit: { kind: 'integer', min: 1, otherwise: 'all', help: 'ask this many items only, from the first' },
    truncate: {
      kind: 'flag',
      help: 'drop the beginning of items that are longer than the context, as lm-evaluation-harness does; otherwise they are an error',
    },
    scores: { kind: 'text', value: 'PATH', otherwise: 'none', help: "write every item's scores there, as JSON lines" },
    json: { kind: 'flag', help: 'one JSON object; progress as JSON lines on stderr' },
  },
  positionals: ['model', 'file'],
  placeWords: (words, free) => (words.length === 1 && free.includes('file') ? ['file'] : free),
  details:
    'Multiple choice by likelihood: every answer is scored as the continuation of its question, and rules pick one:\n' +
    Object.entries(choiceRules)
      .map(([name, { help }]) => `  ${name.padEnd(14)}${help}`)
      .join('\n') +
    '\nFew-shot examples, if any, are part of the questions in the file.',
  examples: [
    ['eval -m model.gguf hellaswag_val.jsonl', 'accuracy by every rule'],
    ['eval -m model.gguf piqa/valid.jsonl --labels piqa/valid-labels.lst --limit 200', 'the first 200 items of PIQA'],
    ['eval -m model.gguf openbookqa.requests.jsonl.gz --json --scores scores.jsonl', 'with the scores of every answer'],
  ],
  async run(options, io) {
    const read = (path: string) => {
      const bytes = readFileSync(path);
      return (bytes[0] === 0x1f && bytes[1] === 0x8b ? gunzipSync(bytes) : bytes).toString('utf8');
    };
    const items = parseItems(options.file, read(options.file), {
      unconditional: options.unconditional === '' ? null : options.unconditional,
      ...(options.labels !== undefined && { labels: read(options.labels).trimEnd().split('\n') }),
    }).slice(0, options.limit);
    if (options.scores !== undefined) writeFileSync(options.scores, ''); // a wrong path is said before the work
    const model = await loadModel(options, io);
    try {
      const scorer = scorerOf(model, io.signal);
      const progress = startProgress(io, { what: 'eval', total: items.length, json: options.json });
      const results: { id: string; gold: number; scores: ChoiceScore[] }[] = [];
      for (const [i, item] of items.entries()) {
        const scores = await scoreItem(scorer, item, options.truncate ? 'truncate' : 'refuse');
        results.push({ id: item.id, gold: item.gold, scores });
        progress.update(i + 1);
      }
      progress.end();
      if (options.scores !== undefined)
        writeFileSync(options.scores, results.map((result) => `${JSON.stringify(result)}\n`).join(''));
      const found = accuracies(results);
      const truncated = results.filter(({ scores }) => scores.some(({ dropped }) => dropped > 0)).length;
      if (options.json) {
        const { file } = options;
        writeJson(io.stdout, {
          model: resolveModel(options.model),
          file,
          items: items.length,
          truncated,
          results: found,
        });
        return;
      }
      const rows = Object.entries(found).map(([rule, { accuracy, error }]) => [
        rule,
        `${(100 * accuracy).toFixed(2)} %`,
        `± ${(100 * error).toFixed(2)}`,
        choiceRules[rule as RuleName].help,
      ]);
      writeLine(io.stdout, alignColumns(rows, [1, 2]));
      writeLine(io.stdout, `${items.length} items${truncated > 0 ? `, ${truncated} without their beginning` : ''}`);
    } finally {
      await model.close();
    }
  },
});

function scorerOf(model: Llama, signal: AbortSignal): Scorer {
  if (!model.hasTokenizer) {
    throw new UsageError([
      `${model.facts.name} has no tokenizer, expected one: put tokenizer.json or tokenizer.model beside it`,
    ]);
  }
  const { tokenizer, contextLength } = model;
  return {
    contextLength,
    prefixId: tokenizer.bosId,
    encode: (text) => tokenizer.encode(text, { bos: tokenizer.addBos }),
    score: (context, continuations) => model.score(context, continuations, { signal }),
  };
}
