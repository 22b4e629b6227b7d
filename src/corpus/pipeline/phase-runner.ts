/** Runs the units of a phase that are not done yet and are this rank's, and waits for the other ranks. */
import { CriaError } from '../../base/errors.ts';
import type { TokenManifest } from '../mixture/shards.ts';
import type { CorpusHost, Workforce } from './host.ts';
import type { Publisher, RunOptions } from './run.ts';
import type { Task } from './task.ts';

const POLL_MILLISECONDS = 2000;

export class PhaseRunner {
  made = 0;
  total = 0;
  readonly isFirstRank: boolean;
  private readonly host: CorpusHost;
  private readonly publisher: Publisher;
  private readonly workforce: Workforce;
  private readonly options: RunOptions;

  constructor(host: CorpusHost, publisher: Publisher, workforce: Workforce, options: RunOptions) {
    this.host = host;
    this.publisher = publisher;
    this.workforce = workforce;
    this.options = options;
    this.isFirstRank = (options.shard?.index ?? 0) === 0;
  }

  async phase(phase: string, tasks: readonly Task[]): Promise<void> {
    if (tasks.length === 0) return;
    const { index = 0, count = 1 } = this.options.shard ?? {};
    const pending = tasks.filter((task, i) => i % count === index && !this.isDone(task));
    this.total += tasks.length;
    this.options.onEvent?.({ kind: 'phase', phase, units: tasks.length, pending: pending.length });
    let done = 0;
    this.stopIfAborted();
    await this.workforce.run(pending, (task) => {
      this.made++;
      this.options.onEvent?.({ kind: 'unit', phase, unit: task.id, done: ++done, units: pending.length });
    });
    this.stopIfAborted();
    if (count > 1) await this.waitForOthers(phase, tasks);
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

  private isDone(task: Task): boolean {
    return this.host.work.done(task.id)?.key === task.key;
  }

  private async waitForOthers(phase: string, tasks: readonly Task[]): Promise<void> {
    for (let missing = tasks; ; ) {
      missing = missing.filter((task) => !this.isDone(task));
      if (missing.length === 0) return;
      this.options.onEvent?.({ kind: 'waiting', phase, missing: missing.length });
      await this.publisher.sleep(POLL_MILLISECONDS);
      this.stopIfAborted();
    }
  }

  private stopIfAborted(): void {
    if (this.options.signal?.aborted)
      throw new CriaError('corpus.stopped', 'corpus: stopped; run the same command again to go on');
  }
}
