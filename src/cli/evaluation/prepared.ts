/** `cria eval FILE`: multiple choice of items that are prepared already, by every rule. */
import { readFileSync, writeFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { parseItems } from '../../evaluation/items.ts';
import {
  accuracies,
  type ChoiceScore,
  choiceRules,
  type RuleName,
  scoreItem,
} from '../../evaluation/multiple-choice.ts';
import { evaluatedModel } from '../../platform/node/evaluation/evaluated-model.ts';
import { type Io, writeJson, writeLine } from '../io.ts';
import { loadModel } from '../load-model.ts';
import { resolveModel } from '../model-name.ts';
import type { ModelOptions } from '../model-options.ts';
import { alignColumns } from '../terminal/columns.ts';
import { startProgress } from '../terminal/progress.ts';

export interface PreparedOptions extends ModelOptions {
  readonly file: string;
  readonly labels: string | undefined;
  readonly unconditional: string;
  readonly limit: number | undefined;
  readonly truncate: boolean;
  readonly scores: string | undefined;
  readonly json: boolean;
}

export async function evaluatePrepared(options: PreparedOptions, io: Io): Promise<void> {
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
    const scorer = evaluatedModel(model, { signal: io.signal, chat: false });
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
}
