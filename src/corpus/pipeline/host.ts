/** What the corpus asks of the world: input files, a place for finished work, a tokenizer, a clock, and hands. Layer 7 makes it. */
import type { ByteSource } from '../../tensor/source.ts';
import type { Chunks, InputFile, ReadContext } from '../readers/reader.ts';
import type { Task } from './task.ts';

/** A file below the input folder. */
export interface InputEntry {
  readonly name: string;
  readonly bytes: number;
  /** Milliseconds; a changed file is a different file. */
  readonly modified: number;
}

export interface CorpusTokenizer {
  readonly name: string;
  readonly sha256: string;
  readonly vocabSize: number;
  readonly bosId: number | null;
  readonly eosId: number | null;
  encode(text: string): Uint32Array;
  /** The text's pieces as strings, for the language model. */
  pieces(text: string): readonly string[];
  /** The piece of each id that `encode` gives; absent where pieces have no ids. */
  readonly pieceOfId?: (id: number) => string;
}

export interface CorpusHost {
  /** Files that match glob patterns (`*`, `**`, `?`), sorted by name. */
  listFiles(patterns: readonly string[]): InputEntry[];
  openInput(name: string): InputFile;
  openRaw(name: string): ByteSource;
  readContext(problem: ReadContext['problem'], maximumRecordBytes: number): ReadContext;
  tokenizer(path: string): CorpusTokenizer;
  readonly work: WorkStore;
  /** Milliseconds since some start. */
  clock(): number;
}

/** Finished units of work, each a folder that appears whole or not at all. */
export interface WorkStore {
  /** The record of a unit that is complete and whose files have the sizes it says. */
  done(id: string): DoneRecord | undefined;
  /** A folder aside, which becomes the unit's when it is committed; what an earlier attempt left there is removed. */
  begin(id: string): UnitFolder;
  open(id: string, file: string): ByteSource;
  /** Decompressed bytes of a unit's file. */
  read(id: string, file: string): Chunks;
}

export interface DoneRecord {
  /** Digest of everything the unit was made from; another key is another unit. */
  readonly key: string;
  readonly files: readonly { readonly name: string; readonly bytes: number; readonly sha256: string }[];
  /** What the kind of task returns; see each. */
  readonly result: unknown;
}

export interface UnitFolder {
  create(file: string): Sink;
  /** As create, compressed on the way. */
  createCompressed(file: string): Sink;
  /** A temporary piece that does not outlive the unit's making. */
  spill(bytes: Uint8Array): ByteSource;
  /** Closes everything, writes the record and renames the folder into place. */
  commit(key: string, result: unknown): DoneRecord;
  abandon(): void;
}

export interface Sink {
  write(bytes: Uint8Array): void;
}

/** Runs tasks that do not depend on each other, on as many cores as it has, in any order. */
export interface Workforce {
  run(tasks: readonly Task[], onDone: (task: Task, record: DoneRecord) => void): Promise<void>;
}
