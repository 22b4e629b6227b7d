/** Every reader of strangers' bytes in the repository, one row each. */
import { corpusTargets } from './corpus-targets.ts';
import { modelTargets } from './model-targets.ts';

export interface Target {
  readonly name: string;
  readonly what: string;
  /** Valid inputs, small ones. */
  seeds(): readonly Uint8Array[];
  /** Pieces of text that the format knows. */
  readonly words: readonly string[];
  /** Reads it. May throw what the reader's contract allows: see allowed() in fuzz.ts. */
  run(data: Uint8Array): void | Promise<void>;
}

export const targets: readonly Target[] = [...modelTargets, ...corpusTargets];
