/** What the server and the workers that read its requests say to each other. */
import type { CompiledConstraint } from '../../inference/grammar/compile-constraint.ts';
import type { Desk, Opening } from './desk.ts';

export type Job =
  /** A request's body, as it came, for the endpoint of this path; `earlier`: the JSON of what it needs of earlier requests. */
  | {
      readonly kind: 'request';
      readonly path: string;
      readonly body: Uint8Array<ArrayBuffer>;
      readonly earlier?: string;
      /** What POST /lora-adapters has set, as the request came; null: nothing. */
      readonly usualAdapters: Desk['usualAdapters'];
    }
  /** A ConstraintSpec's JSON. */
  | { readonly kind: 'constraint'; readonly spec: string };

export interface JobResults {
  /** What the endpoint's prepare() returned. */
  request: unknown;
  constraint: Omit<CompiledConstraint, 'id'>;
}

/** An ApiError on its way out of a worker. */
export interface Refusal {
  readonly status: number;
  readonly code: string;
  readonly message: string;
  readonly param: string | null;
  /** Where the server made a mistake: for its log. */
  readonly stack: string | null;
}

export type ToPreparer =
  | { readonly kind: 'open'; readonly opening: Opening }
  | { readonly kind: 'job'; readonly id: number; readonly job: Job };

export type FromPreparer =
  /** Opened: the next job does not wait for the tokenizer. */
  | { readonly kind: 'ready' }
  | { readonly kind: 'done'; readonly id: number; readonly value: unknown }
  | { readonly kind: 'refused'; readonly id: number; readonly refusal: Refusal };
