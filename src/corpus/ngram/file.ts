/**
 * A finished n-gram model as its columns, for our own work folder: loads as fast as the disk reads, where an ARPA file must be parsed.
 *
 *   u32 magic · u32 version · u32 order · u32 header bytes · JSON { size, words, counts, layout? } padded to 8 · columns, each padded to 8
 *
 * Two kinds: our own automaton, and KenLM's hash tables, which have a layout.
 */
import { FormatError } from '../../base/errors.ts';
import type { ByteSource } from '../../tensor/source.ts';
import { type HashedLayout, HashedNgramModel, type HashedParts } from './kenlm/hashed.ts';
import { type NgramColumns, NgramModel } from './model.ts';

const MAGIC = 0x676e7243; // "Crng"
const VERSION = 2;
const HEAD_BYTES = 16;

const columnTypes = { slots: Int32Array, contexts: Int32Array, lengths: Uint8Array, units: Uint32Array } as const;
type ColumnName = keyof typeof columnTypes;
type Columns = Readonly<Partial<Record<ColumnName, Int32Array | Uint8Array | Uint32Array>>>;
const automatonColumns: readonly ColumnName[] = ['slots', 'contexts', 'lengths'];
const hashedColumns: readonly ColumnName[] = ['units'];

/** What sentences are scored with. */
export type SentenceModel = NgramModel | HashedNgramModel;

interface Header {
  readonly size: number;
  readonly words: readonly string[];
  readonly counts: readonly number[];
  readonly layout?: HashedLayout;
}

export function writeNgramModel(model: SentenceModel, write: (bytes: Uint8Array) => void): void {
  const {
    size,
    words,
    columns: given,
    layout,
  }: Omit<NgramParts, 'order'> = model instanceof NgramModel ? model : model.parts;
  const columns: Columns = given;
  const columnNames = layout ? hashedColumns : automatonColumns;
  const counts = columnNames.map((name) => columns[name]!.length);
  const header: Header = { size, words, counts, ...(layout ? { layout } : {}) };
  const bytes = padded(new TextEncoder().encode(JSON.stringify(header)), 32);
  write(new Uint8Array(Uint32Array.of(MAGIC, VERSION, model.order, bytes.length).buffer));
  write(bytes);
  for (const name of columnNames) {
    const { buffer, byteOffset, byteLength } = columns[name]!;
    write(padded(new Uint8Array(buffer, byteOffset, byteLength), 0));
  }
}

/** What a model consists of: plain data, whose columns may lie in memory that workers share. */
export interface NgramParts {
  readonly order: number;
  readonly size: number;
  readonly words: readonly string[];
  readonly columns: NgramColumns | HashedParts['columns'];
  /** Of hash tables. */
  readonly layout?: HashedLayout;
}

export function createNgramModel({ order, size, words, columns, layout }: NgramParts): SentenceModel {
  return 'units' in columns
    ? new HashedNgramModel({ order, size, words, columns, layout: layout! })
    : new NgramModel(order, size, words, columns);
}

/** `allocate` makes the memory of each column. Throws FormatError `ngram-file.damaged`. */
export function readNgramParts(
  source: ByteSource,
  allocate: (bytes: number) => ArrayBufferLike = (bytes) => new ArrayBuffer(bytes),
): NgramParts {
  const fail = (problem: string): never => {
    throw new FormatError(
      { code: 'ngram-file.damaged', file: source.name, where: 'header' },
      problem,
      'Run again: the unit will be made anew.',
    );
  };
  const head = new Uint32Array(HEAD_BYTES / 4);
  if (source.byteLength < HEAD_BYTES) fail('too short');
  source.readInto(new Uint8Array(head.buffer), 0);
  const [magic, version, order, headerBytes] = head as unknown as [number, number, number, number];
  if (magic !== MAGIC || version !== VERSION || HEAD_BYTES + headerBytes > source.byteLength) {
    fail('not an n-gram model of this version');
  }
  const header = new Uint8Array(headerBytes);
  source.readInto(header, HEAD_BYTES);
  const { size, words, counts, layout } = JSON.parse(new TextDecoder().decode(header)) as Header;
  let at = HEAD_BYTES + headerBytes;
  const columns = (layout ? hashedColumns : automatonColumns).map((name, i) => {
    const byteLength = counts[i]! * columnTypes[name].BYTES_PER_ELEMENT;
    if (at + byteLength > source.byteLength) fail(`column ${name} of ${counts[i]} goes beyond the end`);
    const memory = allocate(byteLength);
    source.readInto(new Uint8Array(memory), at);
    at += Math.ceil(byteLength / 8) * 8;
    return [name, viewOf(name, memory)] as const;
  });
  const named = Object.fromEntries(columns) as unknown as NgramParts['columns'];
  return { order, size, words, columns: named, ...(layout ? { layout } : {}) };
}

function viewOf(name: ColumnName, memory: ArrayBufferLike): Uint8Array | Int32Array | Uint32Array {
  const View: new (memory: ArrayBufferLike) => Uint8Array | Int32Array | Uint32Array = columnTypes[name];
  return new View(memory);
}

function padded(bytes: Uint8Array, filler: number): Uint8Array {
  if (bytes.length % 8 === 0) return bytes;
  const result = new Uint8Array(Math.ceil(bytes.length / 8) * 8).fill(filler);
  result.set(bytes);
  return result;
}
