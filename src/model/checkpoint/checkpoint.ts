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
  close(): void;
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
