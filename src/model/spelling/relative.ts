/**
 * A relative of LLaMA, as data: what it chooses otherwise, and how files spell it. One file of model/relatives/ is one relative; reading
 * and writing of GGUF and Hugging Face files, `init` and `inspect` take everything from it.
 */
import type { Facts } from '../../formats/config/facts.ts';
import type { GgufType } from '../../formats/gguf-values.ts';
import type { Json } from '../../formats/json.ts';
import type { GgufValue } from '../../formats/tokenizer-files.ts';
import type { TensorSource } from '../../tensor/source.ts';
import type { LlamaConfig } from '../config.ts';
import type { BlockTensor, ForeignNames } from '../parameters.ts';

export interface Relative {
  /** LlamaConfig.family */
  readonly name: string;
  /** What all models of the family choose where the papers chose otherwise. */
  readonly choices?: Partial<LlamaConfig>;
  /** The facts that its files state, besides those that every LLaMA's state (common.ts); the same fields here replace those there. */
  readonly facts?: readonly Fact[];
  /** null: transformers has no such model. */
  readonly hf: HfSpelling | null;
  /** null: llama.cpp has no such model. */
  readonly gguf: GgufSpelling | null;
}

export interface HfSpelling {
  readonly modelType: string;
  /** For `architectures`. */
  readonly architecture: string;
  /** What transformers takes where config.json leaves a key out. */
  readonly defaults?: Readonly<Record<string, Json>>;
  /** Of a model with more senses than text: the key of the part that is this model; the rest is left out. */
  readonly textConfig?: string;
  /** Where several relatives have parts of the same outer model_type: that of the part; the first is taken where it is not said. */
  readonly textType?: string;
  readonly names?: Names;
  /** How rows of queries and keys lie; absent: the halves of a head apart. */
  readonly rotary?: 'pairs';
  /** RMSNorm multiplies with 1 + what is stored. */
  readonly gainsFromOne?: boolean;
}

export interface GgufSpelling {
  readonly architecture: string;
  /** Other values of general.architecture that are read as this one. */
  readonly aliases?: readonly string[];
  /** How rows of queries and keys lie: ggml's NORM is pairs, its NEOX is halves. */
  readonly rotary: 'pairs' | 'halves';
  readonly names?: Names;
}

/** Where a format's names are not those of the parameter table. */
export interface Names extends ForeignNames {
  /** Tensors of a block that hold several parameters' rows, one below the other. */
  readonly fused?: Readonly<Record<string, readonly BlockTensor[]>>;
  /** Tensors of a block that hold stacks of experts in another order. */
  readonly stacks?: Readonly<Record<string, ExpertStack>>;
}

/**
 * The outputs of several stacks of experts along one axis. [X, I, outputs] where `outputs` are the columns, as x · w has it; [X, outputs, I]
 * where they are rows. Biases are [X, outputs].
 */
export interface ExpertStack {
  readonly parts: readonly BlockTensor[];
  readonly outputs: 'columns' | 'rows';
  /** Of two parts: all of the first, then all of the second; or one of each in turn. */
  readonly order: 'apart' | 'in turn';
  /** A form that is read, and that nothing is written in. */
  readonly readOnly?: true;
}

/** One fact of a configuration (or a few that hang together), and how either format spells it. */
export interface Fact {
  readonly fields: readonly (keyof LlamaConfig)[];
  /** `known`: the family's choices and the facts before this one. Problems go to `keys`. */
  readonly readHf: (keys: Facts, known: LlamaConfig) => Partial<LlamaConfig>;
  readonly writeHf: (config: LlamaConfig) => Record<string, unknown>;
  readonly readGguf: (keys: Facts, known: LlamaConfig, file: GgufFacts) => Partial<LlamaConfig>;
  readonly writeGguf: (config: LlamaConfig) => readonly GgufEntry[];
}

/** What a GGUF file says beside the keys of its architecture. */
export interface GgufFacts {
  readonly tensors: ReadonlyMap<string, TensorSource>;
  /** Length of the vocabulary; 1 without one. */
  readonly vocabularyLength: number;
}

export type GgufEntry = readonly [key: string, type: GgufType, value: GgufValue];
