/** golden/eval-prompts/paper and official_mmlu: the papers' own rules. */
import { dirname, join } from 'node:path';
import { applyFilters } from '../../src/evaluation/filters/apply.ts';
import { mostCommon } from '../../src/evaluation/filters/selection.ts';
import { choiceValues, indexOfLargest } from '../../src/evaluation/metrics/choice.ts';
import type { ChoiceEvidence } from '../../src/evaluation/metrics/metric.ts';
import { squadText } from '../../src/evaluation/metrics/squad.ts';
import { metrics } from '../../src/evaluation/metrics/table.ts';
import { parseLiteral } from '../../src/evaluation/python/literal.ts';
import { prepareDocs } from '../../src/evaluation/task/documents.ts';
import { ExampleDrawer } from '../../src/evaluation/task/examples.ts';
import { askQuestion, targetOf } from '../../src/evaluation/task/prompt.ts';
import { type TaskSpec, underRules } from '../../src/evaluation/task/spec.ts';
import type { Doc } from '../../src/evaluation/task/template.ts';
import { builtInTasks } from '../../src/evaluation/tasks/table.ts';
import type { Check } from '../support/golden-check.ts';
import { shared } from '../support/shared.ts';
import { checkQuestion, choiceEvidence, documentsAt, EXACT, plain, type Row, readRows } from './evaluation-files.ts';

const paperRules = (task: string): TaskSpec => underRules(builtInTasks.get(task)!, 'paper')!;

/** Items of a task stand in that task's own file, beside this one. */
function itemsBeside(path: string, task: string): readonly Row[] {
  return readRows(join(dirname(path), `${task}.jsonl`)).filter(({ kind }) => kind === 'item');
}

/** The papers' cases were made from RACE's questions in the order of the file, the harness's in the order of their numbers. */
function inFileOrder(task: string, doc: Doc): Doc {
  if (task !== 'race') return doc;
  const rows = readRows(shared('real/bench/race_1000.jsonl'));
  const place = ({ question }: Doc) =>
    rows.findIndex((row) => row.example_id === doc.example_id && row.question === question);
  const problems = parseLiteral(String(doc.problems)) as readonly Doc[];
  return { ...doc, problems: [...problems].sort((a, b) => place(a) - place(b)) };
}

/** The paper's measures under the names that the golden file has for ours. */
const measures = {
  characters: 'acc_characters',
  unconditional: 'acc_unconditional',
  tokens: 'acc_tokens',
  plain: 'acc',
} as const;

export const paper: Readonly<Record<string, (row: Row, check: Check, path: string) => void>> = {
  closed_book({ task, item, question, examples, contexts, gold }, check) {
    const spec = paperRules(task);
    const asDoc = (text: string, answers: readonly string[]): Doc =>
      task === 'triviaqa'
        ? { question: text, answer: { value: answers[0], aliases: answers.slice(1) } }
        : { question: text, answer: answers };
    const shown = plain(examples).map(([text, answer]: [string, string]) => asDoc(text, [answer]));
    const doc = asDoc(question, plain(gold));
    for (const [count, want] of Object.entries(contexts)) {
      const asked = askQuestion(spec, doc, shown.slice(0, Number(count)));
      check.exact(`${task} ${item} with ${count} shots`, asked.kind === 'generate_until' && asked.context, want);
    }
    check.exact(`${task} ${item} target`, targetOf(spec, doc), gold);
  },
  closed_book_score(row, check, path) {
    const { task, item, response } = row;
    const spec = paperRules(task);
    const doc = itemsBeside(path, task)[item].doc as Doc;
    const [pipeline] = spec.filter_list!;
    const extracted = applyFilters(pipeline!.filter, [response], doc);
    check.exact(`${task} ${item} extracted`, extracted, row.extracted);
    check.exact(`${task} ${item} normalised`, squadText(String(extracted)), row.normalised);
    const target = (targetOf(spec, doc) as string[]).map(String);
    const value = metrics.em.score({ doc, answers: extracted, target }, { metric: 'em' });
    check.exact(`${task} ${item} exact match`, value, row.exact_match);
  },
  choice(row, check, path) {
    const { task, item, rule, requests, unconditional, label } = row;
    const spec = paperRules(task);
    const [doc] = prepareDocs(spec.process_docs, [inFileOrder(task, itemsBeside(path, task)[item].doc as Doc)]);
    const question = askQuestion(spec, doc!, []);
    checkQuestion(question, { requests }, check, `${task} ${item}`);
    if (question.kind !== 'multiple_choice') throw new Error('a choice was expected');
    check.exact(`${task} ${item} label`, question.gold, label);
    check.exact(
      `${task} rule`,
      spec.metric_list.map(({ metric }) => metric)[0],
      measures[rule as keyof typeof measures],
    );
    const neutral = question.requests.map(({ continuation }) => ({ context: spec.neutral_context, continuation }));
    if (unconditional !== null) check.exact(`${task} ${item} neutral`, neutral, unconditional);
    const evidence: ChoiceEvidence = {
      ...choiceEvidence(doc!, question, row),
      tokens: plain(row.token_counts),
      afterNeutral: plain(row.unconditional_log_likelihoods),
    };
    for (const [name, metric] of Object.entries(measures)) {
      const values = choiceValues[metric](evidence);
      if (name !== 'plain') check.close(`${task} ${item} ${name}`, [...values], row.scores[name], EXACT);
      check.exact(`${task} ${item} picked by ${name}`, indexOfLargest(values), row.picked[name]);
    }
  },
  maj1_at_k({ answers, k, majority }, check) {
    const given = (plain(answers) as (string | null)[]).slice(0, k).map((answer) => answer ?? '[invalid]');
    check.exact('majority', applyFilters([{ function: 'majority_of_valid' }], given, {}), [majority]);
    check.exact('most common of all', typeof mostCommon(given), 'string');
  },
};

export function runOfficialMmlu(rows: readonly Row[], check: Check): void {
  for (const { kind, subject, source, prompt_5shot, prompt_0shot, continuations, answer } of rows) {
    check.exact('kind', kind, 'item');
    const spec = paperRules(`mmlu_${subject}`);
    const doc = documentsAt(source.file, 'mmlu', subject)[source.row]!;
    const pool = documentsAt(`bench/mmlu/dev/${subject}_dev.csv`, 'mmlu', subject);
    for (const [count, want] of [
      [5, prompt_5shot],
      [0, prompt_0shot],
    ]) {
      const question = askQuestion(spec, doc, new ExampleDrawer(spec, pool, count).next(doc).docs);
      checkQuestion(question, { context: want, continuations }, check, `${subject} ${source.row} with ${count} shots`);
      if (question.kind === 'multiple_choice') check.exact('answer', 'ABCD'[question.gold as number], answer);
    }
  }
}
