/** What a run found as tables in Parquet (hyparquet-writer), for engines that are asked in SQL: documents with their attributes, and the audit. */
import { type ColumnSource, parquetWriteBuffer } from 'hyparquet-writer';
import { characterCount, type Document, utf8Length } from '../document.ts';
import type { CorpusAudit } from './corpus-audit.ts';

type Cell = string | number | boolean | null | undefined;
export type Row = Readonly<Record<string, Cell>>;

/**
 * One file. A column holds numbers (as `numbers`), booleans or texts; where rows disagree, texts. What a row does not name is null.
 */
export function parquetTable(rows: readonly Row[], numbers: 'INT64' | 'DOUBLE'): Uint8Array {
  const names = new Set(rows.flatMap((row) => Object.keys(row)));
  const columnData = [...names].map((name): ColumnSource => {
    const cells = rows.map((row) => row[name] ?? null);
    const kinds = new Set(cells.filter((cell) => cell !== null).map((cell) => typeof cell));
    const [kind] = kinds.size === 1 ? kinds : ['string'];
    if (kind === 'boolean') return { name, data: cells, type: 'BOOLEAN' };
    if (kind !== 'number')
      return { name, data: cells.map((cell) => (cell === null ? null : String(cell))), type: 'STRING' };
    if (numbers === 'DOUBLE') return { name, data: cells, type: 'DOUBLE' };
    return { name, data: cells.map((cell) => (cell === null ? null : BigInt(cell as number))), type: 'INT64' };
  });
  return new Uint8Array(parquetWriteBuffer({ columnData, createdBy: 'cria' }));
}

/** Rows to a file: what is held in memory, and the one schema that its rows share. */
const PART_ROWS = 50_000;

/** The documents of a unit that went through all stages, as files of some thousand rows. */
export class AttributeTable {
  private readonly write: (name: string, bytes: Uint8Array) => void;
  private rows: Row[] = [];
  private parts = 0;

  constructor(write: (name: string, bytes: Uint8Array) => void) {
    this.write = write;
  }

  /** An attribute of a name that a document has anyway is `attribute_…`. */
  add(source: string, { id, url, title, date, text, attributes }: Document): void {
    const row: Record<string, Cell> = { source, id, url, title, date };
    row.characters = characterCount(text);
    row.bytes = utf8Length(text);
    for (const [name, value] of Object.entries(attributes))
      row[name.toLowerCase() in row ? `attribute_${name}` : name] = value;
    this.rows.push(row);
    if (this.rows.length === PART_ROWS) this.finish();
  }

  finish(): void {
    if (this.rows.length > 0) this.write(`attributes-${this.parts++}.parquet`, parquetTable(this.rows, 'DOUBLE'));
    this.rows = [];
  }
}

export function isAttributePart(name: string): boolean {
  return /^attributes-\d+\.parquet$/.test(name);
}

/** The audit's tables by name; those without rows are left out. */
export function auditTables({ sources }: Pick<CorpusAudit, 'sources'>): Readonly<Record<string, Uint8Array>> {
  const stages: Row[] = [];
  const reasons: Row[] = [];
  const languages: Row[] = [];
  const problems: Row[] = [];
  for (const [source, { audit }] of Object.entries(sources)) {
    for (const [position, [stage, counts]] of Object.entries(audit.stages).entries()) {
      const { in: read, out } = counts;
      stages.push({
        source,
        position,
        stage,
        documents_in: read.documents,
        bytes_in: read.bytes,
        documents_out: out.documents,
        bytes_out: out.bytes,
      });
      for (const [reason, { documents, documentBytes, lines, lineBytes }] of Object.entries(counts.reasons))
        reasons.push({ source, stage, reason, documents, document_bytes: documentBytes, lines, line_bytes: lineBytes });
    }
    for (const [language, { seen, kept }] of Object.entries(audit.languages))
      languages.push({
        source,
        language,
        documents_in: seen.documents,
        bytes_in: seen.bytes,
        documents_out: kept.documents,
        bytes_out: kept.bytes,
      });
    for (const { file, kind, message, count } of audit.problems) problems.push({ source, file, kind, message, count });
  }
  const tables = Object.entries({ stages, reasons, languages, problems }).filter(([, rows]) => rows.length > 0);
  return Object.fromEntries(tables.map(([name, rows]) => [name, parquetTable(rows, 'INT64')]));
}
