/**
 * What a program and its engine, which lives in a worker, say to each other. Every message is one of these; structured cloning
 * carries them.
 */

import type { DeviceKind } from '../../devices/device.ts';
import type { TokenizerFiles } from '../../formats/tokenizer-files.ts';
import type { KvType } from '../../kernels/ops.ts';
import type { AdapterChoice, Usual } from '../../model/adapter/select.ts';
import type { CheckpointFormat, OpenOptions } from '../../model/checkpoint/checkpoint.ts';
import type { LlamaConfig } from '../../model/config.ts';
import type { DType } from '../../tensor/dtype.ts';
import type { EngineLoad } from '../engine.ts';
import type { GenerationResult, Piece, PieceLogProbabilities, Prompt } from '../generation.ts';
import type { CompiledConstraint, ConstraintSpec } from '../grammar/compile-constraint.ts';
import type { Trace, TraceSlice } from '../observe.ts';
import type { GenerationOptions } from '../options.ts';
import type { Pooling } from '../reading/embedding.ts';
import type { ColumnSquares } from '../reading/importance.ts';
import type { NearRow } from '../reading/parameters.ts';
import type { TokenScores } from '../reading/scoring.ts';
import type { LoadedState, SavedState } from './kept-state.ts';
import type { WireError } from './wire-errors.ts';

/** Where a model comes from, as a worker can be told: a path or a URL, bytes, or several files' bytes by name. */
export type Source =
  | { readonly kind: 'path'; readonly path: string }
  | { readonly kind: 'url'; readonly url: string }
  | { readonly kind: 'files'; readonly name: string; readonly files: ReadonlyMap<string, Uint8Array | Blob> };

export interface LoadSettings {
  readonly device: 'auto' | DeviceKind;
  /** null: one per physical core. */
  readonly threads: number | null;
  readonly blas: boolean;
  /** May the engine join pairs of 128-bit operations? */
  readonly revectorize: boolean;
  /** May kernels run as machine code, where this processor has one of ours? */
  readonly native: boolean;
  /** null: the model's own, up to a default. */
  readonly contextLength: number | null;
  /** null: f32 for models stored in f32, f16 for others. */
  readonly kvType: KvType | null;
  /** Tokens that the cache holds, of all sequences together; null: one context, or what maxSequences makes of it. */
  readonly cacheTokens: number | null;
  /** Rows of one batch at most; null: a default. */
  readonly batchTokens: number | null;
  /** Sequences that run at the same time; null: a default. */
  readonly maxSequences: number | null;
  /** Bytes of weights in one memory; null: a default. */
  readonly segmentBytes: number | null;
  /** What the user says about the files. */
  readonly open: OpenOptions;
  readonly adapters: readonly AdapterSettings[];
  /** null: nothing is guessed. */
  readonly draft: DraftSettings | null;
  /** Where what was read outlives the engine; null: nowhere. */
  readonly keep: { readonly folder: string; readonly mostBytes: number } | null;
}

export interface DraftSettings {
  /** Whether the text so far is searched. */
  readonly lookUp: boolean;
  /** A smaller model; null: none. */
  readonly model: Source | null;
}

export interface AdapterSettings {
  readonly name: string;
  readonly source: Source;
  readonly scale: number;
  /** It is used where a call does not say; 'chat': where a conversation is answered. */
  readonly usual: Usual;
}

/** An adapter that was loaded with the model. */
export interface AdapterFacts {
  readonly name: string;
  readonly format: 'peft' | 'gguf' | 'memory';
  readonly scale: number;
  readonly usual: Usual;
  /** A DoRA: it works at this scale only, and with no other adapter. */
  readonly hasMagnitudes: boolean;
  /** The chat template that it was trained with; null: its file names none. */
  readonly chatTemplate: string | null;
  readonly parameterCount: number;
}

/** What a program may know of the model that its engine has loaded. */
export interface ModelFacts {
  readonly name: string;
  readonly format: CheckpointFormat;
  readonly config: LlamaConfig;
  /** Longest sequence of this engine; config.contextLength is what the model was made for. */
  readonly contextLength: number;
  readonly kvType: KvType;
  readonly tokenizer: TokenizerFiles | null;
  /** Of a conversation for which no adapter is asked: the last usual adapter's that brings one, else the model's own. */
  readonly chatTemplate: string | null;
  /** Parameters, and the bytes that they take in the file. */
  readonly parameterCount: number;
  readonly weightBytes: number;
  /** Weight types by how many tensors have them, most first: 'q4_0', 'f32' …. */
  readonly dtypes: readonly string[];
  /** How each parameter is stored, by its name. */
  readonly dtypeOf: Readonly<Record<string, DType>>;
  /** What a user should hear of the files: guesses, and what is not used. */
  readonly remarks: readonly string[];
  /** One line for people: which kernels run. */
  readonly device: string;
  readonly adapters: readonly AdapterFacts[];
  /** What it reads is kept in a folder. */
  readonly keepsCache?: boolean;
  /** Tokens are guessed ahead, unless a request wants none. */
  readonly guesses?: boolean;
}

export interface LoadProgress {
  /** 'compile': kernels, on a GPU. */
  readonly stage: 'download' | 'compile' | 'load';
  readonly done: number;
  /** null where it is not known. */
  readonly total: number | null;
}

export interface MemoryUse {
  readonly weights: number;
  readonly cache: number;
  readonly arena: number;
}

/** A generation has left the queue. */
export interface Admitted {
  readonly cachedTokens: number;
}

/** The prompt has been read, with `promptLogprobs`. */
export interface PromptRead {
  readonly promptLogprobs: readonly PieceLogProbabilities[];
}

/** Every call: its arguments, its value, and what it tells on the way. */
export interface Methods {
  load: { args: [source: Source, settings: LoadSettings]; value: ModelFacts; event: LoadProgress };
  generate: {
    args: [
      prompt: Prompt,
      options: GenerationOptions,
      constraint: ConstraintSpec | CompiledConstraint | null,
      adapters: AdapterChoice | null,
    ];
    value: GenerationResult;
    event: Piece | Admitted | PromptRead;
  };
  encode: {
    args: [prompt: Prompt, options: { readonly parseSpecial: boolean }, adapters: AdapterChoice | null];
    value: Uint32Array;
    event: never;
  };
  logits: { args: [ids: ArrayLike<number>]; value: Float32Array; event: never };
  trace: {
    args: [ids: ArrayLike<number>, names: readonly string[], slice: TraceSlice];
    value: Map<string, Trace>;
    event: never;
  };
  parameterRows: { args: [name: string, from: number, to: number]; value: Float32Array; event: never };
  nearestRows: { args: [name: string, row: number, count: number]; value: readonly NearRow[]; event: never };
  traceNames: { args: []; value: string[]; event: never };
  importance: {
    args: [ids: ArrayLike<number>, withOutput: boolean];
    value: Map<string, ColumnSquares>;
    event: never;
  };
  embed: {
    args: [ids: ArrayLike<number>, pooling: Pooling, adapters: AdapterChoice | null];
    value: Float32Array;
    event: never;
  };
  score: {
    args: [context: ArrayLike<number>, continuations: readonly ArrayLike<number>[], adapters: AdapterChoice | null];
    value: readonly TokenScores[];
    event: never;
  };
  engineLoad: { args: []; value: EngineLoad; event: never };
  memory: { args: []; value: MemoryUse; event: never };
  saveState: {
    args: [path: string, ids: ArrayLike<number>, note: unknown, adapters: AdapterChoice | null, textOnly: boolean];
    value: SavedState;
    event: never;
  };
  forgetState: { args: [ids: ArrayLike<number>, adapters: AdapterChoice | null]; value: number; event: never };
  loadState: { args: [path: string]; value: LoadedState; event: never };
  close: { args: []; value: null; event: never };
}
export type Method = keyof Methods;

export type ToEngine =
  | {
      readonly [M in Method]: {
        readonly kind: 'call';
        readonly call: number;
        readonly method: M;
        readonly args: Methods[M]['args'];
        /** Whether its caller had given it up already: its job ends before its first step. */
        readonly aborted: boolean;
      };
    }[Method]
  | { readonly kind: 'abort'; readonly call: number };

export type FromEngine =
  /** In the order they happened; one message per step of the engine. */
  | { readonly kind: 'events'; readonly events: readonly (readonly [call: number, event: unknown])[] }
  | { readonly kind: 'value'; readonly call: number; readonly value: unknown }
  | { readonly kind: 'error'; readonly call: number; readonly error: WireError };
