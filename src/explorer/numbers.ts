/** How numbers are written, in the terminal and on the page alike. */

/** Four significant digits: 12.35, −0.01235, 1.235e-7; −∞ and NaN by name. */
export function formatNumber(x: number): string {
  if (Number.isNaN(x)) return 'NaN';
  if (!Number.isFinite(x)) return x > 0 ? '∞' : '−∞';
  const size = Math.abs(x);
  if (size === 0) return '0';
  const text =
    size >= 1e6 || size < 1e-4
      ? size.toExponential(3)
      : size.toFixed(Math.min(7, Math.max(0, 3 - Math.floor(Math.log10(size)))));
  return x < 0 ? `−${text}` : text;
}

/** A share of 1 as a percentage: 61.0 %, <0.1 %. */
export function formatShare(p: number): string {
  if (Number.isNaN(p)) return 'NaN';
  if (p > 0 && p < 0.0005) return '<0.1 %';
  return `${(100 * p).toFixed(1)} %`;
}

/** A count: 32,000. */
export function formatCount(count: number): string {
  return String(count).replace(/\B(?=(\d{3})+(?!\d))/g, ',');
}

/** √Σx² */
export function lengthOf(row: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < row.length; i++) sum += row[i]! ** 2;
  return Math.sqrt(sum);
}
