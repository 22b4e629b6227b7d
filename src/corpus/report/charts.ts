/** Charts of the report as SVG text: nothing to load, nothing to run. */
import { counted } from '../../base/units.ts';
import { type Bin, drawBins } from './histogram.ts';

export interface BarRow {
  readonly label: string;
  readonly parts: readonly { readonly share: number; readonly color: string }[];
  readonly note: string;
}

export function barChart(rows: readonly BarRow[], title: string): string {
  const height = 24;
  const bars = rows.map(({ label, parts, note }, i) => {
    const y = i * height;
    let x = 260;
    const rects = parts.map(({ share, color }) => {
      const width = Math.max(share > 0 ? 1 : 0, share * 400);
      const rect = `<rect x="${x}" y="${y + 5}" width="${width.toFixed(1)}" height="14" fill="${color}"/>`;
      x += width;
      return rect;
    });
    return `<text x="250" y="${y + 16}" text-anchor="end">${escapeHtml(shorten(label, 40))}</text>${rects.join('')}<text x="${x + 8}" y="${y + 16}">${escapeHtml(note)}</text>`;
  });
  return `<div class="wide"><svg viewBox="0 0 960 ${rows.length * height + 4}" role="img" aria-label="${escapeHtml(title)}"><title>${escapeHtml(title)}</title>${bars.join('')}</svg></div>`;
}

const PLOT_WIDTH = 860;
const PLOT_HEIGHT = 120;

/** Columns over the range of an attribute, with its ends and the fullest bin written out. */
export function histogramChart(name: string, counts: Readonly<Record<string, number>>): string {
  const bins = drawBins(counts);
  const most = Math.max(...bins.map(({ count }) => count));
  const width = PLOT_WIDTH / bins.length;
  const column = ({ from, to, count }: Bin, i: number): string => {
    const height = most === 0 ? 0 : (count / most) * PLOT_HEIGHT;
    const place = `x="${(50 + i * width).toFixed(1)}" y="${(20 + PLOT_HEIGHT - height).toFixed(1)}"`;
    const title = `${short(from)} to ${short(to)}: ${counted(count, 'document')}`;
    return `<rect ${place} width="${(width - 1).toFixed(1)}" height="${height.toFixed(1)}" fill="var(--bar)"><title>${title}</title></rect>`;
  };
  const ends = `<text x="50" y="158">${short(bins[0]!.from)}</text><text x="${50 + PLOT_WIDTH}" y="158" text-anchor="end">${short(bins.at(-1)!.to)}</text>`;
  const label = `<text x="50" y="12">${escapeHtml(name)}, at most ${counted(most, 'document')} a column</text>`;
  return `<div class="wide"><svg viewBox="0 0 960 166" role="img" aria-label="${escapeHtml(name)}">${label}${bins.map(column).join('')}${ends}</svg></div>`;
}

function short(value: number): string {
  return String(Number(value.toPrecision(3)));
}

function shorten(text: string, length: number): string {
  return text.length <= length ? text : `${text.slice(0, length - 1)}…`;
}

export function escapeHtml(text: string): string {
  return text.replace(
    /[&<>"]/g,
    (character) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[character]!,
  );
}
