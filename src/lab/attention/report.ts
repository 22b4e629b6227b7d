/** Memory and compute of attention on one page: what the formulas say, what was counted, and how long it took. */
import { formatBytes, formatCount } from '../../base/units.ts';
import type { LlamaConfig } from '../../model/config.ts';
import { type Curve, drawCharts, escapeText, reportPage } from '../../training/run/report.ts';
import { withCache, withoutCache } from './cost.ts';
import type { Cell, Fit } from './measure.ts';

export interface AttentionResult {
  readonly shape: string;
  readonly machine: string;
  readonly dtype: string;
  readonly kvType: string;
  readonly variants: readonly {
    readonly name: string;
    readonly config: LlamaConfig;
    readonly crossover: number;
    readonly fit: Fit;
  }[];
  readonly cells: readonly Cell[];
  /** Milliseconds of one more token, by tokens before it, with every one computed again. */
  readonly uncached: readonly { readonly n: number; readonly milliseconds: number }[];
  /** Cells that the machine had no memory for. */
  readonly leftOut: readonly { readonly b: number; readonly n: number }[];
}

const COLORS = ['#c40', '#27b', '#283', '#93a'];

/** In pixels: still to be read on a phone. */
const CHART_WIDTH = 440;

export function attentionReport(result: AttentionResult): string {
  const { variants, cells } = result;
  const facts = [
    ['shape', result.shape],
    ['weights', `${result.dtype}, random: time does not depend on values`],
    ['cache', result.kvType],
    ['machine', result.machine],
  ] as const;
  const body = [
    style,
    `<h2>What a token reads</h2>${variantTable(result)}<p>${words(result)}</p>`,
    `<p>${legend(variants.map(({ name }) => name))} (faint: what the fit says)</p>`,
    drawCharts(charts(result), Math.max(...cells.map(({ n }) => n)), { width: CHART_WIDTH }),
    uncachedSection(result),
    `<h2>The papers’ formulas</h2>${formulaTable(result)}`,
    `<h2>All cells</h2>${cellTable(result)}`,
  ].join('\n');
  return reportPage('The lab: what attention costs', facts, body, false);
}

const style = `<style>body{max-width:920px}table.lab{border-collapse:collapse;font-size:.9em}.lab th,.lab td{border-bottom:1px solid #8884;padding:3px 8px;text-align:right}.lab td:first-child,.lab th:first-child{text-align:left}.scroll{overflow-x:auto}.swatch{display:inline-block;width:.8em;height:.8em;border-radius:2px;margin:0 .3em 0 1em}</style>`;

function legend(names: readonly string[]): string {
  return names
    .map((name, i) => `<span class="swatch" style="background:${COLORS[i % COLORS.length]}"></span>${escapeText(name)}`)
    .join('');
}

function charts({ variants, cells }: AttentionResult): (readonly [string, Curve[]])[] {
  const batches = [...new Set(cells.map(({ b }) => b))];
  return batches.map((b) => {
    const curves = variants.flatMap(({ name, fit }, i): Curve[] => {
      const own = cells.filter((cell) => cell.variant === name && cell.b === b).sort((x, y) => x.n - y.n);
      const color = COLORS[i % COLORS.length]!;
      return [
        { label: '', color, points: own.map(({ n, milliseconds }) => [n, milliseconds / b]) },
        { label: '', color, isFaint: true, points: own.map((cell) => [cell.n, fitted(cell, fit) / b]) },
      ];
    });
    return [`ms a token by tokens before it, ${b} ${b === 1 ? 'sequence' : 'sequences'} at a time`, curves] as const;
  });
}

/** Milliseconds of a step. */
export function fitted({ predicted, b }: Pick<Cell, 'predicted' | 'b'>, fit: Fit): number {
  return (
    (1000 * predicted.weightBytes) / fit.weightRate +
    (1000 * predicted.cacheBytes) / fit.cacheRate +
    b * fit.perSequence
  );
}

function variantTable({ variants, cells }: AttentionResult): string {
  const rows = variants.map(({ name, config, crossover, fit }) => {
    const { predicted, b, n } = cells.find(({ variant }) => variant === name)!;
    const perToken = predicted.cacheBytes / b / n;
    const rate = (value: number) => (Number.isFinite(value) ? `${(value / 1e9).toFixed(1)} GB/s` : 'not to be seen');
    return `<tr><td>${escapeText(name)}</td><td>${config.headCount}</td><td>${config.kvHeadCount}</td><td>${formatBytes(predicted.weightBytes)}</td><td>${formatBytes(perToken)}</td><td>${formatCount(crossover)}</td><td>${rate(fit.weightRate)}</td><td>${rate(fit.cacheRate)}</td></tr>`;
  });
  return `<div class="scroll"><table class="lab"><tr><th></th><th>query heads H</th><th>key heads K</th><th>weights</th><th>cache a token</th><th>b·n where both cost the same</th><th>weights read at</th><th>cache read at</th></tr>${rows.join('')}</table></div>`;
}

function words({ variants, leftOut }: AttentionResult): string {
  const slow = variants.filter(({ fit }) => fit.cacheRate < 0.8 * fit.weightRate);
  const compute =
    slow.length > 0
      ? ` The cache of ${slow.map(({ name }) => escapeText(name)).join(', ')} is read more slowly than the weights: fewer key heads save bytes, not multiply-adds, and from there the formula of bytes alone stops predicting.`
      : '';
  const missing =
    leftOut.length > 0
      ? ` Left out, as their cache would not fit: ${leftOut.map(({ b, n }) => `b ${b}, n ${n}`).join('; ')}.`
      : '';
  return (
    `A step of b sequences reads every weight once and each sequence’s keys and values: W + b·n·2·L·K·k·s bytes. The fit is time = W/β + cache/γ + b·c by least squares.${compute}${missing} ` +
    `In the paper on grouped queries a large model on an accelerator took 1.51 s a sample with a key head for each query head, 0.28 s with 8 groups and 0.24 s with one (Ainslie et al. 2023, table 1).`
  );
}

function uncachedSection({ uncached, variants, cells }: AttentionResult): string {
  if (uncached.length === 0) return '';
  const first = variants[0]!.name;
  const rows = uncached.map(({ n, milliseconds }) => {
    const cached = cells.find((cell) => cell.variant === first && cell.b === 1 && cell.n === n);
    const times = cached ? `× ${(milliseconds / cached.milliseconds).toFixed(1)}` : '';
    return `<tr><td>${n}</td><td>${milliseconds.toFixed(1)}</td><td>${cached?.milliseconds.toFixed(1) ?? ''}</td><td>${times}</td></tr>`;
  });
  return `<h2>And without a cache</h2><p>${escapeText(first)}, one sequence: every token computes all before it again, so that n tokens cost (n + 1) / 2 times the rows.</p><table class="lab"><tr><th>tokens before</th><th>ms without a cache</th><th>ms with</th><th></th></tr>${rows.join('')}</table>`;
}

function formulaTable({ variants, cells }: AttentionResult): string {
  const b = 1;
  const n = Math.max(...cells.map((cell) => cell.n));
  const { width: d, headCount: H } = variants[0]!.config;
  const sizes = { b, n, d, H };
  const row = (name: string, formula: string, { multiplyAdds, elements }: { multiplyAdds: number; elements: number }) =>
    `<tr><td>${escapeText(name)}</td><td>${formula}</td><td>${formatCount(multiplyAdds)}</td><td>${formatCount(elements)}</td><td>${(elements / multiplyAdds).toPrecision(2)}</td></tr>`;
  const cached = variants.map(({ name, config }) =>
    row(name, 'bnd + bn²kK + nd²', withCache({ ...sizes, K: config.kvHeadCount })),
  );
  return `<p>One block, b = ${b} sequence, n = ${n} tokens one after the other, d = ${d}, H = ${H}, k = d/H.</p><div class="scroll"><table class="lab"><tr><th></th><th>elements moved</th><th>multiply-adds bnd²</th><th>elements</th><th>elements a multiply-add</th></tr>${row('no cache', 'Σ of whole prompts', withoutCache(sizes))}${cached.join('')}</table></div>`;
}

function cellTable({ cells }: AttentionResult): string {
  const rows = cells.map(({ variant, b, n, predicted, counted, milliseconds }) => {
    const bytes = counted.weightBytes + counted.cacheBytes;
    const same = bytes === predicted.weightBytes + predicted.cacheBytes ? 'the same' : formatBytes(bytes);
    return `<tr><td>${escapeText(variant)}</td><td>${b}</td><td>${n}</td><td>${formatBytes(predicted.weightBytes + predicted.cacheBytes)}</td><td>${same}</td><td>${formatCount(counted.multiplyAdds)}</td><td>${(milliseconds / b).toFixed(2)}</td><td>${(bytes / milliseconds / 1e6).toFixed(1)}</td><td>${((1000 * b) / milliseconds).toFixed(1)}</td></tr>`;
  });
  return `<div class="scroll"><table class="lab"><tr><th></th><th>b</th><th>n</th><th>bytes, predicted</th><th>counted</th><th>multiply-adds</th><th>ms a token</th><th>GB/s</th><th>tokens/s of all</th></tr>${rows.join('')}</table></div>`;
}
