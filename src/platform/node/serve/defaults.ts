import type { Pooling } from '../../../inference/reading/embedding.ts';

/** What `cria serve` and handler() do where nothing is said. */
export const serveDefaults = {
  /** Answers computed at the same time, and how many more may wait. */
  parallel: 16,
  queue: 256,
  queueSeconds: 300,
  timeLimitSeconds: 3600,
  readSeconds: 20,
  aliases: [] as readonly string[],
  anyModel: false as boolean,
  refuseBeyondContext: false as boolean,
  stallSeconds: 60,
  bodyBytes: 8 << 20,
  pooling: 'mean' satisfies Pooling as Pooling,
} as const;
