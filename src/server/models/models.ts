/** The models of a server: one that is always in memory (only-model.ts), or a shelf of them (shelf.ts). */
import type { ModelFacts } from '../../inference/remote/protocol.ts';
import type { Core, ServerSettings, Shared } from '../world.ts';

export interface Models {
  /** Whether the name that a request gives decides which model answers. */
  readonly choosesByName: boolean;
  /** Throws ApiError 503 where no request would be taken now: before its body is read, which costs something. */
  check(): void;
  /**
   * The model of this name, in memory until `release` is called; null is the first one. Resolves when it is loaded.
   * Throws ApiError 404 for a name that nothing has, 503 where it cannot be loaded, or not in time, 499 when the signal aborts.
   */
  use(name: string | null, signal: AbortSignal): Promise<Use>;
  /** How far the model of this name is; null is the first one. Throws ApiError 404. */
  waited(name: string | null): Waited;
  /** Every model, in the order in which they were named. */
  list(): readonly Listed[];
  readonly isClosed: boolean;
  /** Nobody else comes in. Resolves when the last answer has ended. */
  drain(): Promise<void>;
  /** Ends what reads requests, and what was loaded here. */
  close(): Promise<void>;
}

export interface Use {
  readonly core: Core;
  release(): void;
}

export interface Waited extends Pick<Listed, 'state' | 'progress'> {
  readonly modelId: string;
}

export interface Listed {
  readonly settings: Pick<ServerSettings, 'modelId' | 'aliases' | 'template'>;
  /** null: it is not in memory. */
  readonly core: Core | null;
  /** What is known since it was first loaded. */
  readonly facts: ModelFacts | null;
  readonly state: 'on disk' | 'loading' | 'loaded' | 'leaving';
  /** Memory that it takes, or is expected to take: weights, cache and room to compute. */
  readonly bytes: number;
  /** Share of the loading that is done; null: nothing is being loaded. */
  readonly progress: number | null;
  /** Unix seconds of its last request's beginning or end; null: nobody has asked. */
  readonly lastUsed: number | null;
  /** Requests that it answers, and those that wait for it to be loaded. */
  readonly users: number;
  readonly waiting: number;
}

/** What the endpoints of the whole server are given. */
export type House = Shared & { readonly models: Models; readonly version: string };
