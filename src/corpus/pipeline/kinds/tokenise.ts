/** Selection by attributes, then ids: `tokens.bin` in document order, `index.bin` to find them by. */

import type { Attributes, Document } from '../../document.ts';
import { LotteryHistogram } from '../../mixture/mix.ts';
import { bytesPerToken, encodeTokens, tokenWidthFor } from '../../mixture/shards.ts';
import { documentKey, encodeIndex, type IndexEntry } from '../../mixture/token-index.ts';
import { ByteQueue } from '../../readers/byte-queue.ts';
import { type Audit, StageRunner } from '../../report/audit.ts';
import { selectByAttributes } from '../../stages/select.ts';
import type { TaskContext } from '../environment.ts';
import type { CorpusHost, UnitFolder } from '../host.ts';
import type { TaskOf } from '../task.ts';

export interface TokeniseResult {
  readonly audit: Audit;
  readonly tokens: number;
  readonly documents: number;
  readonly seconds: number;
}

const encoder = new TextEncoder();

export async function tokeniseUnit(
  task: TaskOf<'tokenise'>,
  folder: UnitFolder,
  { recipe, host }: TaskContext,
): Promise<TokeniseResult> {
  const settings = recipe.tokens!;
  const tokenizer = host.tokenizer(settings.tokenizer);
  const width = tokenWidthFor(tokenizer.vocabSize);
  const started = host.clock();
  const output = folder.create('tokens.bin');
  const drops = folder.createCompressed('drops.jsonl');
  const rules = recipe.sources[task.unit.source]!.select;
  const stages = rules.length > 0 ? [selectByAttributes(rules)] : [];
  const runner = new StageRunner(
    stages,
    () => host.clock(),
    (drop) => drops.write(encoder.encode(`${JSON.stringify(drop)}\n`)),
  );
  const entries: IndexEntry[] = [];
  let tokens = 0;
  for await (const document of processedDocuments(task.process, host)) {
    host.beat();
    if (!runner.run(document)) continue;
    const ids = framed(
      tokenizer.encode(document.text),
      settings.bos ? tokenizer.bosId : null,
      settings.eos ? tokenizer.eosId : null,
    );
    output.write(encodeTokens(ids, width));
    entries.push({ ...documentKey(recipe.seed, document.id), length: ids.length, place: tokens });
    tokens += ids.length;
  }
  folder.create('index.bin').write(encodeIndex(entries));
  const histogram = new LotteryHistogram();
  for (const entry of entries) histogram.add(entry);
  folder.create('lottery.bin').write(histogram.encode());
  return { audit: runner.audit, tokens, documents: entries.length, seconds: (host.clock() - started) / 1000 };
}

export function tokenBytes(vocabSize: number): number {
  return bytesPerToken(tokenWidthFor(vocabSize));
}

function framed(ids: Uint32Array, bos: number | null, eos: number | null): Uint32Array {
  const first = bos === null ? 0 : 1;
  const result = new Uint32Array(ids.length + first + (eos === null ? 0 : 1));
  if (bos !== null) result[0] = bos;
  result.set(ids, first);
  if (eos !== null) result[result.length - 1] = eos;
  return result;
}

/** The documents of a processed unit with their attributes. */
export async function* processedDocuments(id: string, host: CorpusHost): AsyncGenerator<Document> {
  const documents = new ByteQueue(host.work.read(id, 'documents.jsonl'));
  const attributes = new ByteQueue(host.work.read(id, 'attributes.jsonl'));
  const decoder = new TextDecoder();
  for (;;) {
    const line = await documents.until(10, Number.MAX_SAFE_INTEGER);
    const measured = await attributes.until(10, Number.MAX_SAFE_INTEGER);
    if (line === undefined || line === 'too-long' || measured === undefined || measured === 'too-long') return;
    const { id: _, ...rest } = JSON.parse(decoder.decode(measured)) as Attributes & { id: string };
    yield { ...(JSON.parse(decoder.decode(line)) as Omit<Document, 'attributes'>), attributes: rest };
  }
}
