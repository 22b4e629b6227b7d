/** A run on one page: curves as SVG, and an HTML page around them that reloads itself while the run goes on. */
import { formatCount, formatDuration } from '../../base/units.ts';
import type { StepMetrics } from './loop.ts';

interface Curve {
  readonly label: string;
  readonly color: string;
  readonly points: readonly (readonly [x: number, y: number])[];
}

const WIDTH = 640;
const HEIGHT = 220;
const LEFT = 56;
const BOTTOM = 28;
const TOP = 24;
const MOST_POINTS = 600;

/** All charts of a run in one SVG. */
export function reportSvg(metrics: readonly StepMetrics[]): string {
  const validation = metrics.filter(({ validation }) => validation);
  const charts = [
    chart('loss (nats a token)', [
      { label: 'training', color: '#9ab', points: series(metrics, ({ loss }) => loss) },
      { label: 'smoothed', color: '#247', points: series(metrics, ({ smoothedLoss }) => smoothedLoss) },
      { label: 'validation', color: '#c40', points: series(validation, ({ validation }) => validation!.loss) },
    ]),
    chart('validation, bits per byte', [
      { label: '', color: '#c40', points: series(validation, ({ validation }) => validation!.bitsPerByte) },
    ]),
    chart('learning rate', [{ label: '', color: '#383', points: series(metrics, ({ learningRate }) => learningRate) }]),
    chart('gradient norm', [{ label: '', color: '#639', points: series(metrics, ({ gradientNorm }) => gradientNorm) }]),
    chart('tokens a second', [
      { label: '', color: '#555', points: series(metrics, ({ tokensPerSecond }) => tokensPerSecond) },
    ]),
  ];
  const height = charts.length * HEIGHT;
  const body = charts.map((text, i) => `<g transform="translate(0,${i * HEIGHT})">${text}</g>`).join('\n');
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" font-family="sans-serif" font-size="11">\n${body}\n</svg>\n`;
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
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8">${isRunning ? '<meta http-equiv="refresh" content="15">' : ''}
<title>${escapeText(name)}</title>
<style>body{font-family:sans-serif;max-width:680px;margin:2em auto;padding:0 1em}td{padding:2px 12px 2px 0;vertical-align:top}pre{white-space:pre-wrap;background:#f4f4f0;padding:1em}</style>
</head><body><h1>${escapeText(name)}</h1>
<table>${rows.map(([key, value]) => `<tr><td>${escapeText(key)}</td><td>${escapeText(value)}</td></tr>`).join('')}</table>
${reportSvg(metrics)}
${samples
  .toReversed()
  .map(({ step, sample }) => `<h3>step ${step}</h3><pre>${escapeText(sample!)}</pre>`)
  .join('\n')}
</body></html>
`;
}

function progressFacts(last: StepMetrics): (readonly [string, string])[] {
  return [
    ['step', String(last.step)],
    ['tokens seen', formatCount(last.tokens)],
    ['time', formatDuration(last.seconds)],
    ['smoothed loss', last.smoothedLoss.toFixed(4)],
  ];
}

function series(metrics: readonly StepMetrics[], value: (m: StepMetrics) => number): Curve['points'] {
  const every = Math.max(1, Math.ceil(metrics.length / MOST_POINTS));
  return metrics
    .filter((_, i) => i % every === 0 || i === metrics.length - 1)
    .map((m) => [m.tokens, value(m)] as const);
}

function chart(title: string, curves: readonly Curve[]): string {
  const points = curves.flatMap(({ points }) => points).filter(([, y]) => Number.isFinite(y));
  const heading = `<text x="${LEFT}" y="14" font-weight="bold">${escapeText(title)}</text>`;
  if (points.length === 0) return heading;
  const maxX = Math.max(...points.map(([x]) => x));
  const lows = Math.min(...points.map(([, y]) => y));
  const highs = Math.max(...points.map(([, y]) => y));
  const spread = highs - lows || Math.abs(highs) || 1;
  const [low, high] = [lows - spread * 0.05, highs + spread * 0.05];
  const X = (x: number) => (LEFT + (x / maxX) * (WIDTH - LEFT - 12)).toFixed(1);
  const Y = (y: number) => (HEIGHT - BOTTOM - ((y - low) / (high - low)) * (HEIGHT - BOTTOM - TOP)).toFixed(1);
  const grid = [0, 0.5, 1].map((part) => {
    const y = low + part * (high - low);
    return `<line x1="${LEFT}" x2="${WIDTH - 12}" y1="${Y(y)}" y2="${Y(y)}" stroke="#ddd"/><text x="${LEFT - 4}" y="${Number(Y(y)) + 4}" text-anchor="end">${y.toPrecision(3)}</text>`;
  });
  const axis = [0, 0.5, 1].map(
    (part) =>
      `<text x="${X(maxX * part)}" y="${HEIGHT - 10}" text-anchor="middle">${formatCount(Math.round(maxX * part))}</text>`,
  );
  const lines = curves.map(({ color, points: own }) => {
    const path = own.filter(([, y]) => Number.isFinite(y)).map(([x, y]) => `${X(x)},${Y(y)}`);
    return `<polyline fill="none" stroke="${color}" stroke-width="1.4" points="${path.join(' ')}"/>`;
  });
  const legend = curves
    .filter(({ label }) => label)
    .map(({ label, color }, i) => `<text x="${WIDTH - 230 + i * 78}" y="14" fill="${color}">${label}</text>`);
  return [heading, ...grid, ...axis, ...lines, ...legend].join('');
}

function escapeText(text: string): string {
  return text.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);
}
