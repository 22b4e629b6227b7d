import { ArgumentError } from '../../base/errors.ts';
import { defineMetric } from './metric.ts';

/**
 * The chance that at least one of k answers passes, from n answers of which c do: 1 − Π (1 − k / i) for i = n − c + 1 … n.
 *
 * Source   Chen et al. 2021, arXiv:2107.03374, eq. 1.
 */
export function passAtK(n: number, c: number, k: number): number {
  if (n - c < k) return 1;
  let allFail = 1;
  for (let i = n - c + 1; i <= n; i++) allFail *= 1 - k / i;
  return 1 - allFail;
}

/** Each program is the answer, a line break, and the target's tests. */
export const passAt = defineMetric<'generate_until'>({
  help: 'the tests of the target pass, for at least one of k answers (k: 1)',
  kinds: ['generate_until'],
  aggregation: 'mean',
  higherIsBetter: true,
  needs: 'programs',
  async score({ answers, target, run }, { k = 1 }) {
    if (!run) {
      throw new ArgumentError(
        'eval.execute',
        'pass@k: expected leave to run the programs that the model wrote, found none. Give --execute.',
      );
    }
    const programs = (typeof answers === 'string' ? [answers] : answers).map((answer) => `${answer}\n${target}`);
    const passed = (await run(programs)).filter(Boolean).length;
    return passAtK(programs.length, passed, k);
  },
});
