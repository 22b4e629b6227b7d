/** Several trainings at a time, each on one thread or on a share of the GPU: nobody waits at barriers, and a training's bits do not depend on the others. */
import { Worker } from 'node:worker_threads';
import { CriaError } from '../../../base/errors.ts';
import type { LabTraining } from '../../../lab/arm-model.ts';
import type { RunResult } from '../../../lab/train-once.ts';
import type { SharedText } from './text.ts';
import type { WorkerAnswer, WorkerData } from './worker.ts';

export interface Finished {
  readonly result: RunResult;
  readonly device: string;
}

export class LabWorkers {
  private readonly workers: Worker[] = [];
  private readonly free: Worker[] = [];
  private readonly waiting: ((worker: Worker) => void)[] = [];
  private readonly running = new Set<Promise<unknown>>();
  private readonly stop = new Int32Array(new SharedArrayBuffer(4));

  constructor(count: number, text: SharedText, machine: Pick<WorkerData, 'device' | 'blas'>, signal: AbortSignal) {
    const workerData: WorkerData = { text, ...machine, stop: this.stop };
    for (let i = 0; i < count; i++) {
      const worker = new Worker(new URL('./worker.ts', import.meta.url), { name: 'cria lab', workerData });
      this.workers.push(worker);
      this.free.push(worker);
    }
    signal.addEventListener('abort', () => Atomics.store(this.stop, 0, 1));
    if (signal.aborted) Atomics.store(this.stop, 0, 1);
  }

  get isStopped(): boolean {
    return Atomics.load(this.stop, 0) === 1;
  }

  /** null: it was stopped. */
  async train(training: LabTraining): Promise<Finished | null> {
    const worker = await this.take();
    try {
      if (this.isStopped) return null;
      const asked = ask(worker, training);
      this.running.add(asked);
      const answer = await asked.finally(() => this.running.delete(asked));
      if (!answer.ok) throw new CriaError(answer.code ?? 'lab.run', answer.message);
      return answer.result && { result: answer.result, device: answer.device };
    } finally {
      const next = this.waiting.shift();
      if (next) next(worker);
      else this.free.push(worker);
    }
  }

  /** Waits for trainings that go on: a GPU's driver that loses its thread in the middle of a call ends the whole process. */
  async close(): Promise<void> {
    Atomics.store(this.stop, 0, 1);
    await Promise.allSettled(this.running);
    await Promise.all(this.workers.map((worker) => worker.terminate()));
  }

  private take(): Promise<Worker> {
    const worker = this.free.pop();
    return worker ? Promise.resolve(worker) : new Promise((resolve) => this.waiting.push(resolve));
  }
}

function ask(worker: Worker, training: LabTraining): Promise<WorkerAnswer> {
  return new Promise((resolve, reject) => {
    const settle = () => {
      worker.off('message', done);
      worker.off('error', failed);
      worker.off('exit', gone);
    };
    const done = (answer: WorkerAnswer) => {
      settle();
      resolve(answer);
    };
    const failed = (error: Error) => {
      settle();
      reject(error);
    };
    const gone = () => failed(new CriaError('lab.worker', 'lab: a worker thread ended before its training did.'));
    worker.on('message', done);
    worker.on('error', failed);
    worker.on('exit', gone);
    worker.postMessage(training);
  });
}
