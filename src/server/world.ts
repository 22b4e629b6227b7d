/** What the server's core is given: a model, its settings, and clocks and chances that it may not reach for itself. */

import type { Prompt } from '../inference/generation.ts';
import type { Pooling } from '../inference/reading/embedding.ts';
import type { GenerationStream } from '../inference/remote/generation-stream.ts';
import type { GenerateOptions, RemoteModel } from '../inference/remote/model.ts';
import type { Gate } from './gate.ts';
import type { ResponseMemory } from './kept/response-memory.ts';
import type { Slots } from './kept/slots.ts';
import type { UsualAdapters } from './kept/usual-adapters.ts';
import type { ServerMetrics } from './metrics.ts';
import type { CompiledConstraints } from './preparing/constraints.ts';
import type { PreparationWorkers } from './preparing/workers.ts';

/** The part of a loaded model that is served. */
export type ServedModel = Pick<
  RemoteModel,
  | 'config'
  | 'facts'
  | 'contextLength'
  | 'tokenizer'
  | 'hasTokenizer'
  | 'isRunning'
  | 'whenEnded'
  | 'embed'
  | 'engineLoad'
> & { generate(prompt: Prompt, options?: GenerateOptions): GenerationStream } & Partial<
    // What the explorer's page shows, and `cria ps`.
    Pick<RemoteModel, 'trace' | 'parameterRows' | 'nearestRows' | 'memory'>
  > &
  // What slots are saved with.
  Partial<Pick<RemoteModel, 'saveState' | 'loadState' | 'forgetState'>>;

export interface ServerSettings {
  /** The name under which the model is served. */
  readonly modelId: string;
  /** Other names under which it is asked for. */
  readonly aliases: readonly string[];
  /** Any name is taken for this model's. */
  readonly anyModel: boolean;
  /** max_tokens beyond the context: refused, instead of cut to what is left of it. */
  readonly refuseBeyondContext: boolean;
  /** A chat template's name or Jinja text; undefined: the model's own. */
  readonly template: string | undefined;
  readonly pooling: Pooling;
  /** How long a request may wait for its place. */
  readonly queueSeconds: number;
  /** How long an answer may take; it then ends as if by max_tokens. */
  readonly timeLimitSeconds: number;
  /** Answers that are computed at the same time, as far as the server knows: so many slots it names. */
  readonly parallel: number;
  /** The folder in which /slots saves and restores; absent: neither. */
  readonly slotSavePath?: string | undefined;
  /** POST /props is answered. */
  readonly props?: boolean | undefined;
  /** How long the reading of one request may take: its texts, template and schemas. */
  readonly readSeconds: number;
  readonly version: string;
}

export interface Clocks {
  /** Milliseconds from anywhere, never going back. */
  monotonic(): number;
  /** Unix time in seconds. */
  unixSeconds(): number;
  /** Resolves after so long, or at once when the signal aborts. */
  sleep(milliseconds: number, signal: AbortSignal): Promise<void>;
}

/** What all models of a server share. */
export interface Shared {
  readonly clocks: Clocks;
  readonly metrics: ServerMetrics;
  /** Responses that may be gone on with. */
  readonly responses: ResponseMemory;
  /** A name that no other request has. */
  readonly randomId: () => string;
}

/** One model with what answers for it. */
export interface Core extends Shared {
  readonly model: ServedModel;
  readonly settings: ServerSettings;
  readonly gate: Gate;
  /** Read requests, and compile their grammars. */
  readonly preparers: PreparationWorkers;
  readonly constraints: CompiledConstraints;
  readonly slots: Slots;
  /** What POST /lora-adapters has set for requests that name no adapters. */
  readonly usualAdapters: UsualAdapters;
}

/** One request as an endpoint sees it: its end, and what the log should say of it. */
export interface Call {
  /** Aborts when the client goes away. */
  readonly signal: AbortSignal;
  /** A parameter of the address, after its question mark. */
  readonly query: (name: string) => string | undefined;
  readonly notes: Record<string, unknown>;
}

export type Reply = ReplyBody & { readonly headers?: Readonly<Record<string, string>> };

type ReplyBody =
  | { readonly kind: 'json'; readonly body: unknown }
  | { readonly kind: 'text'; readonly body: string | Uint8Array<ArrayBuffer>; readonly type: string }
  /** Lines of server-sent events. */
  | { readonly kind: 'events'; readonly events: AsyncGenerator<string, void> };
