/** A run on one page: curves as SVG, and an HTML page around them that reloads itself while the run goes on. */
import { formatCount, formatDuration } from '../../base/units.ts';
import type { StepMetrics } from './loop.ts';
import { SMOOTHING, smoothed } from './smoothed.ts';
import type { ValidationMetrics } from './validate.ts';

export interface Curve {
  readonly label: string;
  readonly color: string;
  /** One of several of which another curve is the mean. */
  readonly isFaint?: boolean;
  readonly points: readonly (readonly [x: number, y: number])[];
}

const WIDTH = 640;
const HEIGHT = 220;
const LEFT = 56;
const RIGHT = 24;
const BOTTOM = 28;
const TOP = 24;
const MOST_POINTS = 600;
const MOST_LABELS = 5;
const LABEL_WIDTH = 78;
const LABEL_LETTERS = 12;

/** All charts of a run in one SVG. */
export function reportSvg(metrics: readonly StepMetrics[]): string {
  const validation = metrics.filter(({ validation }) => validation);
  const charts: [title: string, curves: Curve[]][] = [
    [
      'loss (nats a token)',
      [
        { label: 'training', color: '#89a', points: series(metrics, ({ loss }) => loss) },
        { label: 'smoothed', color: '#47c', points: series(metrics, ({ smoothedLoss }) => smoothedLoss) },
        { label: 'validation', color: '#c40', points: series(validation, ({ validation }) => validation!.loss) },
      ],
    ],
    ['loss by source, smoothed', sourceCurves(metrics)],
    ['validation, bits per byte', validationCurves(validation)],
    ['learning rate', [{ label: '', color: '#383', points: series(metrics, ({ learningRate }) => learningRate) }]],
    ['gradient norm', [{ label: '', color: '#639', points: series(metrics, ({ gradientNorm }) => gradientNorm) }]],
    [
      'gradient noise scale (tokens)',
      [{ label: '', color: '#a80', points: series(metrics, ({ noiseScale }) => noiseScale ?? Number.NaN) }],
    ],
    [
      'tokens a second',
      [{ label: '', color: '#888', points: series(metrics, ({ tokensPerSecond }) => tokensPerSecond) }],
    ],
  ];
  return drawCharts(charts, metrics.at(-1)?.tokens ?? 0);
}

/** The model's on the set that chooses; the other weights' there, and the other sets'. */
function validationCurves(metrics: readonly StepMetrics[]): Curve[] {
  const of = (label: string, color: string, value: (found: ValidationMetrics) => number | undefined): Curve => ({
    label,
    color,
    points: series(metrics, ({ validation }) => value(validation!) ?? Number.NaN),
  });
  const names = Object.keys(metrics.at(-1)?.validation?.sets ?? {});
  const curves = [
    ...names.map((name, i) => of(name, COLORS[i % COLORS.length]!, ({ sets }) => sets?.[name]?.bitsPerByte)),
    ...(names.length === 0 ? [of('', '#c40', ({ bitsPerByte }) => bitsPerByte)] : []),
    ...(['averaged', 'trained'] as const).map((label) => of(label, '#08a', (found) => found[label]?.bitsPerByte)),
  ];
  return curves.filter(({ points }) => points.some(([, y]) => Number.isFinite(y)));
}

function sourceCurves(metrics: readonly StepMetrics[]): Curve[] {
  return Object.keys(metrics.at(-1)?.sources ?? {}).map((name, i) => {
    let mean: number | null = null;
    let count = 0;
    const means = metrics.map(({ sources }) => {
      const loss = sources?.[name]?.loss;
      if (loss !== undefined) mean = smoothed(mean, loss, ++count, SMOOTHING);
      return mean ?? Number.NaN;
    });
    const points = series(
      metrics.map(({ tokens }, at) => ({ tokens, mean: means[at]! })),
      ({ mean: value }) => value,
    );
    return { label: name, color: COLORS[i % COLORS.length]!, points };
  });
}

/** Of curves that have nothing else to tell them apart. */
const COLORS = ['#c40', '#47c', '#383', '#a6a', '#a80', '#089'];

export interface Frame {
  /** Where the common axis begins. */
  readonly minX?: number;
  /** In pixels. */
  readonly width?: number;
}

/** Charts with a common axis from `minX` to `maxX`, one below the other; those without a number are left out. */
export function drawCharts(
  charts: readonly (readonly [title: string, curves: Curve[]])[],
  maxX: number,
  { minX = 0, width = WIDTH }: Frame = {},
): string {
  const drawn = charts
    .filter(([, curves]) => curves.some(({ points }) => points.some(([, y]) => Number.isFinite(y))))
    .map(([title, curves]) => chart(title, curves, { minX, maxX, width }));
  const height = drawn.length * HEIGHT;
  const body = drawn.map((text, i) => `<g transform="translate(0,${i * HEIGHT})">${text}</g>`).join('\n');
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" font-family="sans-serif" font-size="11" fill="currentColor">\n${body}\n</svg>\n`;
}

/** One page without scripts or a server. */
export function reportHtml(
  name: string,
  facts: readonly (readonly [string, string])[],
  metrics: readonly StepMetrics[],
  isRunning: boolean,
): string {
  const last = metrics.at(-1);
  const rows = [...facts, ...(last ? progressFacts(last) : [])];
  const samples = metrics.filter(({ sample }) => sample !== undefined).slice(-5);
  const shown = samples
    .toReversed()
    .map(({ step, sample }) => `<h3>step ${step}</h3><pre>${escapeText(sample!)}</pre>`)
    .join('\n');
  return reportPage(name, rows, `<div class="curves">${reportSvg(metrics)}</div>\n${shown}`, isRunning);
}

/** A page with a table of facts over `body`, which is HTML. */
export function reportPage(
  name: string,
  facts: readonly (readonly [string, string])[],
  body: string,
  isRunning: boolean,
): string {
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8">${isRunning ? '<meta http-equiv="refresh" content="15">' : ''}
<title>${escapeText(name)}</title>
<meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark">
<style>body{font-family:sans-serif;max-width:680px;margin:2em auto;padding:0 1em}td{padding:2px 12px 2px 0;vertical-align:top}pre{white-space:pre-wrap;border:1px solid #8886;padding:1em}svg{max-width:100%;height:auto}.curves{overflow-x:auto}.curves svg{max-width:none}</style>
</head><body><h1>${escapeText(name)}</h1>
<table>${facts.map(([key, value]) => `<tr><td>${escapeText(key)}</td><td>${escapeText(value)}</td></tr>`).join('')}</table>
${body}
</body></html>
`;
}

function progressFacts(last: StepMetrics): (readonly [string, string])[] {
  return [
    ['step', String(last.step)],
    ['tokens seen', formatCount(last.tokens)],
    ['time so far', formatDuration(last.seconds)],
    ['smoothed loss', last.smoothedLoss.toFixed(4)],
    ...(last.noiseScale === undefined ? [] : [['gradient noise scale', noiseWords(last.noiseScale)] as const]),
    ...Object.entries(last.sources ?? {}).map(([name, { tokens, share, epochs }]) => {
      const part = `${(100 * share).toFixed(2)} % of all tokens`;
      return [`source ${name}`, `${part}: ${formatCount(tokens)}, ${epochs.toPrecision(3)} epochs`] as const;
    }),
  ];
}

function noiseWords(tokens: number): string {
  return `${formatCount(Math.round(tokens))} tokens: smaller batches need fewer tokens for the same loss, larger ones fewer steps`;
}

export function series<Metrics extends { readonly tokens: number }>(
  metrics: readonly Metrics[],
  value: (m: Metrics) => number,
): Curve['points'] {
  const every = Math.max(1, Math.ceil(metrics.length / MOST_POINTS));
  return metrics
    .filter((_, i) => i % every === 0 || i === metrics.length - 1)
    .map((m) => [m.tokens, value(m)] as const);
}

/** All charts of a run have the same axis of tokens. */
function chart(
  title: string,
  curves: readonly Curve[],
  { minX, maxX, width }: Required<Frame> & { readonly maxX: number },
): string {
  const points = curves.flatMap(({ points }) => points).filter(([, y]) => Number.isFinite(y));
  const heading = `<text x="${LEFT}" y="14" font-weight="bold">${escapeText(title)}</text>`;
  const values = points.map(([, y]) => y);
  const marksY = roundMarks(Math.min(...values), Math.max(...values));
  const marksX = roundMarks(minX, maxX).filter((x) => x >= minX && x <= maxX);
  const [low, high] = [marksY[0]!, marksY.at(-1)!];
  const X = (x: number) => (LEFT + ((x - minX) / (maxX - minX || 1)) * (width - LEFT - RIGHT)).toFixed(1);
  const Y = (y: number) => (HEIGHT - BOTTOM - ((y - low) / (high - low)) * (HEIGHT - BOTTOM - TOP)).toFixed(1);
  const grid = marksY.map(
    (y) =>
      `<line x1="${LEFT}" x2="${width - RIGHT}" y1="${Y(y)}" y2="${Y(y)}" stroke="currentColor" opacity="${y === 0 && low < 0 ? 0.6 : 0.15}"/>` +
      `<text x="${LEFT - 4}" y="${Number(Y(y)) + 4}" text-anchor="end">${plain(y)}</text>`,
  );
  const axis = marksX.map(
    (x) => `<text x="${X(x)}" y="${HEIGHT - 10}" text-anchor="middle">${formatCount(x).replace(/\.0+ /, ' ')}</text>`,
  );
  const lines = curves.map(({ color, points: own, isFaint }) => {
    const path = own.filter(([, y]) => Number.isFinite(y)).map(([x, y]) => `${X(x)},${Y(y)}`);
    // A line of one point shows nothing: it is a dot.
    if (path.length === 1) return `<circle r="2.5" fill="${color}" transform="translate(${path[0]})"/>`;
    return `<polyline fill="none" stroke="${color}" ${isFaint ? 'stroke-width="0.8" opacity="0.45"' : 'stroke-width="1.4"'} points="${path.join(' ')}"/>`;
  });
  const labelled = curves.filter(({ label }) => label).slice(0, MOST_LABELS);
  const legendAt = width - Math.max(3, labelled.length) * LABEL_WIDTH;
  const legend = labelled.map(({ label, color }, i) => {
    const text = label.length > LABEL_LETTERS ? `${label.slice(0, LABEL_LETTERS - 1)}…` : label;
    return `<text x="${legendAt + i * LABEL_WIDTH}" y="14" fill="${color}">${escapeText(text)}</text>`;
  });
  return [heading, ...grid, ...axis, ...lines, ...legend].join('');
}

/** Three to seven round numbers, from at or below `least` to at or above `most`. */
function roundMarks(least: number, most: number): number[] {
  const spread = most - least || Math.abs(most) / 10 || 1;
  const power = 10 ** Math.floor(Math.log10(spread / 3));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => spread / size <= 5)!;
  const first = Math.floor(least / step);
  const last = Math.max(first + 1, Math.ceil(most / step));
  return Array.from({ length: last - first + 1 }, (_, i) => (first + i) * step);
}

/** Without the tail that adding steps up leaves. */
function plain(value: number): string {
  return String(Number(value.toPrecision(6)));
}

export function escapeText(text: string): string {
  return text.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);
}
