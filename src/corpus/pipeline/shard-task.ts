import type { ByteSource } from '../../tensor/source.ts';
import { lottery, shardRanges, shuffleRank } from '../mixture/mix.ts';
import { encodeTokens } from '../mixture/shards.ts';
import { TokenIndex } from '../mixture/token-index.ts';
import type { TaskContext } from './environment.ts';
import type { UnitFolder } from './host.ts';
import type { MixResult } from './mix-task.ts';
import type { TaskOf } from './task.ts';
import { tokenBytes } from './tokenise-task.ts';

export interface ShardResult {
  readonly tokens: number;
  readonly documents: number;
  readonly sources: Readonly<Record<string, { tokens: number; documents: number }>>;
}

interface Pick {
  readonly rank: number;
  readonly unit: number;
  readonly place: number;
  readonly length: number;
  readonly copy: number;
}

/** Gathers the documents of one shard from all units, in shuffled order. Memory: one record per document of the shard. */
export function writeShard(task: TaskOf<'shard'>, folder: UnitFolder, { recipe, host }: TaskContext): ShardResult {
  const { draws } = host.work.done(task.mix)!.result as MixResult;
  const bytes = tokenBytes(host.tokenizer(recipe.tokens!.tokenizer).vocabSize);
  const picks: Pick[] = [];
  for (const [unit, { id, source }] of task.tokenised.entries()) {
    const { whole, threshold } = draws[source]!;
    const index = new TokenIndex(host.work.open(id, 'index.bin'));
    for (let copy = 0; copy < whole + (threshold > 0 ? 1 : 0); copy++) {
      for (const [from, below] of shardRanges(task.shard, task.shardCount, copy)) {
        index.each(from, below, (entry) => {
          if (copy === whole && lottery(entry) >= threshold) return;
          picks.push({ rank: shuffleRank(entry, copy), unit, place: entry.place, length: entry.length, copy });
        });
      }
    }
    index.close();
  }
  picks.sort((a, b) => a.rank - b.rank || a.unit - b.unit || a.place - b.place || a.copy - b.copy);
  const output = folder.create('tokens.bin');
  const ends = new Uint32Array(picks.length);
  const sources: Record<string, { tokens: number; documents: number }> = {};
  const files: (ByteSource | undefined)[] = [];
  let tokens = 0;
  for (const [i, { unit, place, length }] of picks.entries()) {
    const { id, source } = task.tokenised[unit]!;
    const file = (files[unit] ??= host.work.open(id, 'tokens.bin'));
    const document = new Uint8Array(length * bytes);
    file.readInto(document, place * bytes);
    output.write(document);
    ends[i] = tokens += length;
    const share = (sources[source] ??= { tokens: 0, documents: 0 });
    share.tokens += length;
    share.documents++;
  }
  for (const file of files) file?.close();
  folder.create('ends.bin').write(encodeTokens(ends, 'u32'));
  return { tokens, documents: picks.length, sources };
}
