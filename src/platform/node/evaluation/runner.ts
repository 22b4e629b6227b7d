import type { RunPrograms } from '../../../evaluation/metrics/metric.ts';

export interface ProgramRunner {
  /** Where programs run, in words. */
  readonly description: string;
  readonly run: RunPrograms;
}

/** Runs some at a time, and the same program once: answers drawn at a low temperature are often alike. */
export function cachedRunner(
  description: string,
  runOne: (program: string) => Promise<boolean>,
  lanes: number,
): ProgramRunner {
  const known = new Map<string, boolean>();
  return {
    description,
    async run(programs) {
      const fresh = [...new Set(programs)].filter((program) => !known.has(program));
      let next = 0;
      const lane = async () => {
        while (next < fresh.length) {
          const program = fresh[next++]!;
          known.set(program, await runOne(program));
        }
      };
      await Promise.all(Array.from({ length: Math.min(fresh.length, lanes) }, lane));
      return programs.map((program) => known.get(program)!);
    },
  };
}
