/** golden/eval-prompts/general: Python's random numbers, aggregations, and rules that belong to no one task. */
import { applyFilters } from '../../src/evaluation/filters/apply.ts';
import { contentOfBox, lastBox } from '../../src/evaluation/mathematics/boxed.ts';
import { sameExpression } from '../../src/evaluation/mathematics/expressions.ts';
import { isHendrycksEqual, tidied } from '../../src/evaluation/mathematics/hendrycks.ts';
import { finalAnswer, statedAnswer } from '../../src/evaluation/mathematics/minerva.ts';
import { aggregations, bootstrapError, mean, standardError } from '../../src/evaluation/metrics/aggregate.ts';
import { comparable } from '../../src/evaluation/metrics/exact-match.ts';
import type { ChoiceEvidence, ItemValue } from '../../src/evaluation/metrics/metric.ts';
import { passAtK } from '../../src/evaluation/metrics/pass-at-k.ts';
import { metrics } from '../../src/evaluation/metrics/table.ts';
import { triviaQaBestF1, triviaQaEm, triviaQaText } from '../../src/evaluation/metrics/triviaqa.ts';
import { PythonRandom } from '../../src/evaluation/python/random.ts';
import { rollingWindows } from '../../src/evaluation/requests.ts';
import type { Check } from '../support/golden-check.ts';
import { EXACT, LOOSE, plain, type Row } from './evaluation-files.ts';

export const general: Readonly<Record<string, (row: Row, check: Check) => void>> = {
  python_random({ seed, getrandbits32, random }, check) {
    const generator = new PythonRandom(seed);
    check.exact(
      'bits',
      plain(getrandbits32).map(() => generator.bits(32)),
      getrandbits32,
    );
    const after = [random, plain(random).map(() => generator.random())];
    const fresh = new PythonRandom(seed);
    check.exact(
      'random',
      [after[1], random.map(() => fresh.random())].some((found) => JSON.stringify(found) === JSON.stringify(random)),
      true,
    );
  },
  python_sample({ seed, population, k, draws }, check) {
    const generator = new PythonRandom(seed);
    const places = Array.from({ length: population }, (_, i) => i);
    check.exact(
      'draws',
      plain(draws).map(() => generator.sample(places, k)),
      draws,
    );
  },
  aggregations(row, check) {
    const { values, weights, hits } = plain(row) as { values: number[]; weights: number[]; hits: number[] };
    const weighted = values.map((value, i): ItemValue => [value, weights[i]!]);
    const largest = Math.max(...values);
    const powers = values.map((value) => Math.exp(value - largest));
    const total = powers.reduce((sum, value) => sum + value, 0);
    check.close('mean', [mean(hits), standardError('mean', hits)!], [row.mean, row.mean_stderr], EXACT);
    check.close('median', [aggregations.median(values)], [row.median], EXACT);
    check.close('perplexity', [aggregations.perplexity(values)], [row.perplexity], LOOSE);
    check.close(
      'weighted',
      [aggregations.weighted_perplexity(weighted), aggregations.bits_per_byte(weighted)],
      [row.weighted_perplexity, row.bits_per_byte],
      LOOSE,
    );
    check.close(
      'softmax',
      powers.map((value) => value / total),
      row.softmax,
      EXACT,
    );
  },
  bootstrap({ values, iters, perplexity_stderr }, check) {
    check.close('error', [bootstrapError('perplexity', plain(values), iters)], [perplexity_stderr], LOOSE);
  },
  exact_match({ options, pairs }, check) {
    for (const [given, target, want] of plain(pairs) as [string, string, number][]) {
      const same = comparable([given], plain(options))[0] === comparable([target], plain(options))[0];
      check.exact(`${given} and ${target}`, Number(same), want);
    }
  },
  rolling_windows(row, check) {
    const ids = Uint32Array.from({ length: row.tokens }, (_, i) => row.first_id + i);
    const found = rollingWindows(ids, row.prefix, row.max_seq_len, row.context_len);
    check.exact(
      'disjoint',
      found.map(({ context, continuation }) => [[...context], [...continuation]]),
      row.disjoint,
    );
    check.exact(
      'windows',
      found.map(({ context, continuation }) => [
        [...context, ...continuation.slice(0, -1)].slice(-row.max_seq_len),
        [...continuation],
      ]),
      row.windows,
    );
  },
  pass_at_k({ rows }, check) {
    for (const [n, c, k, want] of rows) check.close(`${n} ${c} ${k}`, [passAtK(n, c, k)], [want], EXACT);
  },
  human_eval_pass_at_k({ rows }, check) {
    for (const [n, c, k, want] of rows) check.close(`${n} ${c} ${k}`, [passAtK(n, c, k)], [want], EXACT);
  },
  majority_vote({ responses, voted, first_2 }, check) {
    check.exact('voted', applyFilters([{ function: 'majority_vote' }], plain(responses), {}), voted);
    check.exact('first 2', applyFilters([{ function: 'take_first_k', k: 2 }], plain(responses), {}), first_2);
  },
  math_equivalence(row, check) {
    const stripped = (manner: 'harness' | 'official', text: string) => {
      try {
        return tidied(text, manner);
      } catch {
        return 'error ValueError';
      }
    };
    const { a, b } = row;
    check.exact('official', isHendrycksEqual(a, b, 'official'), row.hendrycks_official);
    check.exact(
      'official texts',
      [a, b].map((text) => stripped('official', text)),
      row.hendrycks_stripped,
    );
    check.exact('harness', isHendrycksEqual(a, b), row.harness_hendrycks_math);
    check.exact(
      'harness texts',
      [a, b].map((text) => stripped('harness', text)),
      row.harness_stripped,
    );
    const normalised = [finalAnswer(a), finalAnswer(b)] as const;
    check.exact('minerva texts', normalised, row.minerva_normalised);
    check.exact(`minerva: ${a} and ${b}`, sameExpression(...normalised), row.minerva_equiv);
  },
  boxed({ text, last_boxed, removed, minerva_extracted, minerva_answer }, check) {
    const box = lastBox(text);
    check.exact('box', box, last_boxed);
    check.exact('removed', box === null ? null : (contentOfBox(box) ?? 'error AssertionError'), removed);
    check.exact('extracted', statedAnswer(text), minerva_extracted);
    check.exact('answer', finalAnswer(statedAnswer(text)), minerva_answer);
  },
  triviaqa_normalise({ text, normalised }, check) {
    check.exact(text, triviaQaText(text), normalised);
  },
  triviaqa_score({ prediction, answers, exact_match, f1 }, check) {
    const evidence = { doc: {}, answers: prediction, target: plain(answers) };
    check.exact('em', triviaQaEm.score(evidence, { metric: 'triviaqa_em' }), Number(exact_match));
    check.close('f1', [triviaQaBestF1.score(evidence, { metric: 'triviaqa_f1' }) as number], [f1], EXACT);
  },
  crows_pairs({ more_stereotyped, less_stereotyped, metrics: want }, check) {
    const evidence: ChoiceEvidence = {
      doc: {},
      choices: ['', ''],
      continuations: ['', ''],
      gold: 0,
      isGreedy: [false, false],
      logLikelihoods: [more_stereotyped, less_stereotyped],
    };
    for (const name of ['likelihood_diff', 'pct_stereotype'] as const) {
      check.close(name, [metrics[name].score(evidence, { metric: name }) as number], [want[name]], EXACT);
    }
  },
};
