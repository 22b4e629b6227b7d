/** Results in the layouts of the lm-evaluation-harness, so that tools for its files read ours: one JSON line per item and filter. */
import type { TaskSpec } from '../task/spec.ts';
import { argumentsOf, type ItemResult, type TaskResult } from './evaluate.ts';
import type { GroupResult } from './groups.ts';

/** SHA-256 in hexadecimal digits. */
export type Hash = (text: string) => string;

export interface Sample {
  readonly doc_id: number;
  readonly filter: string;
  readonly metrics: readonly string[];
  readonly [key: string]: unknown;
}

/** The lines of one task under one rule set. */
export function samplesOf({ items, spec, rules }: TaskResult, hash: Hash): Sample[] {
  return items.flatMap((item) => item.verdicts.map((verdict) => sampleOf(item, verdict, spec, rules, hash)));
}

function sampleOf(
  item: ItemResult,
  verdict: ItemResult['verdicts'][number],
  spec: TaskSpec,
  rules: string,
  hash: Hash,
): Sample {
  const { question, scores, responses } = item.answered;
  const asked = argumentsOf(item, spec);
  const scored = scores.map(({ logLikelihood, isGreedy }) => [String(logLikelihood), isGreedy ? 'True' : 'False']);
  const resps = question.kind === 'generate_until' ? [responses] : scored.map((each) => [each]);
  const target = typeof item.target === 'string' ? item.target : JSON.stringify(item.target);
  return {
    doc_id: item.place,
    doc: item.doc,
    target,
    arguments: Object.fromEntries(
      asked.map((list, i) => [`gen_args_${i}`, Object.fromEntries(list.map((value, k) => [`arg_${k}`, value]))]),
    ),
    resps,
    filtered_resps: question.kind === 'generate_until' ? [verdict.answers] : scored,
    filter: verdict.filter,
    metrics: Object.keys(verdict.values),
    doc_hash: hash(JSON.stringify(item.doc, null, 2)),
    prompt_hash: hash(String(asked[0]?.[0] ?? '')),
    target_hash: hash(target),
    ...verdict.values,
    // What the harness has no place for.
    rules,
    cut_tokens: item.answered.cutTokens,
    ...(question.kind === 'generate_until' && { missed_by_extractor: item.missed }),
    ...(item.answered.afterNeutral && { log_likelihoods_after_neutral: item.answered.afterNeutral }),
    ...(question.kind === 'multiple_choice' && { tokens: scores.map(({ tokens }) => tokens) }),
  };
}

/** `results` as the harness writes it, once per rule set. */
export function summaryOf(results: readonly TaskResult[], groups: readonly GroupResult[], about: object): object {
  const column = (rules: string) => {
    const rows = [
      ...results.filter((each) => each.rules === rules).map(({ task, scores }) => ({ name: task, scores })),
      ...groups.filter((each) => each.rules === rules).map(({ group, scores }) => ({ name: group, scores })),
    ];
    return Object.fromEntries(
      rows.map(({ name, scores }) => [
        name,
        Object.assign(
          { alias: name, sample_len: scores[0]?.items },
          ...scores.map(({ metric, filter, value, error }) => ({
            [`${metric},${filter}`]: value,
            [`${metric}_stderr,${filter}`]: error ?? 'N/A',
          })),
        ),
      ]),
    );
  };
  const of = (rules: string) => results.filter((each) => each.rules === rules);
  return {
    results: column('harness'),
    paper_results: column('paper'),
    'n-shot': Object.fromEntries(of('harness').map(({ task, shots }) => [task, shots])),
    'n-samples': Object.fromEntries(results.map(({ task, scores }) => [task, { effective: scores[0]?.items }])),
    counts: Object.fromEntries(results.map(({ task, rules, counts }) => [`${task},${rules}`, counts])),
    ...about,
  };
}
