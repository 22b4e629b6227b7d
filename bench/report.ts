/** Comparisons as a section of bench/RESULTS.md. */
import { formatBytes } from '../src/base/units.ts';
import { markdownTable } from '../src/cli/terminal/columns.ts';
import type { Machine } from '../src/platform/node/machine.ts';

export interface Comparison {
  readonly test: string;
  readonly threads: number;
  /** Tokens a second, one per round, in the same order. */
  readonly ours: readonly number[];
  readonly theirs: readonly number[];
}

interface Section {
  readonly title: string;
  readonly command: string;
  readonly machine: Machine;
  readonly versions: Readonly<Record<string, string>>;
  readonly comparisons: readonly Comparison[];
}

export function toSection({ title, command, machine, versions, comparisons }: Section): string {
  const rows = comparisons.map(({ test, threads, ours, theirs }) => {
    const ratios = ours.map((rate, i) => rate / theirs[i]!);
    const spread = `${Math.min(...ratios).toFixed(2)} … ${Math.max(...ratios).toFixed(2)}`;
    return [
      test,
      String(threads),
      median(ours).toFixed(2),
      median(theirs).toFixed(2),
      `${median(ratios).toFixed(2)}×`,
      spread,
    ];
  });
  const head = ['test', 'threads', 'Cria, tokens/s', 'peer, tokens/s', 'ratio', 'least … most'];
  const facts = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  return [
    `## ${title}`,
    '',
    `${machine.cpu}, ${machine.physicalCores} cores, ${formatBytes(machine.memoryBytes)}; ${facts.join('; ')}; ${new Date().toISOString().slice(0, 10)}.`,
    `Medians of ${comparisons[0]?.ours.length ?? 0} rounds that took turns. \`${command}\``,
    '',
    markdownTable([head, ...rows], [1, 2, 3, 4, 5]),
    '',
  ].join('\n');
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
