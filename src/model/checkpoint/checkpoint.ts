/** What every kind of checkpoint becomes: a configuration, tensors under our names that still lie in their files, and a tokenizer. */
import { ConfigError, FormatError } from '../../base/errors.ts';
import type { TokenizerFiles } from '../../formats/tokenizer-files.ts';
import type { ByteSource, FileFolder, TensorSource } from '../../tensor/source.ts';
import { configProblems, type LlamaConfig } from '../config.ts';

export type CheckpointFormat = 'gguf' | 'safetensors' | 'torch' | 'meta' | 'llama2c';

export interface Checkpoint {
  readonly format: CheckpointFormat;
  /** Of the model where the files name it, else of the file or folder. */
  readonly name: string;
  readonly config: LlamaConfig;
  /** By our parameter names, e.g. blocks.3.wq_QD; complete, of the right shapes, in weight types. */
  readonly tensors: ReadonlyMap<string, TensorSource>;
  readonly tokenizer: TokenizerFiles | null;
  /** A Jinja text. */
  readonly chatTemplate: string | null;
  readonly generation: Generation;
  /** Everything else that the files say, for `inspect`. */
  readonly metadata: ReadonlyMap<string, unknown>;
  /** What is unusual about the files without changing what is computed, a sentence each, for `inspect`. */
  readonly notes: readonly string[];
  close(): void;
}

/** What the user says where files are silent, or say what no reader knows. */
export interface OpenOptions {
  /** Keys of config.json or of a GGUF file's architecture that are read as if they were not there. */
  readonly ignoreKeys?: readonly string[];
  /** How text is cut into words: a name that GGUF's tokenizer.ggml.pre may have; in place of the file's. */
  readonly pre?: string;
  /** `dynamic`, `linear:FACTOR`, `yarn:FACTOR`: for texts longer than the model was made for (stretch.ts). */
  readonly ropeScaling?: string;
}

/** The note about keys that nobody knows and that change nothing. */
export function unusedKeysNote(keys: readonly string[]): string[] {
  if (keys.length === 0) return [];
  const shown = keys.slice(0, 12).join(', ') + (keys.length > 12 ? ` and ${keys.length - 12} more` : '');
  return [`keys that Cria does not know and that change nothing of what is computed: ${shown}`];
}

export interface Generation {
  readonly bosId: number | null;
  /** Ids that end a text or a turn. */
  readonly eosIds: readonly number[];
  /** Sampling that the model's makers suggest, in transformers' spelling. */
  readonly suggestions: ReadonlyMap<string, unknown>;
}

export const noGeneration: Generation = { bosId: null, eosIds: [], suggestions: new Map() };

/** Files opened so far, to be closed together. */
export class OpenFiles {
  private readonly sources: ByteSource[] = [];

  open(folder: FileFolder, file: string): ByteSource {
    if (!folder.list().includes(file)) {
      throw new FormatError(
        { code: 'checkpoint.no-file', file: folder.name, where: file },
        'expected this file, found none of that name',
        'Download the missing file into the same folder.',
      );
    }
    return this.keep(folder.open(file));
  }

  keep(source: ByteSource): ByteSource {
    this.sources.push(source);
    return source;
  }

  close(): void {
    for (const source of this.sources.splice(0)) source.close();
  }
}

/** The last gate of every configuration that comes from a file. */
export function checkConfig(where: string, config: LlamaConfig): LlamaConfig {
  const problems = configProblems(config);
  if (problems.length > 0) throw new ConfigError(where, problems);
  return config;
}

/** Token ids that the vocabulary holds; files write −1 or 2³² − 1 for "none". */
export function knownIds(ids: readonly (number | null)[], vocabSize: number): number[] {
  return [...new Set(ids)].filter(
    (id): id is number => id !== null && Number.isInteger(id) && id >= 0 && id < vocabSize,
  );
}
