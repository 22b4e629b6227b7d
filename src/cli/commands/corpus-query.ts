import { formatBytes } from '../../base/units.ts';
import { queryCorpus } from '../../platform/node/corpus/query.ts';
import { defineCommand } from '../command.ts';
import { writeJson, writeLine } from '../io.ts';
import { alignColumns } from '../terminal/columns.ts';

/** Rows whose widths a table is laid out by; more follow in tables of their own. */
const TABLE_ROWS = 1000;
const CELL_CHARACTERS = 120;

export const command = defineCommand({
  options: {
    sql: { kind: 'text', value: 'SQL', required: true, help: 'what is asked, in the SQL of DuckDB' },
    folder: { kind: 'text', value: 'FOLDER', default: '.', help: 'what `cria corpus` wrote' },
    json: { kind: 'flag', help: 'rows as JSON lines' },
  },
  positionals: ['sql', 'folder'],
  details:
    'Asks what a run found. Tables: attributes (a row a document that was kept: source, id, url, title, date, characters, bytes, and all that stages measured),\n' +
    'drops (a row a document, stage and reason), stages, reasons, languages, problems (the audit). All but drops are Parquet files below\n' +
    'FOLDER/attributes and FOLDER/audit, for any engine. Needs the optional package @duckdb/node-api.',
  examples: [
    [
      'corpus query "SELECT source, count(*), median(perplexity) FROM attributes GROUP BY ALL" corpus',
      'one number a source',
    ],
    [
      'corpus query "SELECT stage, reason, sum(bytes) b FROM drops GROUP BY ALL ORDER BY b DESC LIMIT 20" corpus',
      'what took most',
    ],
    ['corpus query "DESCRIBE attributes" corpus --json', 'what there is to ask'],
  ],
  async run({ sql, folder, json }, io) {
    const result = await queryCorpus(folder, sql);
    try {
      let waiting: Record<string, unknown>[] = [];
      let isFirst = true;
      const show = () => {
        writeLine(io.stdout, tableOf(result.columns, waiting));
        waiting = [];
        isFirst = false;
      };
      for await (const rows of result.rows()) {
        io.signal.throwIfAborted();
        if (json) for (const row of rows) writeJson(io.stdout, plain(row));
        else waiting.push(...rows);
        if (waiting.length >= TABLE_ROWS) show();
      }
      if (!json && (waiting.length > 0 || isFirst)) show();
    } finally {
      result.close();
    }
  },
});

function tableOf(columns: readonly string[], rows: readonly Record<string, unknown>[]): string {
  const numeric = columns.flatMap((name, i) =>
    rows.every((row) => row[name] === null || /^(number|bigint)$/.test(typeof row[name])) ? [i] : [],
  );
  return alignColumns([[...columns], ...rows.map((row) => columns.map((name) => cellOf(row[name])))], numeric);
}

function cellOf(value: unknown): string {
  if (value === null || value === undefined) return '';
  if (value instanceof Uint8Array) return formatBytes(value.length);
  const text = typeof value === 'object' ? JSON.stringify(plain(value)) : String(value);
  const line = text.replaceAll('\n', '\\n');
  return line.length > CELL_CHARACTERS ? `${line.slice(0, CELL_CHARACTERS - 1)}…` : line;
}

/** Counts as numbers: DuckDB's are of 64 bits and more. */
function plain(value: unknown): unknown {
  if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
  if (value instanceof Date || value === null || typeof value !== 'object') return value;
  if (Array.isArray(value)) return value.map(plain);
  return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, plain(part)]));
}
