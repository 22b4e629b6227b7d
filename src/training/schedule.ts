/** The learning rate of a step; the first step is 0. */
export type Schedule = (step: number) => number;

export interface CosineSchedule {
  readonly learningRate: number;
  readonly warmupSteps: number;
  readonly totalSteps: number;
  /** The rate at the end, as a part of the highest. */
  readonly finalFraction: number;
}

/**
 * Linear warm-up, then a cosine down to a fraction of the peak.
 *
 *   t < warmup:  lr · (t + 1) / warmup        else  lr · (f + (1 − f) · (1 + cos(π · (t − warmup) / (total − warmup))) / 2)
 *
 * Numbers  after totalSteps the rate stays at lr · f.
 * Source   Touvron et al. 2023, arXiv:2302.13971 §2.3: 2,000 steps of warm-up, down to 10 %.
 */
export function cosineSchedule({ learningRate, warmupSteps, totalSteps, finalFraction }: CosineSchedule): Schedule {
  return (step) => {
    if (step < warmupSteps) return (learningRate * (step + 1)) / warmupSteps;
    const done = Math.min(1, (step - warmupSteps) / Math.max(1, totalSteps - warmupSteps));
    return learningRate * (finalFraction + (1 - finalFraction) * 0.5 * (1 + Math.cos(Math.PI * done)));
  };
}

/**
 * Linear warm-up, the peak for most of the way, and a straight line down over the last `decayFraction` of the steps. The end can be
 * chosen while the run goes on: until the line begins, nothing depends on it.
 * Source   Hu et al. 2024, arXiv:2404.06395 §4 (warmup-stable-decay).
 */
export function stableSchedule({
  learningRate,
  warmupSteps,
  totalSteps,
  finalFraction,
  decayFraction,
}: CosineSchedule & { readonly decayFraction: number }): Schedule {
  const decaySteps = Math.max(1, totalSteps * decayFraction);
  return (step) => {
    if (step < warmupSteps) return (learningRate * (step + 1)) / warmupSteps;
    const left = Math.min(1, Math.max(0, (totalSteps - step) / decaySteps));
    return learningRate * (finalFraction + (1 - finalFraction) * left);
  };
}

/**
 * Linear warm-up, then a straight line down to a fraction of the peak.
 * Source   Devlin et al. 2019, arXiv:1810.04805 §A.2.
 */
export function linearSchedule({ learningRate, warmupSteps, totalSteps, finalFraction }: CosineSchedule): Schedule {
  return (step) => {
    if (step < warmupSteps) return (learningRate * (step + 1)) / warmupSteps;
    const left = Math.max(0, 1 - (step - warmupSteps) / Math.max(1, totalSteps - warmupSteps));
    return learningRate * (finalFraction + (1 - finalFraction) * left);
  };
}

/**
 * Linear warm-up, then down with the square root of the steps, but not below a fraction of the peak. Nothing depends on the end.
 *
 *   t ≥ warmup:  lr · √(warmup / (t + 1))
 *
 * Source   Vaswani et al. 2017, arXiv:1706.03762 §5.3.
 */
export function inverseSqrtSchedule({ learningRate, warmupSteps, finalFraction }: CosineSchedule): Schedule {
  return (step) => {
    if (step < warmupSteps) return (learningRate * (step + 1)) / warmupSteps;
    return learningRate * Math.max(finalFraction, Math.sqrt(Math.max(1, warmupSteps) / (step + 1)));
  };
}
