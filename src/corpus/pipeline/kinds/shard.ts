import { readPart } from '../../mixture/part-index.ts';
import { encodeTokens } from '../../mixture/shards.ts';
import { readAll, type TaskContext } from '../environment.ts';
import type { UnitFolder } from '../host.ts';
import type { TaskOf } from '../task.ts';
import { partFile } from './bucket.ts';
import { tokenBytes } from './tokenise.ts';

export interface ShardResult {
  readonly tokens: number;
  readonly documents: number;
  readonly sources: Readonly<Record<string, { tokens: number; documents: number }>>;
}

/** The second pass of the shuffle: one shard's part of its bucket in the shard's order. Memory: 44 bytes per document of the shard. */
export function writeShard(task: TaskOf<'shard'>, folder: UnitFolder, { recipe, host }: TaskContext): ShardResult {
  const bytes = tokenBytes(host.tokenizer(recipe.tokens!.tokenizer).vocabSize);
  const { order, at, part } = readPart(readAll(host.work.open(task.bucket, partFile(task.shard, 'index'))));
  const gathered = host.work.open(task.bucket, partFile(task.shard, 'bin'));
  const output = folder.create('tokens.bin');
  const ends = new Uint32Array(order.length);
  const sources: Record<string, { tokens: number; documents: number }> = {};
  let tokens = 0;
  for (const [i, entry] of order.entries()) {
    const length = part.length(entry);
    const document = new Uint8Array(length * bytes);
    gathered.readInto(document, at[entry]! * bytes);
    output.write(document);
    ends[i] = tokens += length;
    const share = (sources[task.sources[part.source(entry)]!] ??= { tokens: 0, documents: 0 });
    share.tokens += length;
    share.documents++;
  }
  gathered.close();
  folder.create('ends.bin').write(encodeTokens(ends, 'u32'));
  return { tokens, documents: order.length, sources };
}
