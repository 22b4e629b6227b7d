/**
 * Runs the units of a phase that nobody has done yet, together with all other processes over the same work folder: each takes the next unit that is free, and
 * waits at the end for those that others hold. A process that dies loses its units when its lease is over; a unit of input that fails twice is given up.
 */
import { CriaError } from '../../base/errors.ts';
import { isSystemError } from '../../base/system-error.ts';
import type { TokenManifest } from '../mixture/shards.ts';
import { isAttributePart } from '../report/parquet.ts';
import type { Claim, CorpusHost, Workforce } from './host.ts';
import { canGiveUp, giveUp } from './kinds/give-up.ts';
import type { Publisher, RunOptions } from './run.ts';
import type { Task, TaskOf } from './task.ts';

const POLL_MILLISECONDS = 2000;
const MOST_FAILURES = 2;
/** Processes are killed for many reasons; one that dies at a unit each time is killed by it. */
const MOST_DEATHS = 4;

export class PhaseRunner {
  made = 0;
  total = 0;
  private readonly host: CorpusHost;
  private readonly publisher: Publisher;
  private readonly workforce: Workforce;
  private readonly options: RunOptions;

  constructor(host: CorpusHost, publisher: Publisher, workforce: Workforce, options: RunOptions) {
    this.host = host;
    this.publisher = publisher;
    this.workforce = workforce;
    this.options = options;
  }

  /** `isNeeded`: false for a unit that need not be made, since what it is for is there. */
  async phase(phase: string, tasks: readonly Task[], isNeeded: (task: Task) => boolean = () => true): Promise<void> {
    if (tasks.length === 0) return;
    const isOver = (task: Task): boolean => this.isDone(task) || !isNeeded(task);
    let queue = tasks.filter((task) => !isOver(task));
    this.total += tasks.length;
    this.options.onEvent?.({ kind: 'phase', phase, units: tasks.length, pending: queue.length });
    const claims = new Map<string, Claim>();
    const release = (task: Task): void => {
      claims.get(task.id)?.release();
      claims.delete(task.id);
    };
    let elsewhere: Task[] = [];
    const next = (): Task | undefined => {
      for (let task = queue.shift(); task; task = queue.shift()) {
        const claim = this.host.work.claims.take(task.id);
        if (!claim) elsewhere.push(task);
        else if (isOver(task)) claim.release();
        else {
          claims.set(task.id, claim);
          if (claim.deaths < MOST_DEATHS) return task;
          this.giveUp(task, new Error(`${claim.deaths} processes died while they worked on it`));
          release(task);
        }
      }
      return undefined;
    };
    let done = 0;
    const onDone = (task: Task): void => {
      release(task);
      this.made++;
      this.options.onEvent?.({ kind: 'unit', phase, unit: task.id, done: ++done, units: queue.length + done });
    };
    const onFailure = (task: Task, error: unknown): void => {
      // What the recipe or the machine lacks would fail every unit.
      if (error instanceof CriaError || isSystemError(error) || this.options.signal?.aborted) throw error;
      const reason = error instanceof Error ? error.message : String(error);
      const failures = this.host.work.claims.fail(task.id, task.key, reason);
      this.options.onEvent?.({ kind: 'failed', phase, unit: task.id, failures, reason });
      if (failures >= MOST_FAILURES) this.giveUp(task, error);
      else queue.push(task);
      release(task);
    };
    try {
      for (;;) {
        this.stopIfAborted();
        await this.workforce.run(next, onDone, onFailure);
        this.stopIfAborted();
        queue = elsewhere.filter((task) => !isOver(task));
        elsewhere = [];
        if (queue.length === 0) return;
        this.options.onEvent?.({ kind: 'waiting', phase, missing: queue.length });
        await this.publisher.sleep(POLL_MILLISECONDS);
      }
    } finally {
      for (const claim of claims.values()) claim.release();
    }
  }

  /** Runs `publish` while no other process does. */
  async alone(publish: () => void): Promise<void> {
    for (;;) {
      this.stopIfAborted();
      const claim = this.host.work.claims.take('publish');
      if (claim) {
        try {
          return publish();
        } finally {
          claim.release();
        }
      }
      await this.publisher.sleep(POLL_MILLISECONDS / 10);
    }
  }

  publishTokens(manifest: TokenManifest, ids: readonly string[]): void {
    const names = ['manifest.json'];
    for (const [i, { file, endsFile }] of manifest.shards.entries()) {
      this.publisher.publish(ids[i]!, 'tokens.bin', `tokens/${file}`);
      this.publisher.publish(ids[i]!, 'ends.bin', `tokens/${endsFile}`);
      names.push(file, endsFile);
    }
    this.publisher.writeText('tokens/manifest.json', `${JSON.stringify(manifest, undefined, 1)}\n`);
    this.publisher.keepOnly('tokens', names);
  }

  /** Parquet: the audit's tables below `audit`, the attributes of the documents that were kept below `attributes`, a folder for a thousand units. */
  publishTables(tables: Readonly<Record<string, Uint8Array>>, processed: readonly TaskOf<'process'>[]): void {
    for (const [name, bytes] of Object.entries(tables)) this.publisher.writeBytes(`audit/${name}.parquet`, bytes);
    this.publisher.keepOnly(
      'audit',
      Object.keys(tables).map((name) => `${name}.parquet`),
    );
    const names: string[] = [];
    for (const { id } of processed) {
      for (const { name } of this.host.work.done(id)!.files) {
        if (!isAttributePart(name)) continue;
        const published = `${id.slice(id.indexOf('/') + 1)}-${name}`;
        this.publisher.publish(id, name, `attributes/${published}`);
        names.push(published);
      }
    }
    this.publisher.keepOnly('attributes', names);
  }

  isDone(task: Task): boolean {
    return this.host.work.done(task.id)?.key === task.key;
  }

  /** Throws the error where nothing can go on without the unit. */
  private giveUp(task: Task, error: unknown): void {
    if (!canGiveUp(task)) throw error;
    giveUp(task, error instanceof Error ? error.message : String(error), this.host.work);
  }

  private stopIfAborted(): void {
    if (this.options.signal?.aborted)
      throw new CriaError('corpus.stopped', 'corpus: stopped; run the same command again to go on');
  }
}
