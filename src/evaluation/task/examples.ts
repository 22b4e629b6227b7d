/**
 * Which worked examples stand before a question. One generator of random numbers per task, used once per question in order: so the
 * examples of an item depend on its place and on the size of the pool, and on nothing else.
 *
 * Source   lm-evaluation-harness 0.4.13, api/samplers.py.
 */
import { ArgumentError } from '../../base/errors.ts';
import { PythonRandom } from '../python/random.ts';
import type { TaskSpec } from './spec.ts';
import type { Doc } from './template.ts';

export const EXAMPLE_SEED = 1234;

/** The split that examples come from; null: the task brings its own, or names a file. */
export function poolSplit(spec: TaskSpec): string | null {
  if (spec.fewshot_config?.samples || spec.fewshot_file !== undefined) return null;
  return spec.fewshot_split ?? spec.training_split ?? spec.validation_split ?? spec.test_split ?? null;
}

/** The split whose items are asked. */
export const evaluatedSplit = (spec: TaskSpec): string =>
  spec.test_split ?? spec.validation_split ?? spec.training_split ?? 'test';

export interface Drawn {
  readonly docs: readonly Doc[];
  /** Their places in the pool, in the order in which they are shown. */
  readonly rows: readonly number[];
  /** The question is among them, with its answer: the harness leaves it in where both come from the split that `test_split` names. */
  readonly holdsQuestion: boolean;
}

export class ExampleDrawer {
  private readonly random = new PythonRandom(EXAMPLE_SEED);
  private readonly pool: readonly Doc[];
  private readonly places: readonly number[];
  private readonly keys: readonly string[];
  private readonly count: number;
  private readonly inOrder: boolean;
  /** The question might be among them: one more is drawn, and the question dropped. */
  private readonly mayHoldQuestion: boolean;

  /** Throws ArgumentError `eval.pool`. */
  constructor(spec: TaskSpec, pool: readonly Doc[], count: number) {
    this.pool = spec.fewshot_config?.samples ?? pool;
    this.count = count;
    this.inOrder = spec.fewshot_config?.sampler === 'first_n';
    // As the harness asks it: two splits that are not named are the same.
    this.mayHoldQuestion = spec.fewshot_file === undefined && spec.fewshot_split === spec.test_split;
    this.places = this.pool.map((_, i) => i);
    this.keys = count > 0 ? this.pool.map((doc) => JSON.stringify(doc)) : [];
    const needed = count + (this.mayHoldQuestion && !this.inOrder && count > 0 ? 1 : 0);
    if (needed > this.pool.length) {
      throw new ArgumentError(
        'eval.pool',
        `${spec.task}: expected at least ${needed} examples to show ${count} of them, found ${this.pool.length}. Give more data, or fewer with --shots.`,
      );
    }
  }

  /** The examples of the next question. */
  next(question: Doc): Drawn {
    if (this.count === 0) return { docs: [], rows: [], holdsQuestion: false };
    const key = JSON.stringify(question);
    let rows: readonly number[];
    if (this.inOrder) rows = this.places.slice(0, this.count);
    else if (this.mayHoldQuestion) {
      rows = this.random
        .sample(this.places, this.count + 1)
        .filter((row) => this.keys[row] !== key)
        .slice(0, this.count);
    } else rows = this.random.sample(this.places, this.count);
    return {
      rows,
      docs: rows.map((row) => this.pool[row]!),
      holdsQuestion: rows.some((row) => this.keys[row] === key),
    };
  }
}
