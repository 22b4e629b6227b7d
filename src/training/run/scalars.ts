/** The numbers of one line of metrics by name, for programs that draw curves: CSV and TensorBoard. */

/** Every number, also those of groups, as 'validation.loss'. */
export function scalarsOf(metrics: object, prefix = ''): [name: string, value: number][] {
  return Object.entries(metrics).flatMap(([key, value]): [string, number][] => {
    if (typeof value === 'number') return [[prefix + key, value]];
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? scalarsOf(value, `${prefix}${key}.`)
      : [];
  });
}

/** A line of CSV; a column without a number is empty. */
export function csvLine(columns: readonly string[], metrics: object): string {
  const values = new Map(scalarsOf(metrics));
  return `${columns.map((column) => values.get(column) ?? '').join(',')}\n`;
}

/** The first line. */
export function csvHead(columns: readonly string[]): string {
  return `${columns.map((column) => (/[",\n]/.test(column) ? `"${column.replaceAll('"', '""')}"` : column)).join(',')}\n`;
}
