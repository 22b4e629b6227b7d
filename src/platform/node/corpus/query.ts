/** SQL over what a corpus run found: its Parquet tables and drop logs as views of DuckDB, an optional package. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type * as DuckDB from '@duckdb/node-api';
import { CriaError, FormatError, UnsupportedError } from '../../../base/errors.ts';

/** Rows as they come, with the names of their columns. */
export interface QueryResult {
  readonly columns: readonly string[];
  rows(): AsyncIterable<readonly Record<string, unknown>[]>;
  close(): void;
}

/** Views and the files, below a run's folder, that they are made of. */
const views = {
  attributes: {
    from: 'attributes/**/*.parquet',
    read: (path: string) => `read_parquet(${path}, union_by_name = true)`,
  },
  stages: { from: 'audit/stages.parquet', read: (path: string) => `read_parquet(${path})` },
  reasons: { from: 'audit/reasons.parquet', read: (path: string) => `read_parquet(${path})` },
  languages: { from: 'audit/languages.parquet', read: (path: string) => `read_parquet(${path})` },
  problems: { from: 'audit/problems.parquet', read: (path: string) => `read_parquet(${path})` },
  drops: {
    from: 'work/{collect-*,process,tokenise}/**/drops.jsonl.zst',
    read: (path: string) =>
      `(SELECT split_part(id, '/', 1) AS source, * FROM read_json(${path}, format = 'newline_delimited', columns = ` +
      `{id: 'VARCHAR', url: 'VARCHAR', stage: 'VARCHAR', reason: 'VARCHAR', detail: 'VARCHAR', bytes: 'BIGINT', lines: 'INTEGER[]'}))`,
  },
} as const;

export const viewNames = Object.keys(views);

/** Throws UnsupportedError `corpus.duckdb`, FormatError `corpus.no-tables`, CriaError `corpus.query`. */
export async function queryCorpus(folder: string, sql: string): Promise<QueryResult> {
  const { DuckDBInstance } = await loadDuckDB();
  if (!existsSync(join(folder, 'audit'))) {
    throw new FormatError(
      { code: 'corpus.no-tables', file: folder, where: 'audit' },
      'expected tables of a corpus run, found none',
      'Is this the output folder of `cria corpus`? One of an earlier version gets them when the same command runs again.',
    );
  }
  // Nothing is fetched: an extension that is missing is an error, not a download.
  const instance = await DuckDBInstance.create(':memory:', { autoinstall_known_extensions: 'false' });
  const connection = await instance.connect();
  const close = () => {
    connection.closeSync();
    instance.closeSync();
  };
  try {
    for (const [name, { from, read }] of Object.entries(views)) {
      const paths = pathsOf(folder, from);
      if (paths.length > 0)
        await connection.run(`CREATE VIEW ${name} AS SELECT * FROM ${read(`[${paths.map(quoted).join(', ')}]`)}`);
    }
    const result = await connection.stream(sql);
    return { columns: result.deduplicatedColumnNames(), rows: () => rowsOf(result), close };
  } catch (error) {
    close();
    throw inWords(error);
  }
}

async function* rowsOf(result: DuckDB.DuckDBResult): AsyncGenerator<readonly Record<string, unknown>[]> {
  try {
    yield* result.yieldRowObjectJs();
  } catch (error) {
    throw inWords(error);
  }
}

/** Patterns of DuckDB, one for each alternative that has files: a pattern that matches nothing is an error there. */
function pathsOf(folder: string, from: string): string[] {
  const [, before, choices = '', after] = /^([^{]*)(?:\{([^}]*)\})?(.*)$/.exec(from)!;
  return choices
    .split(',')
    .flatMap((choice) => (choice.endsWith('*') ? foldersOf(join(folder, before!), choice.slice(0, -1)) : [choice]))
    .map((choice) => `${before}${choice}${after}`)
    .filter((path) => hasFiles(folder, path))
    .map((path) => join(folder, path));
}

function foldersOf(folder: string, prefix: string): string[] {
  return existsSync(folder) ? readdirSync(folder).filter((name) => name.startsWith(prefix)) : [];
}

function hasFiles(folder: string, path: string): boolean {
  const [base, rest] = path.split('/**/');
  if (rest === undefined) return existsSync(join(folder, path));
  const root = join(folder, base!);
  return (
    existsSync(root) &&
    readdirSync(root, { recursive: true, encoding: 'utf8' }).some((name) => name.endsWith(rest.slice(1)))
  );
}

function quoted(path: string): string {
  return `'${path.replaceAll("'", "''")}'`;
}

function inWords(error: unknown): CriaError {
  const message = error instanceof Error ? error.message : String(error);
  return new CriaError('corpus.query', `${message}\nTables: ${viewNames.join(', ')}; columns: DESCRIBE attributes.`, {
    cause: error,
  });
}

async function loadDuckDB(): Promise<typeof DuckDB> {
  // By a name that is not looked up when types are checked or files are bundled: the package need not be installed.
  const name: string = '@duckdb/node-api';
  try {
    return await import(/* webpackIgnore: true */ /* turbopackIgnore: true */ name);
  } catch (error) {
    throw new UnsupportedError(
      'corpus.duckdb',
      'corpus query: SQL needs the optional package @duckdb/node-api, which is not installed here. Run npm install @duckdb/node-api; the tables are Parquet below attributes and audit, for any engine.',
      { cause: error },
    );
  }
}
