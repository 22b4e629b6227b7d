/** A task from its documents to its scores, under one rule set or several at once. */
import { ArgumentError } from '../../base/errors.ts';
import { applyFilters } from '../filters/apply.ts';
import type { Answers } from '../filters/filter.ts';
import { type Aggregation, aggregations, standardError } from '../metrics/aggregate.ts';
import type { ChoiceEvidence, Evidence, ItemValue, Metric, RunPrograms } from '../metrics/metric.ts';
import { metrics } from '../metrics/table.ts';
import { ExampleDrawer } from '../task/examples.ts';
import { askQuestion, targetOf } from '../task/prompt.ts';
import {
  type FilterPipeline,
  type MetricUse,
  plainPipeline,
  type RuleSet,
  type TaskSpec,
  underRules,
} from '../task/spec.ts';
import { type Doc, renderText } from '../task/template.ts';
import { type Answered, AnswerWriter, fits, requestsOf } from './answer.ts';
import { isMissed } from './missed.ts';
import type { EvaluatedModel } from './model.ts';

/** What one list of filters made of an item, and how that was judged. */
export interface Verdict {
  readonly filter: string;
  readonly answers: Answers | null;
  readonly values: Readonly<Record<string, ItemValue>>;
}

export interface ItemResult {
  readonly place: number;
  readonly doc: Doc;
  readonly target: unknown;
  readonly answered: Answered;
  readonly verdicts: readonly Verdict[];
  readonly examples: number;
  /** The right answer stands in what was generated, and was judged wrong. */
  readonly missed: boolean;
  /** It stands among its own examples. */
  readonly shownItself: boolean;
}

export interface TaskScore {
  readonly metric: string;
  readonly filter: string;
  readonly value: number;
  readonly error: number | null;
  readonly items: number;
  readonly higherIsBetter: boolean;
  readonly aggregation: Aggregation;
}

export interface TaskResult {
  readonly task: string;
  readonly rules: RuleSet;
  readonly spec: TaskSpec;
  readonly shots: number;
  readonly items: readonly ItemResult[];
  readonly scores: readonly TaskScore[];
  /** Scores of the items with each value of `by`. */
  readonly parts: Readonly<Record<string, readonly TaskScore[]>>;
  readonly counts: {
    /** Items whose beginning was cut. */
    readonly cut: number;
    /** Items whose answers had less room than the task allows. */
    readonly shortened: number;
    /** Items for which fewer examples were shown, so that they fit. */
    readonly fewerExamples: number;
    /** Items that were shown among their own examples, with the answer. */
    readonly shownThemselves: number;
    /** Items whose right answer is none of the choices: they count as wrong. */
    readonly withoutAnswer: number;
    readonly missed: number;
  };
}

export interface EvaluateOptions {
  readonly rules: readonly RuleSet[];
  /** Instead of what the task says. */
  readonly shots?: number | undefined;
  /** Items that are asked at a time. */
  readonly lanes?: number;
  /** Runs programs, where somebody allows it. */
  readonly run?: RunPrograms | undefined;
  readonly signal?: AbortSignal;
  readonly onItem?: () => void;
}

const LANES = 8;

/** Throws ArgumentError `eval.…`, naming task and item. */
export async function evaluateTask(
  model: EvaluatedModel,
  task: { readonly spec: TaskSpec; readonly docs: readonly Doc[]; readonly pool: readonly Doc[] },
  options: EvaluateOptions,
): Promise<TaskResult[]> {
  const { docs, pool } = task;
  const columns = options.rules.flatMap((rules) => {
    const spec = underRules(task.spec, rules);
    if (spec === null) return [];
    const shots = options.shots ?? spec.num_fewshot;
    return [{ rules, spec, shots, drawer: new ExampleDrawer(spec, pool, shots) }];
  });
  if (docs.length === 0) {
    throw new ArgumentError(
      'eval.empty',
      `${task.spec.task}: expected items, found none in its data. Is the split the right one?`,
    );
  }
  // Examples are drawn for one item after the other, before any of them is asked.
  const drawn = docs.map((doc) => columns.map(({ drawer }) => drawer.next(doc)));
  const writer = new AnswerWriter(model, task.spec.task);
  const results: ItemResult[][] = new Array(docs.length);
  const ask = async (place: number) => {
    const doc = docs[place]!;
    const asked = columns.map(({ spec }, i) => {
      const { docs: all, holdsQuestion } = drawn[place]![i]!;
      let examples = all;
      let question = askQuestion(spec, doc, examples);
      while (spec.drop_examples && examples.length > 0 && !fits(model, question)) {
        examples = examples.slice(0, -1);
        question = askQuestion(spec, doc, examples);
      }
      return { spec, question, examples: examples.length, shownItself: holdsQuestion };
    });
    const answered = await writer.answer(asked, place);
    results[place] = await Promise.all(
      asked.map(async ({ spec, examples, shownItself }, i) => ({
        ...(await judge(spec, doc, place, answered[i]!, options.run)),
        examples,
        shownItself,
      })),
    );
    options.onItem?.();
  };
  let next = 0;
  const askNext = async () => {
    options.signal?.throwIfAborted();
    const place = next++;
    try {
      await ask(place);
    } catch (error) {
      next = docs.length;
      throw inTask(task.spec.task, place, error);
    }
  };
  const lane = async () => {
    while (next < docs.length) await askNext();
  };
  // Where all questions follow the same examples, the first is asked alone: the others, asked at once, would each compute them again.
  const sharesExamples = columns.some(({ spec, shots }) => shots > 0 && spec.fewshot_config?.sampler === 'first_n');
  if (sharesExamples) await askNext();
  await Promise.all(Array.from({ length: Math.min(options.lanes ?? LANES, docs.length) }, lane));
  return columns.map(({ rules, spec, shots }, i) =>
    summarize(
      spec,
      rules,
      shots,
      results.map((item) => item[i]!),
    ),
  );
}

function inTask(task: string, place: number, error: unknown): unknown {
  return error instanceof ArgumentError
    ? new ArgumentError(error.code, `${task}, item ${place}: ${error.message}`)
    : error;
}

async function judge(
  spec: TaskSpec,
  doc: Doc,
  place: number,
  answered: Answered,
  run: RunPrograms | undefined,
): Promise<Omit<ItemResult, 'examples' | 'shownItself'>> {
  const pipelines =
    answered.question.kind === 'generate_until' ? (spec.filter_list ?? [plainPipeline]) : [plainPipeline];
  const verdicts = await Promise.all(pipelines.map((pipeline) => judgeBy(spec, doc, answered, pipeline, run)));
  return {
    place,
    doc,
    target: targetOf(spec, doc),
    answered,
    verdicts,
    missed: isMissed(answered, verdicts),
  };
}

async function judgeBy(
  spec: TaskSpec,
  doc: Doc,
  answered: Answered,
  pipeline: FilterPipeline,
  run: RunPrograms | undefined,
): Promise<Verdict> {
  const { question, responses } = answered;
  const answers = question.kind === 'generate_until' ? applyFilters(pipeline.filter, responses, doc) : null;
  const evidence = evidenceOf(doc, answered, answers, run);
  const values: Record<string, ItemValue> = {};
  for (const use of spec.metric_list)
    values[nameOf(use)] = await (metrics[use.metric] as Metric).score(evidence as never, use);
  return { filter: pipeline.name, answers, values };
}

export const nameOf = ({ metric, name }: MetricUse): string => name ?? metric;

function evidenceOf(doc: Doc, answered: Answered, answers: Answers | null, run: RunPrograms | undefined): Evidence {
  const { question, scores, afterNothing, afterNeutral } = answered;
  switch (question.kind) {
    case 'multiple_choice':
      return {
        doc,
        choices: question.choices,
        continuations: question.continuations,
        gold: question.gold,
        logLikelihoods: scores.map(({ logLikelihood }) => logLikelihood),
        isGreedy: scores.map(({ isGreedy }) => isGreedy),
        tokens: scores.map(({ tokens }) => tokens),
        ...(afterNothing && { afterNothing }),
        ...(afterNeutral && { afterNeutral }),
      } satisfies ChoiceEvidence;
    case 'loglikelihood':
      return { doc, ...scores[0]!, text: question.request.continuation };
    case 'loglikelihood_rolling':
      return { doc, ...scores[0]!, text: question.counted };
    case 'generate_until':
      return { doc, answers: answers ?? '', target: question.target, run };
  }
}

export { evidenceOf };

function summarize(spec: TaskSpec, rules: RuleSet, shots: number, items: readonly ItemResult[]): TaskResult {
  const count = (holds: (item: ItemResult) => boolean) => items.filter(holds).length;
  return {
    task: spec.task,
    rules,
    spec,
    shots,
    items,
    scores: scoresOf(spec, items),
    parts: partsOf(spec, items),
    counts: {
      cut: count(({ answered }) => answered.cutTokens > 0),
      shortened: count(({ answered }) => answered.shortened),
      fewerExamples: count(({ examples }) => examples < shots),
      shownThemselves: count(({ shownItself }) => shownItself),
      withoutAnswer: count(
        ({ answered: { question } }) => question.kind === 'multiple_choice' && hasNoGold(question.gold),
      ),
      missed: count(({ missed }) => missed),
    },
  };
}

const hasNoGold = (gold: number | readonly number[]) =>
  typeof gold === 'number' ? gold < 0 : gold.every((each) => each < 0);

function scoresOf(spec: TaskSpec, items: readonly ItemResult[]): TaskScore[] {
  const filters = items[0]!.verdicts.map(({ filter }) => filter);
  return filters.flatMap((filter, f) =>
    spec.metric_list.map((use): TaskScore => {
      const name = nameOf(use);
      const { aggregation: usual, higherIsBetter } = metrics[use.metric];
      const aggregation = use.aggregation ?? usual;
      const values = items.map(({ verdicts }) => verdicts[f]!.values[name]!);
      return {
        metric: name,
        filter,
        value: aggregations[aggregation](values),
        error: standardError(aggregation, values),
        items: items.length,
        higherIsBetter,
        aggregation,
      };
    }),
  );
}

function partsOf(spec: TaskSpec, items: readonly ItemResult[]): Record<string, readonly TaskScore[]> {
  if (spec.by === undefined) return {};
  const parts = new Map<string, ItemResult[]>();
  for (const item of items) {
    const part = renderText('by', spec.by, item.doc);
    parts.set(part, [...(parts.get(part) ?? []), item]);
  }
  return Object.fromEntries([...parts].map(([part, members]) => [part, scoresOf(spec, members)]));
}

/** What was asked, as the harness lists it: a context and a continuation each, or a context and how it is continued. */
export function argumentsOf({ answered: { question } }: ItemResult, spec: TaskSpec): readonly (readonly unknown[])[] {
  if (question.kind === 'generate_until') return [[question.context, spec.generation_kwargs ?? {}]];
  if (question.kind === 'loglikelihood_rolling') return [[question.text]];
  return requestsOf(question).map(({ context, continuation }) => [context, continuation]);
}
