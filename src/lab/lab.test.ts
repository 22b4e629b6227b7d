/** The lab's table, its arms' sizes, its plan and its verdicts; and a planted effect that is found by real trainings. */
import { deepStrictEqual, match, ok, strictEqual, throws } from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../base/random.ts';
import { listParameters, parameterCount } from '../model/parameters.ts';
import { initialWeights } from '../training/initialize.ts';
import { flopsPerToken } from '../training/run/estimate.ts';
import { armConfig, armTraining, baselineConfig, type LabSize } from './arm-model.ts';
import { baseline, experiments, quickArms } from './experiments.ts';
import {
  bestRate,
  chooseExperiments,
  chosenRate,
  costInRuns,
  type LabChoice,
  type PlannedRun,
  quickExperiments,
  runLab,
} from './lab.ts';
import { labReport } from './report.ts';
import type { RunResult } from './train-once.ts';
import { compareAll } from './verdict.ts';

const size: LabSize = {
  width: 96,
  blocks: 4,
  heads: 4,
  vocabSize: 512,
  length: 128,
  tokens: 800_000,
  batchTokens: 512,
};
const arms = experiments.flatMap((experiment) => experiment.arms);

test('every arm has the parameters of the baseline within 1 %, or says what it has instead', () => {
  const base = baselineConfig(size);
  for (const arm of arms) {
    const config = armConfig(arm, size);
    const table = config.positions === 'learned' ? config.contextLength * config.width : 0;
    const ratio = (parameterCount(config) - table) / parameterCount(base);
    if (arm.match === undefined) ok(Math.abs(ratio - 1) <= 0.01, `${arm.name}: ${ratio}`);
    else ok(ratio > 1.1, `${arm.name}: ${ratio}`);
    const { steps, rows } = armTraining(arm, size, { seed: 1 });
    const flops =
      (steps * rows * size.length * flopsPerToken(config, size.length)) /
      (size.tokens * flopsPerToken(base, size.length));
    if (arm.match === 'flops') ok(Math.abs(flops - 1) < 0.01, `${arm.name}: ${flops} of the FLOPs`);
    else strictEqual(steps * rows * size.length, Math.round(size.tokens / 512) * 512, arm.name);
  }
  strictEqual(new Set(arms.map(({ name }) => name)).size, arms.length);
  throws(
    () => armConfig(arms.find(({ changes }) => changes.kvHeads === 'root')!, { ...size, heads: 6 }),
    /whole root, found 6/,
  );
});

test('a seed begins every arm with the same weights, where it has them', () => {
  const ours = initialWeights(baselineConfig(size), 3);
  for (const arm of arms) {
    const config = armConfig(arm, size);
    const theirs = initialWeights(config, 3);
    for (const parameter of listParameters(config)) {
      const same = listParameters(baselineConfig(size)).find(({ name }) => name === parameter.name);
      if (!same || String(same.shape) !== String(parameter.shape)) continue;
      deepStrictEqual(theirs(parameter), ours(same), `${arm.name}: ${parameter.name}`);
    }
  }
});

const run = (bitsPerByte: number | null, curve: readonly number[] = []): RunResult => ({
  parameters: 1,
  flops: 1,
  tokens: 100,
  seconds: 1,
  processorSeconds: 1,
  curve: curve.map((value, i) => ({ tokens: i + 1, trainingLoss: value, bitsPerByte: value })),
  bitsPerByte,
  diverged: bitsPerByte === null ? 'the loss is NaN' : null,
});

const verdictOf = (base: RunResult[], ...others: RunResult[][]) =>
  compareAll(
    base,
    others.map((runs, i) => ({ experiment: 'x', arm: `arm ${i}`, runs })),
  );

test('verdicts: off zero, within the margin, neither, too few, diverged', () => {
  const base = [run(2), run(2.02), run(1.99)];
  const [worse] = verdictOf(base, [run(2.1), run(2.121), run(2.089)]);
  strictEqual(worse!.verdict, 'worse');
  strictEqual(verdictOf(base, [run(1.9), run(1.921), run(1.889)])[0]!.verdict, 'better');
  strictEqual(verdictOf(base, [run(2.0005), run(2.0195), run(1.9905)])[0]!.verdict, 'equal');
  const [unseen] = verdictOf(base, [run(2.05), run(1.99), run(2.0)]);
  strictEqual(unseen!.verdict, 'no difference seen');
  // Three seeds: the interval reaches 4.303 · sd / √3 to both sides.
  const differences = [0.05, -0.03, 0.01];
  const sd = Math.sqrt(differences.reduce((sum, x) => sum + (x - 0.01) ** 2, 0) / 2);
  ok(Math.abs(unseen!.detectable - (4.302653 * sd) / Math.sqrt(3)) < 1e-6, String(unseen!.detectable));
  strictEqual(verdictOf([run(2)], [run(3)])[0]!.verdict, 'too few seeds');
  const [gone] = verdictOf(base, [run(2.1), run(null), run(2.1)]);
  strictEqual(gone!.verdict, 'diverged');
  strictEqual(gone!.diverged, 1);
  // The same difference among many is not enough: Holm.
  const small = [run(2.02), run(2.043), run(2.008)];
  strictEqual(verdictOf(base, small)[0]!.verdict, 'worse');
  strictEqual(verdictOf(base, ...Array.from({ length: 20 }, () => small))[0]!.verdict, 'no difference seen');
});

test('curves that are still coming together give no verdict; those that part do', () => {
  const level = Array.from({ length: 9 }, () => 2);
  const closing = (jitter: number) => [2.9, 2.8, 2.7, 2.6, 2.5, 2.4, 2.3 + jitter, 2.2 + jitter, 2.1 + jitter];
  const base = [run(2, level), run(2, level), run(2, level)];
  const close = [0.001, -0.001, 0.002].map((jitter) => run(2.15 + jitter, closing(jitter)));
  strictEqual(verdictOf(base, close)[0]!.verdict, 'still closing');
  const parting = [0.001, -0.001, 0.002].map((jitter) =>
    run(2.15 + jitter, [2, 2, 2, 2, 2, 2.02, 2.05 + jitter, 2.1 + jitter, 2.2 + jitter]),
  );
  strictEqual(verdictOf(base, parting)[0]!.verdict, 'worse');
});

test('a planted null: in 95 of 100 tables of noise nothing is seen; a planted effect is', () => {
  const random = new Random(5);
  let quiet = 0;
  let found = 0;
  const rounds = 400;
  for (let i = 0; i < rounds; i++) {
    const seeds = [1, 2, 3].map(() => 0.02 * random.normal());
    const arm = (effect: number) => seeds.map((own) => run(2 + own + effect + 0.003 * random.normal()));
    const base = arm(0);
    if (
      verdictOf(base, arm(0), arm(0), arm(0), arm(0)).every(
        ({ verdict }) => verdict !== 'worse' && verdict !== 'better',
      )
    )
      quiet++;
    if (verdictOf(base, arm(0.08))[0]!.verdict === 'worse') found++;
  }
  ok(quiet / rounds >= 0.95, `${quiet} of ${rounds} tables`);
  ok(found / rounds > 0.95, `${found} of ${rounds} effects`);
});

const choice: LabChoice = {
  size,
  experiments: chooseExperiments(['norm', 'width']),
  seeds: 2,
  searchesRates: true,
  hasValley: true,
};

/** Runs whose results follow from what they are. */
function pretend(stopAfter = Number.POSITIVE_INFINITY) {
  const done: PlannedRun[] = [];
  return {
    done,
    tell: () => {},
    async run(runs: readonly PlannedRun[]) {
      if (done.length + runs.length > stopAfter) return null;
      done.push(...runs);
      return runs.map(({ training, choice: { rate = 1 } }) => {
        const bits =
          2 + 0.01 * training.seed + (training.config.norm === 'batch' ? 0.3 : 0) + 0.1 * Math.log2(rate / 4) ** 2;
        return run(bits, [bits + 0.2, bits + 0.1, bits]);
      });
    },
  };
}

test('every arm looks for its learning rate, on where the best lies at an edge, and is then trained with every seed', async () => {
  const outside = pretend();
  const result = (await runLab(choice, outside))!;
  strictEqual(result.baseline.rate, 4);
  deepStrictEqual(
    result.baseline.rates.map(({ rate }) => rate),
    [0.5, 1, 2, 4, 8],
  );
  const table = outside.done.filter(({ purpose }) => purpose === 'table');
  strictEqual(table.length, 2 * (1 + 2 + 2));
  ok(table.every(({ choice: { rate } }) => rate === 4));
  strictEqual(result.valley.length, 15);
  ok(outside.done.filter(({ purpose }) => purpose === 'rate').every(({ training }) => training.steps <= 0.26 * 1563));
  deepStrictEqual(
    result.comparisons.map(({ arm, verdict }) => [arm, verdict]),
    [
      ['LayerNorm', 'equal'],
      ['BatchNorm', 'worse'],
      ['4 widths, equal tokens', 'equal'],
      ['4 widths, equal FLOPs', 'equal'],
    ],
  );
  strictEqual(costInRuns(choice), 5 * 2 + 5 * 3 * 0.25 + 15 * 0.5);
  strictEqual(await runLab(choice, pretend(20)), null);
  const html = labReport(result, { machine: 'a <machine>', device: 'a device', text: 'a text', work: 'an hour' });
  match(html, /a &#60;machine&#62;/);
  match(html, /BatchNorm[\s\S]*worse[\s\S]*seen here too/);
  ok(!/NaN|undefined|Infinity/.test(html));
});

test('a search that has diverged at every rate goes on downward, and takes the least', () => {
  strictEqual(bestRate([]), 1);
  strictEqual(
    bestRate([
      { rate: 0.5, bitsPerByte: null },
      { rate: 1, bitsPerByte: null },
    ]),
    0.5,
  );
  strictEqual(
    bestRate([
      { rate: 0.5, bitsPerByte: 2 },
      { rate: 1, bitsPerByte: null },
      { rate: 2, bitsPerByte: 1.9 },
    ]),
    2,
  );
});

test('an arm keeps the baseline’s rate where its own is better by no more than one run may be off', () => {
  const points = (...bits: (number | null)[]) => bits.map((bitsPerByte, i) => ({ rate: [0.5, 1, 2][i]!, bitsPerByte }));
  strictEqual(chosenRate(points(1.9, 1.73, 1.75), 2), 2);
  strictEqual(chosenRate(points(1.9, 1.73, 1.8), 2), 1);
  strictEqual(chosenRate(points(1.9, 1.73, null), 2), 1, 'a rate at which it diverged is not taken');
  strictEqual(chosenRate(points(1.9, 1.73, 1.8), 4), 1, 'nor one that it was not tried at');
  strictEqual(chosenRate([], 1), 1);
});

test('names: of experiments, of the arms of --quick', () => {
  throws(() => chooseExperiments(['activations']), /expected an experiment \(norm, .*Did you mean activation\?/);
  deepStrictEqual(
    quickExperiments(experiments)
      .flatMap((experiment) => experiment.arms.map(({ name }) => name))
      .sort(),
    [...quickArms].sort(),
  );
  strictEqual(baseline.name, 'LLaMA');
});
