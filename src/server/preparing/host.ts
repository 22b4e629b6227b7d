/** The worker's side: one job after another, each from a message to a message. */
import { CriaError } from '../../base/errors.ts';
import { type ConstraintSpec, compileConstraint } from '../../inference/grammar/compile-constraint.ts';
import { toApiError } from '../api-error.ts';
import { endpoints } from '../endpoints/table.ts';
import { parseJson, readText } from '../request/parse.ts';
import { type Desk, openDesk } from './desk.ts';
import type { FromPreparer, Job, ToPreparer } from './protocol.ts';

export class PreparationHost {
  private readonly post: (message: FromPreparer, transfer: ArrayBuffer[]) => void;
  private desk: Desk | null = null;

  private readonly now: () => Date;

  constructor(post: (message: FromPreparer, transfer: ArrayBuffer[]) => void, now: () => Date) {
    this.post = post;
    this.now = now;
  }

  receive(message: ToPreparer): void {
    if (message.kind === 'open') {
      this.desk = openDesk(message.opening, this.now);
      this.post({ kind: 'ready' }, []);
      return;
    }
    const { id } = message;
    try {
      const value = this.run(message.job);
      this.post({ kind: 'done', id, value }, buffersOf(value));
    } catch (error) {
      const { status, code, message: text, param, cause } = toApiError(error);
      const stack = status === 500 && cause instanceof Error ? (cause.stack ?? cause.message) : null;
      this.post({ kind: 'refused', id, refusal: { status, code, message: text, param, stack } }, []);
    }
  }

  private run(job: Job): unknown {
    if (!this.desk)
      throw new CriaError('serve.worker', 'a worker that reads requests was not opened before its first.');
    switch (job.kind) {
      case 'request': {
        const endpoint = endpoints.find(({ path, prepare }) => path === job.path && prepare !== null);
        const desk = { ...this.desk, usualAdapters: job.usualAdapters };
        const earlier = job.earlier === undefined ? undefined : (JSON.parse(job.earlier) as unknown);
        return endpoint?.prepare?.(desk, parseJson(readText(job.body)), earlier);
      }
      case 'constraint': {
        const { tokenizer } = this.desk.model;
        const hasToken = (text: string) => tokenizer.idOf(text) !== null;
        return compileConstraint(JSON.parse(job.spec) as ConstraintSpec, hasToken, 'shared');
      }
      default:
        return job satisfies never;
    }
  }
}

/** The arrays that a value holds are handed over, not copied; shared memory stays shared. */
function buffersOf(value: unknown, depth = 0): ArrayBuffer[] {
  if (typeof value !== 'object' || value === null || depth > 3) return [];
  if (ArrayBuffer.isView(value)) return value.buffer instanceof ArrayBuffer ? [value.buffer] : [];
  const inner = Array.isArray(value) ? value : Object.values(value);
  return [...new Set(inner.flatMap((part) => buffersOf(part, depth + 1)))];
}
