/**
 * A task as data: what is asked, what may be answered, and how answers are judged. The built-in tasks and a file of one's own have the
 * same form, with the keys of the lm-evaluation-harness's task files where it has them. `paper` holds what the papers do otherwise.
 */
import { ConfigError } from '../../base/errors.ts';
import {
  choice,
  flag,
  integer,
  isPlainObject,
  list,
  number,
  object,
  optional,
  type Rule,
  record,
} from '../../corpus/recipe/schema.ts';
import { type FilterStep, filterSteps } from '../filters/table.ts';
import { aggregations } from '../metrics/aggregate.ts';
import { metrics } from '../metrics/table.ts';
import { type PreparationName, preparations } from './documents.ts';
import type { Doc } from './template.ts';

export const outputTypes = ['multiple_choice', 'loglikelihood', 'loglikelihood_rolling', 'generate_until'] as const;
export type OutputType = (typeof outputTypes)[number];

export interface MetricUse {
  readonly metric: keyof typeof metrics;
  /** The name in the results, where it is not the metric's own. */
  readonly name?: string | undefined;
  readonly aggregation?: keyof typeof aggregations | undefined;
  readonly ignore_case?: boolean | undefined;
  readonly ignore_punctuation?: boolean | undefined;
  readonly ignore_numbers?: boolean | undefined;
  readonly regexes_to_ignore?: readonly string[] | undefined;
  /** Of pass@k. */
  readonly k?: number | undefined;
}

export interface FilterPipeline {
  readonly name: string;
  readonly filter: readonly FilterStep[];
}

export interface GenerationKwargs {
  readonly until: readonly string[];
  readonly do_sample?: boolean | undefined;
  readonly temperature?: number | undefined;
  readonly top_p?: number | undefined;
  readonly max_gen_toks?: number | undefined;
}

/** What one rule set says of a task. */
export interface TaskRules {
  readonly output_type: OutputType;
  readonly process_docs?: PreparationName | undefined;
  /** Stands before everything; a template too. */
  readonly description: string;
  readonly doc_to_text: string;
  readonly doc_to_target: string | number;
  readonly doc_to_choice?: string | readonly string[] | undefined;
  readonly target_delimiter: string;
  readonly fewshot_delimiter: string;
  /** What the answer begins with: part of the context. */
  readonly gen_prefix?: string | undefined;
  readonly num_fewshot: number;
  readonly fewshot_config?:
    | { readonly sampler?: 'default' | 'first_n' | undefined; readonly samples?: readonly Doc[] | undefined }
    | undefined;
  readonly generation_kwargs?: GenerationKwargs | undefined;
  /** How many times each item is answered. */
  readonly repeats: number;
  readonly filter_list?: readonly FilterPipeline[] | undefined;
  readonly metric_list: readonly MetricUse[];
  /** What acc_unconditional puts answers after. */
  readonly neutral_context: string;
  /** A template; items are also counted apart by its value. */
  readonly by?: string | undefined;
  /** Where the context is too long, examples are left out from the last on, before anything is cut. */
  readonly drop_examples?: boolean | undefined;
}

export interface TaskSpec extends TaskRules {
  readonly task: string;
  readonly dataset_path?: string | undefined;
  readonly dataset_name?: string | undefined;
  readonly training_split?: string | undefined;
  readonly validation_split?: string | undefined;
  readonly test_split?: string | undefined;
  readonly fewshot_split?: string | undefined;
  /** Examples that are no split of the data set, but a file beside it: its folder and name as it is published. */
  readonly fewshot_file?: string | undefined;
  /** Rows with another value in these columns are left out. */
  readonly only?: Readonly<Record<string, string>> | undefined;
  /** Other names under which a local file of this data is found. */
  readonly files?: readonly string[] | undefined;
  /** What the papers do otherwise, and where they say so; absent: they do not use this task. */
  readonly paper?: (Partial<TaskRules> & { readonly source: string }) | undefined;
}

/** What may be left out of a task. */
type Defaulted =
  | 'description'
  | 'target_delimiter'
  | 'fewshot_delimiter'
  | 'num_fewshot'
  | 'repeats'
  | 'neutral_context';
export type TaskForm = Omit<TaskSpec, Defaulted> & Partial<Pick<TaskSpec, Defaulted>>;

export const taskDefaults = {
  description: '',
  target_delimiter: ' ',
  fewshot_delimiter: '\n\n',
  num_fewshot: 0,
  repeats: 1,
  neutral_context: 'Answer:',
} as const satisfies Pick<TaskSpec, Defaulted>;

export function withDefaults(form: TaskForm): TaskSpec {
  return { ...taskDefaults, ...form };
}

export const ruleSets = ['harness', 'paper'] as const;
export type RuleSet = (typeof ruleSets)[number];

/** A task under a rule set; null where the papers do not use it. */
export function underRules(spec: TaskSpec, rules: RuleSet): TaskSpec | null {
  if (rules === 'harness') return spec;
  return spec.paper ? { ...spec, ...spec.paper } : null;
}

/** How the answers of a task without filters are taken. */
export const plainPipeline: FilterPipeline = { name: 'none', filter: [{ function: 'take_first' }] };

const words: Rule<string> = {
  check(value, path, problems) {
    if (typeof value === 'string') return value;
    problems.push(`${path} must be a text, got ${JSON.stringify(value)?.slice(0, 60)}`);
    return undefined;
  },
};
const anything: Rule<unknown> = { check: (value) => value };
const either = <A, B>(first: Rule<A>, second: Rule<B>, suits: (value: unknown) => boolean): Rule<A | B> => ({
  check: (value, path, problems) => (suits(value) ? first : second).check(value, path, problems),
});
const textOrList = either(list(words), words, Array.isArray);
const oneOrMore: Rule<string[]> = {
  check: (value, path, problems) => list(words).check(typeof value === 'string' ? [value] : value, path, problems),
};
const doc: Rule<Doc> = record(anything);
const steps: Rule<FilterStep> = {
  check(value, path, problems) {
    const name = isPlainObject(value) ? value.function : undefined;
    const step =
      typeof name === 'string' && Object.hasOwn(filterSteps, name) ? filterSteps[name as FilterStep['function']] : null;
    if (!step) {
      problems.push(
        `${path}.function must be one of ${Object.keys(filterSteps).join(', ')}, got ${JSON.stringify(name)}`,
      );
      return undefined;
    }
    const { options } = step as { readonly options: Record<string, Rule<unknown>> };
    const shape = { function: words, ...options } as Record<string, Rule<unknown>>;
    return object(shape).check(value, path, problems) as FilterStep | undefined;
  },
};

const names = <Table extends object>(table: Table) => choice(Object.keys(table) as (keyof Table & string)[]);

const rulesShape = {
  output_type: choice(outputTypes),
  process_docs: optional(names(preparations)),
  description: optional(words),
  doc_to_text: words,
  doc_to_target: either(integer(), words, (value) => typeof value === 'number'),
  doc_to_choice: optional(textOrList),
  target_delimiter: optional(words),
  fewshot_delimiter: optional(words),
  gen_prefix: optional(words),
  num_fewshot: optional(integer({ max: 1000 })),
  fewshot_config: optional(
    object({ sampler: optional(choice(['default', 'first_n'] as const)), samples: optional(list(doc)) }),
  ),
  generation_kwargs: optional(
    object({
      until: optional(oneOrMore, []),
      do_sample: optional(flag),
      temperature: optional(number({ min: 0, max: 100 })),
      top_p: optional(number({ min: 0, max: 1 })),
      max_gen_toks: optional(integer({ min: 1 })),
    }),
  ),
  repeats: optional(integer({ min: 1, max: 10_000 })),
  filter_list: optional(list(object({ name: words, filter: list(steps) }))),
  metric_list: list(
    object({
      metric: names(metrics),
      name: optional(words),
      aggregation: optional(names(aggregations)),
      higher_is_better: optional(flag),
      ignore_case: optional(flag),
      ignore_punctuation: optional(flag),
      ignore_numbers: optional(flag),
      regexes_to_ignore: optional(list(words)),
      k: optional(integer({ min: 1 })),
    }),
  ),
  neutral_context: optional(words),
  by: optional(words),
  drop_examples: optional(flag),
};

const partial = Object.fromEntries(
  Object.entries(rulesShape).map(([key, rule]) => [key, optional(rule as Rule<unknown>)]),
);

/** Keys of the harness's files that say nothing about a score. */
const notes = [
  'metadata',
  'tag',
  'task_alias',
  'should_decontaminate',
  'doc_to_decontamination_query',
  'higher_is_better',
];

const taskRule = object({
  task: words,
  dataset_path: optional(words),
  dataset_name: optional(words),
  training_split: optional(words),
  validation_split: optional(words),
  test_split: optional(words),
  fewshot_split: optional(words),
  fewshot_file: optional(words),
  only: optional(record(words)),
  files: optional(list(words)),
  ...rulesShape,
  paper: optional(object({ source: words, ...partial })),
  ...Object.fromEntries(notes.map((key) => [key, optional(anything)])),
});

/** A task from a file's value. Throws ConfigError `eval.task`, with all problems. */
export function parseTask(file: string, value: unknown): TaskSpec {
  const problems: string[] = [];
  if (isPlainObject(value) && 'include' in value)
    problems.push('include: other files are not read; write the keys into this one');
  const checked = taskRule.check(withoutKey(value, 'include'), '', problems);
  if (problems.length > 0) throw new ConfigError(file, problems, 'eval.task');
  const given = Object.entries(checked as object).filter(([key, each]) => each !== undefined && !notes.includes(key));
  const { paper, ...form } = Object.fromEntries(given) as unknown as TaskForm;
  const spec = withDefaults(paper ? { ...form, paper: definedIn(paper) } : form);
  for (const rules of ruleSets) problems.push(...contradictions(underRules(spec, rules), rules));
  if (problems.length > 0) throw new ConfigError(file, problems, 'eval.task');
  return spec;
}

function withoutKey(value: unknown, key: string): unknown {
  return isPlainObject(value) ? Object.fromEntries(Object.entries(value).filter(([name]) => name !== key)) : value;
}

const definedIn = <T extends object>(value: T): T =>
  Object.fromEntries(Object.entries(value).filter(([, each]) => each !== undefined)) as T;

/** What each key allows alone and not together. */
function contradictions(spec: TaskSpec | null, rules: RuleSet): string[] {
  if (spec === null) return [];
  const at = rules === 'paper' ? 'paper.' : '';
  const problems: string[] = [];
  const choices = spec.output_type === 'multiple_choice';
  if (choices && spec.doc_to_choice === undefined) problems.push(`${at}doc_to_choice is required for multiple_choice`);
  if (!choices && rules === 'harness' && spec.doc_to_choice !== undefined) {
    problems.push(`${at}doc_to_choice is for multiple_choice, and output_type is ${spec.output_type}`);
  }
  for (const { metric } of spec.metric_list) {
    const { kinds } = metrics[metric];
    if (!(kinds as readonly OutputType[]).includes(spec.output_type)) {
      problems.push(`${at}metric_list: ${metric} judges ${kinds.join(', ')}, and output_type is ${spec.output_type}`);
    }
  }
  if (spec.metric_list.length === 0) problems.push(`${at}metric_list needs at least one metric`);
  if (spec.num_fewshot > 0 && spec.fewshot_config?.samples && spec.num_fewshot > spec.fewshot_config.samples.length) {
    problems.push(
      `${at}num_fewshot is ${spec.num_fewshot}, and fewshot_config.samples has ${spec.fewshot_config.samples.length}`,
    );
  }
  return problems;
}
