/** What the runners of golden/eval-prompts share: files of JSON lines, documents of ../shared/real, and what a question is compared with. */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import type { ChoiceEvidence } from '../../src/evaluation/metrics/metric.ts';
import { parseTable } from '../../src/evaluation/task/csv.ts';
import { documentsOf, mmluRow } from '../../src/evaluation/task/layouts.ts';
import type { Question } from '../../src/evaluation/task/prompt.ts';
import type { Doc } from '../../src/evaluation/task/template.ts';
import { type Check, watched } from '../support/golden-check.ts';
import type { AnyGoldenKind } from '../support/golden-kinds.ts';
import { shared } from '../support/shared.ts';

export const EXACT = { rtol: 1e-12 };
export const LOOSE = { rtol: 1e-9, atol: 1e-12 };

// biome-ignore lint/suspicious/noExplicitAny: a file's rows have the fields that their kind has; each runner reads its own
export type Row = any;

/** Lines end at \n alone: texts hold other marks that end lines. */
export const readRows = (path: string): Row[] =>
  readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line, (_, value) => (value === 'nan' ? Number.NaN : value)));

/** A copy without the watcher. */
export const plain = <T>(value: T): T => JSON.parse(JSON.stringify(value)) as T;

const words = ['note', 'text', 'over', 'source', 'changed_by_us', 'fewshot_rule', 'yaml', 'version', 'n_tasks'];

export function fileKind(
  name: string,
  matches: (name: string) => boolean,
  run: (rows: readonly Row[], check: Check, path: string) => void | Promise<void>,
): AnyGoldenKind {
  return {
    name: `eval-prompts/${name}`,
    matches: (item) => item.group === 'eval-prompts' && matches(item.name),
    devices: [],
    async run({ path }, check) {
      const { facts, unread } = watched(readRows(path));
      await run(facts, check, path);
      check.exact('fields without a runner', unread(words), []);
      check.cases += facts.length;
    },
  };
}

/** The documents of a file of ../shared/real. */
export function documentsAt(file: string, dataset: string, subject: string): readonly Doc[] {
  const path = shared(`real/${file}`);
  const bytes = readFileSync(path);
  const text = (file.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString('utf8');
  if (file.endsWith('.csv') && file.includes('/mmlu/'))
    return parseTable(text, ',').map((cells) => mmluRow(cells, subject));
  let rows = text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Doc);
  const labels = join(dirname(path), 'valid-labels.lst');
  if (dataset === 'piqa' && existsSync(labels)) {
    const right = readFileSync(labels, 'utf8').trim().split('\n').map(Number);
    rows = rows.map((row, i) => ({ ...row, label: right[i] }));
  }
  return documentsOf(rows, dataset);
}

export function checkQuestion(question: Question, want: Row, check: Check, at: string): void {
  if (question.kind === 'loglikelihood_rolling') throw new Error('no golden file has such items');
  if (question.kind === 'generate_until') {
    check.exact(`${at} context`, question.context, want.context);
    return;
  }
  const requests = question.kind === 'loglikelihood' ? [question.request] : question.requests;
  const wanted: Row[] =
    want.requests ?? want.continuations.map((continuation: string) => ({ context: want.context, continuation }));
  check.exact(
    `${at} requests`,
    requests.map(({ context, continuation }) => [context, continuation]),
    wanted.map(({ context, continuation }) => [context, continuation]),
  );
}

export function choiceEvidence(doc: Doc, question: Question, row: Row): ChoiceEvidence {
  if (question.kind !== 'multiple_choice') throw new Error('a choice was expected');
  const { choices, continuations, gold } = question;
  return {
    doc,
    choices,
    continuations,
    gold,
    logLikelihoods: plain(row.log_likelihoods),
    isGreedy: plain(row.is_greedy ?? choices.map(() => false)),
    ...(row.unconditional && { afterNothing: plain(row.unconditional) }),
  };
}
