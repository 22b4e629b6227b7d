/** Hands for the corpus: worker threads that each take the next unit, or this thread alone. */
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { CriaError } from '../../../base/errors.ts';
import type { NgramParts } from '../../../corpus/ngram/file.ts';
import { createEnvironment, loadNgramParts } from '../../../corpus/pipeline/environment.ts';
import type { CorpusHost, DoneRecord, Workforce } from '../../../corpus/pipeline/host.ts';
import { executeTask } from '../../../corpus/pipeline/kinds/execute.ts';
import { canGiveUp } from '../../../corpus/pipeline/kinds/give-up.ts';
import type { Task } from '../../../corpus/pipeline/task.ts';
import type { Recipe } from '../../../corpus/recipe/recipe.ts';
import { modelsOf } from '../../../corpus/stages/table.ts';
import type { RemoteThread } from '../../remote/remote.ts';
import type { ClaimOptions } from './claims.ts';
import { createCorpusHost, type Folders } from './host.ts';

export interface WorkerData {
  readonly recipe: Recipe;
  readonly folders: Folders;
  readonly beats: Int32Array;
}

/** A task, and the n-gram models that this worker has not been given yet. */
export interface WorkerRequest {
  readonly task: Task;
  readonly models: readonly (readonly [name: string, parts: NgramParts])[];
}

export type WorkerMessage =
  | { readonly ok: true; readonly record: DoneRecord }
  /** Errors lose their class and fields between threads; a code says that it is the input's fault, `system` that it is the machine's. */
  | {
      readonly ok: false;
      readonly code: string | undefined;
      readonly system: { readonly code: string; readonly syscall: string; readonly path?: string } | undefined;
      readonly error: unknown;
    };

export interface ClosableWorkforce extends Workforce {
  close(): Promise<void>;
}

export function defaultWorkerCount(): number {
  return availableParallelism();
}

/** Everything on this thread. Nobody watches it: a unit that hangs here hangs. */
export function soloWorkforce(recipe: Recipe, host: CorpusHost): ClosableWorkforce {
  const environment = createEnvironment(recipe, host);
  return {
    async run(next, onDone, onFailure) {
      for (let task = next(); task; task = next()) {
        try {
          onDone(task, await executeTask(task, { recipe, host, environment }));
        } catch (error) {
          onFailure(task, error);
        }
      }
    },
    close: async () => {},
  };
}

export interface ThreadOptions {
  readonly count: number;
  /** A unit of input in which nothing has moved for so long is ended. */
  readonly stallSeconds: number;
  readonly claims: ClaimOptions;
  /** Fetches what has an address. */
  readonly remote?: RemoteThread | undefined;
  readonly signal?: AbortSignal | undefined;
}

export const DEFAULT_STALL_SECONDS = 300;

/** A worker thread, and what it is seen by: it counts up while its unit moves on. */
interface Hand {
  readonly worker: Worker;
  readonly beats: Int32Array;
  readonly models: Set<string>;
}

/** `count` worker threads, started when there is work for them and kept between phases so that models are loaded once. */
export function threadWorkforce(
  recipe: Recipe,
  folders: Folders,
  { count, stallSeconds, claims, remote, signal }: ThreadOptions,
): ClosableWorkforce {
  const hands = new Set<Hand>();
  const host = createCorpusHost({ ...folders, claims, remote: remote?.port() });
  /** Language models are the largest things that workers need: they are loaded once, into memory that all see. */
  const models = new Map<string, NgramParts>();
  const modelsFor = (task: Task, hand: Hand): WorkerRequest['models'] => {
    const wanted = ngramModelsOf(task, recipe).filter((name) => !hand.models.has(name));
    return wanted.map((name) => {
      let parts = models.get(name);
      if (!parts) models.set(name, (parts = loadNgramParts(name, host, (bytes) => new SharedArrayBuffer(bytes))));
      hand.models.add(name);
      return [name, parts] as const;
    });
  };
  const start = (): Hand => {
    const beats = new Int32Array(new SharedArrayBuffer(4));
    const port = remote?.port();
    const worker = new Worker(new URL('./worker.ts', import.meta.url), {
      workerData: { recipe, folders: { ...folders, claims, remote: port }, beats } satisfies WorkerData,
      transferList: port ? [port] : [],
    });
    const hand = { worker, beats, models: new Set<string>() };
    hands.add(hand);
    return hand;
  };
  const end = async (hand: Hand): Promise<void> => {
    hands.delete(hand);
    await hand.worker.terminate();
  };
  return {
    async run(next, onDone, onFailure) {
      let isOver = false;
      const work = async (first: Hand | undefined): Promise<void> => {
        let hand = first;
        for (let task = next(); task && !isOver && !signal?.aborted; task = isOver ? undefined : next()) {
          hand ??= start();
          try {
            onDone(task, await runOn(hand, { task, models: modelsFor(task, hand) }, stallSeconds));
          } catch (error) {
            if (signal?.aborted) return;
            // A thread that hung or broke down is no use any more; one that reported an error is.
            if (!(error instanceof TaskError)) {
              await end(hand);
              hand = undefined;
            }
            try {
              onFailure(task, error instanceof TaskError ? error.cause : error);
            } catch (fatal) {
              isOver = true;
              throw fatal;
            }
          }
        }
      };
      // A unit that is stopped half-way leaves nothing behind that counts; there is no need to wait for it.
      const stop = (): void => void Promise.all([...hands].map(end));
      signal?.addEventListener('abort', stop, { once: true });
      const ready = [...hands];
      const results = await Promise.allSettled(Array.from({ length: count }, (_, i) => work(ready[i])));
      signal?.removeEventListener('abort', stop);
      if (signal?.aborted) return;
      const failure = results.find((result) => result.status === 'rejected');
      if (failure) throw failure.reason;
    },
    async close() {
      await Promise.all([...hands].map(end));
    },
  };
}

/** What a unit threw, from a thread that is still well. */
class TaskError extends Error {}

function asThrown({ code, system, error }: Extract<WorkerMessage, { ok: false }>): unknown {
  if (system) return Object.assign(error as Error, system);
  return code === undefined ? error : new CriaError(code, (error as Error).message);
}

/** The language models that a task's stages score with. */
function ngramModelsOf(task: Task, recipe: Recipe): string[] {
  if (task.kind !== 'process' && task.kind !== 'collect') return [];
  const { stages } = recipe.sources[task.unit.source]!;
  const used = task.kind === 'collect' ? stages.slice(0, task.stage) : stages;
  return used.filter(({ name }) => name === 'perplexity').flatMap(modelsOf);
}

const WATCH_MILLISECONDS = 1000;

/** Runs one task. Rejects with TaskError where the task failed, with another error where the thread did. */
function runOn({ worker, beats }: Hand, request: WorkerRequest, stallSeconds: number): Promise<DoneRecord> {
  return new Promise((resolve, reject) => {
    let seen = Atomics.load(beats, 0);
    // The time in which the thread itself starts is not the unit's.
    let moved = Number.POSITIVE_INFINITY;
    const watch = setInterval(
      () => {
        const now = Atomics.load(beats, 0);
        if (now !== seen) [seen, moved] = [now, performance.now()];
        else if (canGiveUp(request.task) && performance.now() - moved > stallSeconds * 1000)
          settle(() => reject(new Error(`nothing moved for ${stallSeconds} s`)));
      },
      Math.min(WATCH_MILLISECONDS, stallSeconds * 250),
    );
    const settle = (finish: () => void): void => {
      clearInterval(watch);
      worker.off('message', onMessage);
      worker.off('error', onError);
      worker.off('exit', onExit);
      finish();
    };
    const onMessage = (message: WorkerMessage): void =>
      settle(() =>
        message.ok ? resolve(message.record) : reject(new TaskError('task failed', { cause: asThrown(message) })),
      );
    const onError = (error: unknown): void => settle(() => reject(error));
    const onExit = (code: number): void =>
      settle(() => reject(new Error(`corpus worker ended with code ${code} during ${request.task.id}`)));
    worker.on('message', onMessage);
    worker.on('error', onError);
    worker.on('exit', onExit);
    worker.postMessage(request);
  });
}
