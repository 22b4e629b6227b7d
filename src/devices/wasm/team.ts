/**
 * The threads of the wasm device: one leader, which runs the model code, and workers, which share its tasks (kernels/team).
 * How a thread is made is layer 7's business: a ThreadHost is passed in.
 */
import { UnsupportedError } from '../../base/errors.ts';
import type { BlasOperands } from '../../kernels/gemm/blas.ts';
import { taskNumber } from '../../kernels/kernels.ts';
import type { NativePlace } from '../../kernels/native/kernels.ts';
import { CONTROL_MODULES, CONTROL_READY } from '../../kernels/tasks.ts';
import { type ArgumentNumbers, type Arguments, type Task, writeArguments } from '../../kernels/writer/task.ts';
import { type KernelLibrary, onceForEach } from './library.ts';
import type { Segment } from './segment.ts';
import { TAKE_MESSAGE, type WorkerMessage } from './worker.ts';

/** Starts threads that hand every message they get to one `createWorker()`. */
export interface ThreadHost {
  /** Resolves when the thread can take messages. */
  spawn(options: ThreadOptions): Promise<TeamThread>;
  /** Resolves a moment later, and keeps the program running until then. */
  pause(ms: number): Promise<void>;
}
/** What a thread's worker is to have, the same as the leader. */
export interface ThreadOptions {
  readonly blas: readonly BlasOperands[] | null;
  readonly native: NativePlace | null;
}
export interface TeamThread {
  post(message: WorkerMessage): void;
  close(): void;
}

/** How long a worker may take to answer before the device gives up on it. */
const ANSWER_MS = 20000;

/** The leader's side. */
export class Team {
  private readonly threads: TeamThread[] = [];
  private readonly library: KernelLibrary;
  private readonly place: (task: number) => boolean;
  private home: Segment | null = null;

  /** `native` does the tasks that it has: their kernels are never written. */
  constructor(library: KernelLibrary, native: NativePlace | null) {
    this.library = library;
    const isNative = new Set(native?.entries.map(([task]) => task));
    this.place = onceForEach((task) => {
      if (!isNative.has(task)) this.placeModule(task);
      return true;
    });
  }

  /** Threads including the leader. */
  get size(): number {
    return this.threads.length + 1;
  }

  async grow(host: ThreadHost, count: number, options: ThreadOptions = { blas: null, native: null }): Promise<void> {
    this.threads.push(...(await Promise.all(Array.from({ length: count }, () => host.spawn(options)))));
  }

  /**
   * Gives all workers a new segment, and waits until they have it, without blocking: in Chromium nothing that a worker posts to its own
   * workers arrives while it blocks. Throws UnsupportedError `wasm.threads`.
   */
  async introduce(segment: Segment, host: ThreadHost | null): Promise<void> {
    const { index, memory } = segment;
    if (index === 0) this.home = segment;
    if (this.threads.length === 0) return;
    const { kernels, memory: homeMemory } = this.home!;
    this.threads.forEach((thread, i) => {
      thread.post({ thread: i + 1, segment: index, team: this.library.team, memory });
    });
    if (index > 0) kernels.open(TAKE_MESSAGE);
    const ready = new Int32Array(homeMemory.buffer, CONTROL_READY, 1);
    const wanted = (index + 1) * this.threads.length;
    for (let waitedMs = 0; Atomics.load(ready, 0) < wanted; waitedMs++) {
      if (waitedMs > ANSWER_MS) {
        throw new UnsupportedError(
          'wasm.threads',
          `wasm device: ${wanted - Atomics.load(ready, 0)} of ${this.threads.length} workers did not answer within ${ANSWER_MS / 1000} s. Use fewer threads.`,
        );
      }
      await host!.pause(1);
    }
    if (index > 0) kernels.close();
  }

  /** Puts a kernel where workers find it when they meet its task. */
  private placeModule(task: number): void {
    this.library.module(task); // compiled here, so that workers get the same code for the same bytes
    const bytes = this.library.bytes(task);
    const home = this.home!;
    const pointer = home.allocate(bytes.length, 'a kernel');
    home.bytesAt(pointer, bytes.length).set(bytes);
    home.wordsAt(CONTROL_MODULES + 8 * task, 2).set([pointer, bytes.length]);
  }

  /** Runs a task with its arguments, by name. */
  perform<A extends Arguments>(
    segment: Segment,
    task: Task<A>,
    values: ArgumentNumbers<A>,
    units: number,
    chunk: number,
  ): void {
    writeArguments(task, values, segment.ints, segment.floats);
    this.run(segment, taskNumber(task), units, chunk);
  }

  /** Runs a described task with all threads; `segment` holds its arguments. */
  run(segment: Segment, task: number, units: number, chunk: number): void {
    if (units <= 0) return;
    if (this.threads.length === 0 || units <= chunk) {
      segment.kernels.runAlone(task, units);
      return;
    }
    this.place(task);
    const home = this.home!;
    try {
      if (segment === home) segment.kernels.runShared(task, units, chunk, this.size);
      else {
        segment.kernels.describe(task, units, chunk, this.size);
        home.kernels.open(segment.index);
        segment.kernels.takePart(0);
        home.kernels.close();
      }
    } catch (error) {
      home.kernels.close();
      throw error;
    }
    if (home.failed !== null) {
      throw new UnsupportedError(
        'wasm.worker-failed',
        `wasm device: worker ${home.failed} stopped in task ${task}. Please report it, with the model and the engine's version.`,
      );
    }
  }

  close(): void {
    for (const thread of this.threads) thread.close();
    this.threads.length = 0;
  }
}
