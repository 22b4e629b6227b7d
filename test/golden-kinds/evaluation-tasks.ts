/** golden/eval-prompts, one file a task: prompts with examples, answers after the filters, scores, and scores of all together. */
import { applyFilters } from '../../src/evaluation/filters/apply.ts';
import { aggregations, groupError, groupMean, mean, standardError } from '../../src/evaluation/metrics/aggregate.ts';
import { bleuScores, sentenceBleu } from '../../src/evaluation/metrics/bleu.ts';
import type { ItemValue, RunPrograms } from '../../src/evaluation/metrics/metric.ts';
import { metrics } from '../../src/evaluation/metrics/table.ts';
import { prepareDocs } from '../../src/evaluation/task/documents.ts';
import { ExampleDrawer, poolSplit } from '../../src/evaluation/task/examples.ts';
import { askQuestion, type Question, targetOf } from '../../src/evaluation/task/prompt.ts';
import { type FilterPipeline, type MetricUse, plainPipeline, type TaskSpec } from '../../src/evaluation/task/spec.ts';
import type { Doc } from '../../src/evaluation/task/template.ts';
import { builtInTasks, groups, leavesOf } from '../../src/evaluation/tasks/table.ts';
import { createPythonRunner } from '../../src/platform/node/evaluation/python.ts';
import type { Check } from '../support/golden-check.ts';
import { checkQuestion, choiceEvidence, documentsAt, EXACT, LOOSE, plain, type Row } from './evaluation-files.ts';

/** The pool as the file's first line describes it. */
function poolOf(spec: TaskSpec, pool: Row, subject: string): readonly Doc[] {
  if (pool === null || poolSplit(spec) === null) return [];
  const [file, ...about] = String(pool.file).replace('<subject>', subject).split(' ');
  let docs = documentsAt(file!, spec.task.replace(/^mmlu_.*/, 'mmlu'), subject);
  const type = /of type (\w+)/.exec(about.join(' '))?.[1];
  if (type !== undefined) docs = docs.filter((doc) => doc.type === type);
  return prepareDocs(spec.process_docs, docs.slice(pool.rows[0], pool.rows[1]));
}

/** Twice as many lines as need be, so that the metrics that the golden file adds are known too. */
const added = ['acc_norm', 'acc_bytes', 'acc_mutual_info'] as const;

function metricUses(spec: TaskSpec): ReadonlyMap<string, MetricUse> {
  const extra = spec.output_type === 'multiple_choice' ? added.map((metric): MetricUse => ({ metric })) : [];
  return new Map([...extra, ...spec.metric_list].map((use) => [use.name ?? use.metric, use]));
}

function checkTask(task: Row, spec: TaskSpec, check: Check): void {
  const { until = null, ...sampling } = task.generation_kwargs ?? {};
  const ours = spec.generation_kwargs;
  check.exact('output_type', spec.output_type, task.output_type);
  check.exact('until', ours?.until ?? null, until);
  check.exact('greedy', Boolean(ours?.do_sample), Boolean(sampling.do_sample));
  check.exact('temperature', ours?.do_sample ? (ours.temperature ?? 1) : 0, sampling.temperature ?? 0);
  check.exact('max_gen_toks', ours?.max_gen_toks ?? null, sampling.max_gen_toks ?? null);
  check.exact('target_delimiter', spec.target_delimiter, task.target_delimiter);
  check.exact('fewshot_delimiter', spec.fewshot_delimiter, task.fewshot_delimiter);
  check.exact('gen_prefix', (spec.gen_prefix ?? null) === null, task.gen_prefix === null);
  check.exact('description', spec.description, task.description);
  check.exact('num_fewshot', spec.num_fewshot, task.default_num_fewshot ?? 0);
  check.exact('repeats', spec.repeats, task.repeats);
  check.exact(
    'filters',
    (spec.filter_list ?? []).map(({ name }) => name),
    task.filter_list.map(({ name }: Row) => name),
  );
  for (const [i, { filter }] of task.filter_list.entries()) {
    for (const [k, step] of filter.entries()) {
      const { function: name, filter_fn: _, ...options } = { ...step };
      if (name === 'custom') continue; // what it does is checked by its answers
      const { function: mine, ...own } = spec.filter_list![i]!.filter[k]! as Row;
      check.exact(`filter ${i} step ${k}`, [mine, { ...own }], [name, options]);
    }
  }
  const { training, validation, test, fewshot } = task.splits;
  check.exact('test split', spec.test_split ?? null, test);
  check.exact('fewshot split', spec.fewshot_split ?? null, fewshot);
  check.exact('multiple inputs', task.multiple_input, spec.task === 'winogrande');
  for (const use of task.metric_list) {
    const name = String(use.metric).replace('function ', '');
    if (name === 'math_verify' && use.aggregation && use.higher_is_better) continue; // another package's own reading of LaTeX; the README leaves it out
    const known = [...metricUses(spec).keys()].some((own) => own === name || own.startsWith('pass'));
    check.exact(`metric ${name}`, known, true);
    const ours = spec.metric_list.find(({ metric }) => metric === name);
    for (const key of ['ignore_case', 'ignore_punctuation', 'regexes_to_ignore'] as const) {
      if (use[key] !== undefined && ours) check.exact(`${name} ${key}`, ours[key] ?? false, use[key]);
    }
    void [use.aggregation, use.higher_is_better, use.k?.[0]];
  }
  // What says the same in other words, or is checked by the items.
  void [task.task, task.process_docs, task.process_results, task.multiple_target, training, validation, task.shots];
}

/** Items in order, once per number of shots, each time with examples drawn anew. Returns what each item asks without examples. */
function checkItems(
  spec: TaskSpec,
  items: readonly Row[],
  pool: readonly Doc[],
  check: Check,
): Map<number, { doc: Doc; question: Question }> {
  const asked = new Map<number, { doc: Doc; question: Question }>();
  const counts = new Set(items.flatMap((item) => Object.keys(item.shots)));
  for (const count of counts) {
    const drawer = new ExampleDrawer(spec, pool, Number(count));
    for (const item of items) {
      const want = item.shots[count];
      if (want === undefined) continue;
      const [doc] = prepareDocs(spec.process_docs, [plain(item.doc)]);
      const { docs, rows } = drawer.next(doc!);
      const question = askQuestion(spec, doc!, docs);
      const at = `item ${item.item} with ${count} shots`;
      checkQuestion(question, want, check, at);
      if (want.fewshot_rows !== undefined) check.exact(`${at} rows`, rows, want.fewshot_rows);
      check.exact(`${at} target`, targetOf(spec, doc!), item.target);
      if (question.kind === 'multiple_choice') check.exact(`${at} choices`, question.choices, item.choices);
      else check.exact(`${at} choices`, item.choices, null);
      asked.set(item.item, { doc: doc!, question });
    }
  }
  return asked;
}

async function checkScores(
  spec: TaskSpec,
  rows: readonly Row[],
  asked: ReadonlyMap<number, { doc: Doc; question: Question }>,
  check: Check,
  run: RunPrograms | undefined,
) {
  const uses = metricUses(spec);
  const values = new Map<string, ItemValue[]>();
  const note = (key: string, value: ItemValue) => values.set(key, [...(values.get(key) ?? []), value]);
  for (const [i, row] of rows.entries()) {
    const { doc, question } = asked.get(row.item)!;
    const at = `score ${i}`;
    if (row.filters === undefined) {
      for (const [name, want] of Object.entries<number>(row.metrics)) {
        const use = uses.get(name)!;
        const evidence =
          question.kind === 'loglikelihood'
            ? { doc, logLikelihood: row.log_likelihood, isGreedy: row.is_greedy, text: '' }
            : choiceEvidence(doc, question, row);
        const value = await (metrics[use.metric].score as (e: unknown, u: MetricUse) => ItemValue)(evidence, use);
        note(name, value);
        if (Number.isNaN(want)) check.exact(`${at} ${name}`, value, want);
        else check.close(`${at} ${name}`, [value as number], [want], EXACT);
      }
      continue;
    }
    if (question.kind !== 'generate_until') throw new Error('a generation was expected');
    const responses: string[] = plain(row.responses ?? [row.response]);
    const pipelines = spec.filter_list ?? [plainPipeline];
    check.exact(
      `${at} filters`,
      Object.keys(row.filters),
      pipelines.map(({ name }) => name),
    );
    for (const { name, filter } of pipelines as readonly FilterPipeline[]) {
      const want = row.filters[name];
      const answers = applyFilters(filter, responses, doc);
      check.exact(`${at} ${name}`, answers, want.filtered);
      for (const [metric, expected] of Object.entries<number>(want.metrics)) {
        const use = uses.get(metric)!;
        if (use.metric === 'pass@k' && !run) continue;
        const evidence = { doc, answers, target: question.target, run };
        const value = await (metrics[use.metric].score as (e: unknown, u: MetricUse) => ItemValue)(evidence, use);
        note(`${metric},${name}`, value);
        check.close(`${at} ${metric}, ${name}`, [value as number], [expected], EXACT);
      }
    }
  }
  return values;
}

/** "acc_stderr" is the error of "acc", "exact_match_stderr,strict-match" that of "exact_match,strict-match". */
function checkAggregate(
  row: Row,
  spec: TaskSpec,
  values: ReadonlyMap<string, readonly ItemValue[]>,
  check: Check,
): void {
  if (row.n !== undefined) check.exact('rows', [...values.values()][0]!.length, row.n);
  for (const [key, want] of Object.entries<number>(row.result)) {
    const isError = /_stderr/.test(key);
    const draws = /_stderr_(\d+)_bootstraps/.exec(key)?.[1];
    const name = key.replace(/_stderr(_\d+_bootstraps)?/, '');
    const items = values.get(name)!;
    const use = metricUses(spec).get(name.split(',')[0]!)!;
    const { aggregation } = metrics[use.metric];
    const value = isError
      ? standardError(aggregation, items, draws ? Number(draws) : undefined)!
      : aggregations[aggregation](items);
    if (Number.isNaN(want)) check.exact(`aggregate ${key}`, value, want);
    else check.close(`aggregate ${key}`, [value], [want], aggregation === 'perplexity' ? LOOSE : EXACT);
  }
}

const python = createPythonRunner();
/** For node:test's `skip`: the programs of humaneval and mbpp want one. */
export const noPython: false | string = python ? false : 'no Python on this machine';

export async function runTask(rows: readonly Row[], check: Check, task: Row): Promise<void> {
  const isMmlu = String(task.task).startsWith('mmlu');
  const items = rows.filter(({ kind }) => kind === 'item');
  const subjects: (string | undefined)[] = isMmlu ? [...new Set(items.map(({ subject }) => subject))] : [undefined];
  const values = new Map<string, ItemValue[]>();
  let spec = builtInTasks.get(task.task)!;
  checkTask(task, isMmlu ? builtInTasks.get(`mmlu_${String(task.task).replace(/^mmlu_/, '')}`)! : spec, check);
  for (const subject of subjects) {
    if (subject !== undefined) spec = builtInTasks.get(`mmlu_${subject}`)!;
    const mine = items.filter((item) => item.subject === subject);
    for (const item of mine)
      if (item.description !== undefined) check.exact('description', spec.description, item.description);
    const pool = poolOf(spec, task.fewshot_pool, subject ?? '');
    const asked = checkItems(spec, mine, pool, check);
    const scores = rows.filter(({ kind, subject: of }) => kind === 'score' && of === subject);
    const found = await checkScores(spec, scores, asked, check, python?.run);
    for (const [key, list] of found) values.set(key, [...(values.get(key) ?? []), ...list]);
  }
  for (const row of rows) {
    if (row.kind === 'aggregate') {
      const wanted = Object.keys(row.result).some((key) => key.startsWith('pass'));
      if (!wanted || python) checkAggregate(row, spec, values, check);
    } else if (row.kind === 'bleu') checkBleu(row, check);
    else if (row.kind === 'subject') checkSubject(row, check);
    else if (row.kind === 'group') checkGroup(row, rows, check);
    else check.exact('kind', ['task', 'item', 'score', 'note'].includes(row.kind), true);
  }
  void [task.fewshot_pool?.note, task.fewshot_pool?.file, task.fewshot_pool?.rows]; // of a task that brings its own examples no pool is read
}

function checkBleu(row: Row, check: Check): void {
  const { completion, correct, incorrect } = plain(row);
  const each = [...correct, ...incorrect].map((text) => sentenceBleu(completion, text));
  const [best, worst] = bleuScores(completion, correct, incorrect);
  check.close(`bleu ${row.item}`, each, plain(row.bleu), LOOSE);
  check.close('bleu_max, bleu_diff', [best, best - worst], [row.bleu_max, row.bleu_diff], LOOSE);
  check.exact('bleu_acc', best > worst ? 1 : 0, row.bleu_acc);
}

function checkSubject(row: Row, check: Check): void {
  const spec = builtInTasks.get(row.task)!;
  check.exact(`${row.subject}: description`, spec.description, row.description);
  check.exact(`${row.subject}: name`, spec.task, `mmlu_${row.subject}`);
  const category = String(row.tag).replace(/_tasks$/, '');
  check.exact(`${row.subject}: category`, groups[category]!.includes(spec.task), true);
}

function checkGroup(row: Row, rows: readonly Row[], check: Check): void {
  const group = row.group === 'all' ? 'mmlu' : String(row.group).replace(/_tasks$/, '');
  const leaves = leavesOf(group);
  const members = rows
    .filter(({ kind, task }) => kind === 'subject' && leaves.includes(task))
    .map(({ n, acc, acc_stderr }) => ({ items: n as number, value: acc as number, error: acc_stderr as number }));
  check.close(`group ${row.group}`, [groupMean(members), groupError(members)!], [row.acc, row.acc_stderr], EXACT);
  check.close(`group ${row.group} unweighted`, [mean(members.map(({ value }) => value))], [row.acc_unweighted], EXACT);
}
