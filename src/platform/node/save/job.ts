/** A model on its way to a file: what `init`, `convert` and `quantize` hand to their workers. Plain data, so that it can be cloned. */
import type { TokenizerFiles } from '../../../formats/tokenizer-files.ts';
import type { OpenOptions } from '../../../model/checkpoint/checkpoint.ts';
import type { LlamaConfig } from '../../../model/config.ts';
import type { AskedTypes, MixName } from '../../../quant/mixes.ts';
import type { DType, WeightType } from '../../../tensor/dtype.ts';

export interface SaveJob {
  readonly source:
    | {
        readonly kind: 'checkpoint';
        readonly path: string;
        readonly open?: OpenOptions;
        /** Merged into the weights in this order. */
        readonly adapters?: readonly MergedAdapter[];
      }
    | {
        readonly kind: 'random';
        readonly name: string;
        readonly config: LlamaConfig;
        readonly seed: number;
        readonly tokenizer: TokenizerFiles | null;
      };
  readonly format: 'gguf' | 'safetensors';
  /** null: every tensor in the type that it has; with adapters, quantized ones in f16. */
  readonly mix: MixName | null;
  /** Of the table of embeddings and the output matrix, in place of what the mix says. */
  readonly asked?: AskedTypes | undefined;
  /** What a GGUF file says that the model is called; absent: what the source is called. */
  readonly name?: string | undefined;
  /** The path of an importance matrix that weighs the errors of quantizing; absent: all columns count alike. */
  readonly imatrix?: string | undefined;
  /** Whether to compare what was written with what was read. */
  readonly measure: boolean;
}

export interface MergedAdapter {
  readonly path: string;
  /** Multiplies the adapter's own scale. */
  readonly scale: number;
}

export interface SavedTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly from: DType;
  readonly to: WeightType;
  readonly bytes: number;
  /** Why it could not have the type that its mix wants. */
  readonly reason: string | null;
  /** The importance matrix has weighed its errors. */
  readonly weighed: boolean;
  /** Σ (written − read)² and Σ read²; null where it was not measured or not recoded. */
  readonly error: { readonly squared: number; readonly energy: number } | null;
}

/** The share of the work that one worker does: of every run of PART_BYTES, each `count`-th. */
export interface Part {
  readonly index: number;
  readonly count: number;
}
