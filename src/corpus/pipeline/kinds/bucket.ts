/**
 * The first of the shuffle's two passes: the documents of some neighbouring shards, gathered from all units, each into its shard's part.
 *
 *   part-00012.bin     the tokens of shard 12's documents, unit after unit       part-00012.index   see part-index.ts
 *
 * With √shards shards to a bucket every unit is opened √shards times, and a shard then opens one file: units · √shards opens instead of units · shards.
 */
import { keyRanges, lottery, shardOfKey, shuffleRank } from '../../mixture/mix.ts';
import { encodePartEntry } from '../../mixture/part-index.ts';
import { TokenIndex } from '../../mixture/token-index.ts';
import type { TaskContext } from '../environment.ts';
import type { UnitFolder } from '../host.ts';
import type { TaskOf } from '../task.ts';
import type { MixResult } from './mix.ts';
import { tokenBytes } from './tokenise.ts';

/** Of all parts together, before they are written. */
const BUFFER_BYTES = 1 << 26;

export function fillBucket(task: TaskOf<'bucket'>, folder: UnitFolder, { recipe, host }: TaskContext): unknown {
  const { draws } = host.work.done(task.mix)!.result as MixResult;
  const bytes = tokenBytes(host.tokenizer(recipe.tokens!.tokenizer).vocabSize);
  const { firstShard, endShard, shardCount } = task;
  const buffer = Math.min(1 << 20, Math.floor(BUFFER_BYTES / (endShard - firstShard) / 2));
  const parts = Array.from({ length: endShard - firstShard }, (_, i) => ({
    tokens: folder.create(partFile(firstShard + i, 'bin'), buffer),
    index: folder.create(partFile(firstShard + i, 'index'), buffer),
  }));
  const sourceNames = Object.keys(recipe.sources);
  let documents = 0;
  for (const [unit, { id, source }] of task.tokenised.entries()) {
    host.beat();
    const { whole, threshold } = draws[source]!;
    const copies = whole + (threshold > 0 ? 1 : 0);
    if (copies === 0) continue;
    const index = new TokenIndex(host.work.open(id, 'index.bin'));
    const tokens = host.work.open(id, 'tokens.bin');
    for (let copy = 0; copy < copies; copy++) {
      for (const [from, below] of keyRanges(firstShard, endShard, shardCount, copy)) {
        index.each(from, below, (entry) => {
          if (copy === whole && lottery(entry) >= threshold) return;
          const { place, length } = entry;
          const part = parts[shardOfKey(entry.keyHigh, shardCount, copy) - firstShard]!;
          const document = new Uint8Array(length * bytes);
          tokens.readInto(document, place * bytes);
          part.tokens.write(document);
          const rank = shuffleRank(entry, copy);
          part.index.write(encodePartEntry({ rank, unit, place, copy, length, source: sourceNames.indexOf(source) }));
          documents++;
        });
      }
    }
    index.close();
    tokens.close();
  }
  return { documents };
}

export function partFile(shard: number, ending: 'bin' | 'index'): string {
  return `part-${String(shard).padStart(5, '0')}.${ending}`;
}
