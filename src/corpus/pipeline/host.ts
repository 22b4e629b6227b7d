/** What the corpus asks of the world: input files, a place for finished work, a tokenizer, a clock, and hands. Layer 7 makes it. */
import type { ByteSource } from '../../tensor/source.ts';
import type { Chunks, InputFile, ReadContext } from '../readers/reader.ts';
import type { Task } from './task.ts';

/** A file below the input folder, or one by address. */
export interface InputEntry {
  readonly name: string;
  readonly bytes: number;
  /** Milliseconds, or what a server calls its version; a changed file is a different file. */
  readonly modified: number | string;
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
  /** The texts of evaluation tasks: every question with its answer, and every long field of their items. */
  evaluationTexts(
    tasks: readonly string[],
    data: readonly string[],
  ): AsyncIterable<{ readonly set: string; readonly text: string }>;
  readonly work: WorkStore;
  /** Told at every step of a unit's work: whoever watches sees that it goes on. */
  readonly beat: () => void;
  /** Milliseconds since some start. */
  clock(): number;
}

/** Who works on what, among all processes that share the work folder. */
export interface Claims {
  /** Says that this process works on a plan. Throws ConfigError `corpus.busy` while a live one works on another in the same folder. */
  join(plan: string): { leave(): void };
  /**
   * Takes a unit: nobody else gets it until it is released, or until this process has given no sign of life for the lease. Undefined while
   * another holds it.
   */
  take(id: string): Claim | undefined;
  /** Notes that a unit with this key failed; returns how often it has by now. */
  fail(id: string, key: string, reason: string): number;
  /** Holds all that was taken for another lease. */
  refresh(): void;
}

export interface Claim {
  /** Processes that died while they held it. */
  readonly deaths: number;
  release(): void;
}

/** A unit of input that failed too often, and why: it counts as empty, and the report says so. */
export interface GivenUp {
  readonly givenUp: string;
}

export function isGivenUp(record: DoneRecord | undefined): boolean {
  return reasonGivenUp(record) !== undefined;
}

export function reasonGivenUp(record: DoneRecord | undefined): string | undefined {
  return (record?.result as Partial<GivenUp> | undefined)?.givenUp;
}

/** Finished units of work, each a folder that appears whole or not at all. */
export interface WorkStore {
  /** The record of a unit that is complete and whose files have the sizes it says. */
  done(id: string): DoneRecord | undefined;
  readonly claims: Claims;
  /** Removes a unit's folder, or all below it. */
  remove(id: string): void;
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
  /** `bufferBytes`: what it may hold before it writes. */
  create(file: string, bufferBytes?: number): Sink;
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
  /**
   * Asks for tasks until there is none at hand. A task that fails is handed to `onFailure`, which throws where the run is to end.
   */
  run(
    next: () => Task | undefined,
    onDone: (task: Task, record: DoneRecord) => void,
    onFailure: (task: Task, error: unknown) => void,
  ): Promise<void>;
}
