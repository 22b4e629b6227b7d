/** A lab on one page, without scripts: the verdicts first, then how each came about, and what they cannot tell. */
import { mean } from '../base/statistics.ts';
import { formatCount } from '../base/units.ts';
import { type Curve, drawCharts, escapeText, reportPage } from '../training/run/report.ts';
import { baselineConfig, derivedRate } from './arm-model.ts';
import type { Arm } from './experiments.ts';
import { type ArmResult, type LabResult, RATE_NOISE, type ValleyPoint } from './lab.ts';
import type { RunResult } from './train-once.ts';
import { type Comparison, EQUAL_MARGIN, type Verdict } from './verdict.ts';

export interface LabFacts {
  readonly machine: string;
  readonly device: string;
  readonly text: string;
  /** How many trainings there were, and how long they took in all. */
  readonly work: string;
}

const BASELINE_COLOR = '#888';
const COLORS = ['#c40', '#27b', '#283', '#93a', '#a70'];
/** Curves are drawn from this part of the run on: before it all fall steeply. */
const DRAWN_FROM = 0.2;
/** Of a chart in pixels: two stand beside each other, and one fits on a phone. */
const CHART_WIDTH = 440;

export function labReport(result: LabResult, facts: LabFacts): string {
  const { choice, baseline, arms } = result;
  const experiments = choice.experiments.map(({ name, question, claim, source }) => {
    const own = arms.filter(({ experiment }) => experiment === name);
    const rows = result.comparisons.filter(({ experiment }) => experiment === name);
    return section(question, claim, source, baseline, own, rows);
  });
  const body = [
    style,
    `<p>${summary(result)}</p>`,
    verdictTable(result),
    `<p>${howToRead(result)}</p>`,
    ...experiments,
    result.valley.length > 0 ? valleySection(result) : '',
    `<h2>What this cannot tell</h2><p>${cannotTell(result)}</p>`,
    `<h2>How it was measured</h2><table>${factsOf(result, facts).map(factRow).join('')}</table>`,
  ].join('\n');
  return reportPage('The lab: what LLaMA chose, and what it is compared with', [], body, false);
}

/** What was done, in two sentences for somebody who sees nothing else. */
function summary({ choice, baseline, arms }: LabResult): string {
  const { size, seeds } = choice;
  const perParameter = size.tokens / baseline.parameters;
  return (
    `${formatCount(arms.length)} models that differ from LLaMA in what their row says, beside LLaMA itself: ${formatCount(baseline.parameters)} parameters, ` +
    `${formatCount(size.tokens)} tokens of text, which is ${perParameter.toFixed(1)} tokens a parameter (LLaMA 7B: 143), each trained ${seeds} times. ` +
    `Every row stands beside what the source of the choice claimed.`
  );
}

const factRow = ([name, value]: readonly [string, string]) =>
  `<tr><td>${escapeText(name)}</td><td>${escapeText(value)}</td></tr>`;

function factsOf({ choice }: LabResult, facts: LabFacts): (readonly [string, string])[] {
  const { size, seeds } = choice;
  const { width, blocks, heads, vocabSize, length } = size;
  return [
    [
      'shape',
      `${blocks} blocks of width ${width}, ${heads} heads, feed-forward ${baselineConfig(size).ffnWidth}, vocabulary ${vocabSize}, ${length} tokens of context`,
    ],
    [
      'training',
      `${Math.round(size.tokens / size.batchTokens)} steps of ${size.batchTokens} tokens, AdamW, cosine to 10 %, warm-up 2 %, learning rate ${derivedRate(width).toPrecision(2)} × the factor of each arm`,
    ],
    ['seeds', `${seeds}; a seed is the order of the text and the first weights, the same for every arm`],
    ['text', facts.text],
    ['machine', `${facts.machine}; ${facts.device}`],
    ['work', facts.work],
  ];
}

const style = `<style>
body{max-width:980px}
table.lab{border-collapse:collapse;font-size:.9em;width:100%}
.lab th,.lab td{border-bottom:1px solid #8884;padding:3px 8px;text-align:right;vertical-align:baseline}
.lab th:first-child,.lab td:first-child,.lab .text{text-align:left}
.lab .question th{padding-top:1em;border-bottom-width:2px}
.lab .question span{display:block;font-weight:400;opacity:.85;max-width:60em}
.range{white-space:nowrap;opacity:.75;font-size:.9em;display:block}
.scroll{overflow-x:auto}
.charts{display:flex;flex-wrap:wrap;gap:8px 24px;align-items:start}
.verdict b{display:block}.verdict .range{white-space:normal;min-width:11em}
.key{white-space:nowrap;margin-right:1em}
.worse b,.diverged b{color:#c40}.better b{color:#283}.equal b{color:#27b}
.swatch{display:inline-block;width:.8em;height:.8em;border-radius:2px;margin-right:.3em}
.source{opacity:.75;font-size:.9em}
@media (max-width:700px){.more{display:none}.verdict .range{min-width:0}table.lab{font-size:.8em}.lab th,.lab td{padding:3px 4px}.range{white-space:normal}}
@media (prefers-color-scheme:dark){.worse b,.diverged b{color:#f85}.better b{color:#6c7}.equal b{color:#7be}}
</style>`;

function verdictTable({ choice, baseline, arms, comparisons }: LabResult): string {
  const base = baseline.runs;
  const head =
    '<tr><th>instead of LLaMA’s</th><th class="text">seen here</th><th class="text">the source said</th><th>difference, 95 %</th><th class="more">bits per byte</th>' +
    '<th class="more">learning rate</th><th class="more">parameters</th><th class="more">FLOPs a token</th><th class="more">time a token</th></tr>';
  const first =
    `<tr class="more"><td>${escapeText(baseline.arm.name)} itself</td><td></td><td></td><td></td><td class="more">${bits(meanBits(base))}</td>` +
    `<td class="more">× ${baseline.rate}</td><td class="more">${formatCount(baseline.parameters)}</td><td class="more">${formatCount(base[0]!.flops)}</td><td class="more"></td></tr>`;
  const rows = choice.experiments.flatMap(({ name, question, claim }) => [
    `<tr class="question"><th colspan="9" class="text">${escapeText(question)} <span>${escapeText(claim)}</span></th></tr>`,
    ...arms
      .filter(({ experiment }) => experiment === name)
      .map((arm) => {
        const comparison = comparisons.find((one) => one.experiment === name && one.arm === arm.arm.name)!;
        return verdictRow(arm, comparison, baseline);
      }),
  ]);
  return `<h2>Verdicts</h2><div class="scroll"><table class="lab">${head}${first}${rows.join('')}</table></div>`;
}

function verdictRow({ arm, runs, rate, parameters }: ArmResult, comparison: Comparison, baseline: ArmResult): string {
  const { test, verdict } = comparison;
  const range =
    comparison.differences.length < 2
      ? ''
      : `${signed(test.mean)}${second(`${signed(test.interval.low)} … ${signed(test.interval.high)}`)}`;
  const ratio = (value: number, other: number) => `× ${(value / other).toFixed(2)}`;
  const knowsWork = [...runs, ...baseline.runs].every((one) => typeof one.processorSeconds === 'number');
  const timeOf = ({ seconds, processorSeconds }: RunResult) => (knowsWork ? processorSeconds! : seconds);
  const pace = (all: readonly RunResult[]) => mean(all.map((one) => timeOf(one) / one.tokens));
  return (
    `<tr><td>${escapeText(arm.name)}</td><td class="text verdict ${verdict.split(' ')[0]}">${verdictHtml(comparison)}</td>` +
    `<td class="text">${arm.expected === null ? 'nothing' : `${arm.expected}${second(agreement(arm, verdict))}`}</td>` +
    `<td>${range}</td><td class="more">${bits(meanBits(runs))}</td>` +
    `<td class="more">× ${rate}</td><td class="more">${ratio(parameters, baseline.parameters)}</td>` +
    `<td class="more">${ratio(runs[0]!.flops, baseline.runs[0]!.flops)}</td><td class="more">${ratio(pace(runs), pace(baseline.runs))}</td></tr>`
  );
}

function verdictHtml(comparison: Comparison): string {
  const [verdict, ...more] = verdictWords(comparison).split('; ');
  return `<b>${verdict}</b>${second(more.join('; '))}`;
}

/** A second line in small letters. */
const second = (text: string) => (text === '' ? '' : ` <span class="range">${text}</span>`);

/** A verdict with what it could have shown. */
export function verdictWords({ verdict, detectable, diverged, differences, test }: Comparison): string {
  if (verdict === 'no difference seen' && test.interval.low * test.interval.high > 0)
    return `no difference seen; alone it would be ${test.mean > 0 ? 'worse' : 'better'}, with all comparisons counted it may be chance`;
  if (verdict === 'no difference seen') return `no difference seen; one of ${bits(detectable)} or more would have been`;
  if (verdict === 'diverged') return `diverged in ${diverged} of ${diverged + differences.length}`;
  return verdict;
}

function agreement({ expected }: Arm, verdict: Verdict): string {
  if (verdict === expected || (verdict === 'diverged' && expected === 'worse')) return 'seen here too';
  if ((verdict === 'better' || verdict === 'worse') && expected !== null) return 'not so here';
  return '';
}

function howToRead({ choice, comparisons }: LabResult): string {
  return (
    `A difference is that of two runs with the same seed, in validation bits per byte (mean of the last two evaluations); less is better. In the charts each seed is a thin line, and their mean a bold one. ` +
    `The interval is Student’s over ${choice.seeds} seeds. “Better” and “worse” are said only where the difference is off zero with all ` +
    `${comparisons.length} comparisons counted (Holm, 5 %), “equal” where the interval lies within ± ${100 * EQUAL_MARGIN} % of the loss, and “still closing” where ` +
    `the curves were still coming together in the last third; the grey band under the differences is what counts as equal. Everything else is “no difference seen”, which is no proof that there is none.`
  );
}

function cannotTell({ choice, baseline }: LabResult): string {
  const { size } = choice;
  return (
    `Models of ${formatCount(baseline.parameters)} parameters and ${formatCount(size.tokens)} tokens say nothing certain of large ones: what is worth ` +
    `a hundredth here may be worth more, or nothing, at a thousand times the size. Runs are short, so that a choice that only begins faster may look better than it is; ` +
    `texts of other kinds may rank the choices otherwise. The arms lack what their papers had beside the choice itself: no biases, no dropout; the norm after ` +
    `each layer keeps a last norm; GELU is the exact one. BatchNorm is judged by its running statistics, as in use; while it trains it also sees later tokens of its batch. Time is that of this program’s kernels on this machine.`
  );
}

function section(
  question: string,
  claim: string,
  source: string,
  baseline: ArmResult,
  arms: readonly ArmResult[],
  comparisons: readonly Comparison[],
): string {
  const colored = arms.map((arm, i) => ({ ...arm, color: COLORS[i % COLORS.length]! }));
  const all = [{ ...baseline, color: BASELINE_COLOR }, ...colored];
  const legend = all
    .map(
      ({ arm, color }) =>
        `<span class="key"><span class="swatch" style="background:${color}"></span>${escapeText(arm.name)}</span>`,
    )
    .join(' ');
  const most = Math.max(...all.flatMap(({ runs }) => runs.map(({ tokens }) => tokens)));
  const frame = { minX: DRAWN_FROM * most, width: CHART_WIDTH };
  const curvesOf = (color: string, ofSeeds: readonly Curve['points'][]): Curve[] => [
    ...ofSeeds.map((points): Curve => ({ label: '', color, isFaint: true, points })),
    { label: '', color, points: meanCurve(ofSeeds) },
  ];
  // The baseline is drawn last, as the others often lie on it.
  const curves = all.toReversed().flatMap(({ runs, color }) => curvesOf(color, runs.map(drawn)));
  const apart = colored.flatMap(({ runs, color }) =>
    curvesOf(
      color,
      runs.map((run, i) => differenceCurve(run, baseline.runs[i]!)),
    ),
  );
  const rates = all.some((arm) => arm.rates.length > 0) ? rateTable(all) : '';
  return (
    `<h2>${escapeText(question)}</h2><p>${escapeText(claim)} <span class="source">(${escapeText(source)})</span></p>` +
    `<p>${legend}</p><div class="charts">${drawCharts([['validation bits per byte, by tokens', curves]], most, frame)}` +
    `${drawCharts([['difference from LLaMA’s, by tokens', apart]], most, frame)}</div>` +
    `<div class="charts">${differencesSvg(comparisons, colored, EQUAL_MARGIN * meanBits(baseline.runs))}</div>` +
    rates
  );
}

function drawn({ curve, tokens }: RunResult): Curve['points'] {
  return curve.filter((point) => point.tokens >= DRAWN_FROM * tokens).map((point) => [point.tokens, point.bitsPerByte]);
}

/** How far the arm's run lies above the baseline's of the same seed, evaluation by evaluation. */
function differenceCurve(run: RunResult, other: RunResult): Curve['points'] {
  return run.curve.flatMap(({ tokens, bitsPerByte }, i) => {
    const beside = other.curve[i];
    return beside && tokens >= DRAWN_FROM * run.tokens ? [[tokens, bitsPerByte - beside.bitsPerByte] as const] : [];
  });
}

/** The mean of the curves that come to the end. */
function meanCurve(all: readonly Curve['points'][]): Curve['points'] {
  const longest = Math.max(...all.map((points) => points.length));
  const whole = all.filter((points) => points.length === longest);
  if (longest === 0) return [];
  return whole[0]!.map(([tokens], i) => [tokens, mean(whole.map((curve) => curve[i]![1]))] as const);
}

const ROW = 26;
const WIDTH = CHART_WIDTH;
const LABELS = 170;

/** Each seed's difference as a dot, their mean and its interval as a line; the baseline is the line at 0, within `margin` of which is equal. */
function differencesSvg(
  comparisons: readonly Comparison[],
  arms: readonly (ArmResult & { color: string })[],
  margin: number,
): string {
  const shown = comparisons.filter(({ differences }) => differences.length > 0);
  if (shown.length === 0) return '';
  const ends = shown.flatMap(({ differences, test }) => [
    ...differences,
    ...(differences.length > 1 ? [test.interval.low, test.interval.high] : []),
  ]);
  const [low, high] = [Math.min(-margin, ...ends), Math.max(margin, ...ends)];
  const X = (x: number) => (LABELS + 10 + ((x - low) / (high - low || 1)) * (WIDTH - LABELS - 30)).toFixed(1);
  const rows = shown.map(({ arm, differences, test }, i) => {
    const y = ROW * (i + 1);
    const color = arms.find((one) => one.arm.name === arm)!.color;
    const interval =
      differences.length < 2
        ? ''
        : `<line x1="${X(test.interval.low)}" x2="${X(test.interval.high)}" y1="${y}" y2="${y}" stroke="${color}" stroke-width="2"/>` +
          `<line x1="${X(test.mean)}" x2="${X(test.mean)}" y1="${y - 6}" y2="${y + 6}" stroke="${color}" stroke-width="2"/>`;
    const dots = differences.map((x) => `<circle cx="${X(x)}" cy="${y}" r="3" fill="${color}" opacity="0.7"/>`);
    return `<text x="${LABELS}" y="${y + 4}" text-anchor="end">${escapeText(arm)}</text>${interval}${dots.join('')}`;
  });
  const height = ROW * (shown.length + 1) + 22;
  const axis = height - 24;
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" font-family="sans-serif" font-size="11" fill="currentColor">` +
    `<rect x="${X(-margin)}" width="${(Number(X(margin)) - Number(X(-margin))).toFixed(1)}" y="8" height="${axis - 8}" fill="currentColor" opacity="0.12"/>` +
    `<line x1="${X(0)}" x2="${X(0)}" y1="8" y2="${axis}" stroke="currentColor" opacity="0.5"/>` +
    rows.join('') +
    `<text x="${X(0)}" y="${axis + 16}" text-anchor="middle">0</text>` +
    [low, high]
      .filter((x) => Math.abs(x) > 0.12 * (high - low) && (x > 0 || Number(X(x)) > LABELS + 60))
      .map((x) => `<text x="${X(x)}" y="${axis + 16}" text-anchor="middle">${signed(x)}</text>`)
      .join('') +
    `<text x="${LABELS}" y="${axis + 16}" text-anchor="end" opacity="0.75">right is worse</text></svg>`
  );
}

function rateTable(arms: readonly ArmResult[]): string {
  const rates = [...new Set(arms.flatMap((arm) => arm.rates.map(({ rate }) => rate)))].sort((a, b) => a - b);
  const head = rates.map((rate) => `<th>× ${rate}</th>`).join('');
  const rows = arms.map(({ arm, rates: points, rate: best }) => {
    const cells = rates.map((rate) => {
      const point = points.find((one) => one.rate === rate);
      const text = point ? (point.bitsPerByte === null ? 'diverged' : bits(point.bitsPerByte)) : '';
      return `<td>${rate === best ? `<b>${text}</b>` : text}</td>`;
    });
    return `<tr><td>${escapeText(arm.name)}</td>${cells.join('')}</tr>`;
  });
  return `<p>The search for each learning rate: a quarter of the tokens, one seed, bits per byte. An arm keeps LLaMA’s rate unless another is better by more than ${100 * RATE_NOISE} %, as one run may be off by as much.</p><div class="scroll"><table class="lab"><tr><th>factor of the derived rate</th>${head}</tr>${rows.join('')}</table></div>`;
}

function valleySection({ valley }: LabResult): string {
  const rates = [...new Set(valley.map(({ rate }) => rate))];
  const batches = [...new Set(valley.map(({ batch }) => batch))];
  const values = valley.flatMap(({ bitsPerByte }) => (bitsPerByte === null ? [] : [bitsPerByte]));
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const cell = (point: ValleyPoint) => {
    if (point.bitsPerByte === null) return '<td>diverged</td>';
    const depth = (most - point.bitsPerByte) / (most - least || 1);
    return `<td style="background:rgba(34,119,187,${(0.45 * depth).toFixed(2)})">${bits(point.bitsPerByte)}</td>`;
  };
  const rows = batches.map(
    (batch) =>
      `<tr><td>batch × ${batch}</td>${valley
        .filter((point) => point.batch === batch)
        .map(cell)
        .join('')}</tr>`,
  );
  return (
    `<h2>How do learning rate and batch go together?</h2><p>LLaMA varies both with the size of the model. At equal tokens the best rate grows with the batch, then no longer ` +
    `<span class="source">(McCandlish et al. 2018, arXiv:1812.06162)</span>. Half of the tokens, one seed, bits per byte; the darker the better.</p>` +
    `<div class="scroll"><table class="lab"><tr><th></th>${rates.map((rate) => `<th>rate × ${rate}</th>`).join('')}</tr>${rows.join('')}</table></div>`
  );
}

function meanBits(runs: readonly RunResult[]): number {
  return mean(runs.flatMap(({ bitsPerByte }) => (bitsPerByte === null ? [] : [bitsPerByte])));
}

const bits = (value: number): string => (Number.isFinite(value) ? value.toFixed(3) : '–');
function signed(value: number): string {
  const size = Math.abs(value).toFixed(3);
  return Number(size) === 0 ? size : `${value < 0 ? '−' : '+'}${size}`;
}
