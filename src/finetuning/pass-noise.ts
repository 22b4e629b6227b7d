/** What the passes of a training step add or drop at random: each step says which passes come, and each pass asks once. */
import { type Dropout, dropoutKey } from '../kernels/dropout/reference.ts';
import type { MicroBatch } from '../training/micro-batch.ts';

export interface PassNoise {
  begin(passes: readonly MicroBatch[], seed: number, step: number, rank: number): void;
  /** Passes from here on have none. */
  end(): void;
}

/** Several at once; null: none. */
export function allNoise(noises: readonly (PassNoise | null)[]): PassNoise | null {
  const all = noises.filter((noise) => noise !== null);
  if (all.length === 0) return null;
  return {
    begin: (...words) => {
      for (const noise of all) noise.begin(...words);
    },
    end: () => {
      for (const noise of all) noise.end();
    },
  };
}

/**
 * Dropout before an adapter's A, as PEFT's lora_dropout: each corrected matrix drops its own share of its input. What is dropped
 * follows from seed, step, matrix and the token's place in the step, so that neither passes nor ranks nor recomputing change it.
 */
export class AdapterDropout implements PassNoise {
  private readonly rate: number;
  private passes: { readonly firstToken: number; readonly seed: number; readonly step: number }[] = [];

  constructor(rate: number) {
    this.rate = rate;
  }

  begin(passes: readonly MicroBatch[], seed: number, step: number): void {
    this.passes = passes.map(({ firstToken = 0 }) => ({ firstToken, seed, step }));
  }

  end(): void {
    this.passes = [];
  }

  /** Of the pass that begins, by the number of the corrected matrix; null: nothing is dropped. Called once for each pass. */
  next(): ((site: number) => Dropout) | null {
    const pass = this.passes.shift();
    if (pass === undefined) return null;
    const { firstToken, seed, step } = pass;
    return (site) => ({ rate: this.rate, key: dropoutKey(seed, step, site), firstToken });
  }
}
