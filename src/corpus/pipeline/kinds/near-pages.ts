/** Near duplicates among pages: bands of every unit's documents, clusters of what meets, and the stage that keeps the first of each. */
import { BandHasher, type Bands } from '../../dedup/minhash/bands.ts';
import { Clusters } from '../../dedup/minhash/clusters.ts';
import { BandRun } from '../../dedup/minhash/runs.ts';
import type { Document } from '../../document.ts';
import type { Stage } from '../../stages/stage.ts';
import { readDocuments, type TaskContext } from '../environment.ts';
import { isGivenUp, type UnitFolder } from '../host.ts';
import type { DedupInput, TaskOf } from '../task.ts';

interface Collected {
  readonly documents: number;
}

const encoder = new TextEncoder();

/**
 * run.bin: the bands (minhash/runs.ts) of documents that stages before let through, numbered from 0 · names.bin: their ids, one after the other ·
 * ends.bin: f64 for each, where its id ends.
 */
export async function collectBands(
  task: TaskOf<'collect'>,
  shape: Bands,
  stages: readonly Stage[],
  folder: UnitFolder,
  { recipe, host }: TaskContext,
): Promise<Collected> {
  const hasher = new BandHasher(shape);
  const run = new BandRun(task.unit.index);
  const names = folder.create('names.bin');
  const ends = folder.create('ends.bin');
  const source = recipe.sources[task.unit.source]!;
  const options = { source: task.unit.source, maximumRecordBytes: recipe.maximumRecordBytes, limit: task.unit.limit };
  const ignored = { removed: () => {} };
  let documents = 0;
  let end = 0;
  for await (const document of readDocuments(source.reader, task.unit.files, host, options, () => {})) {
    if (!stages.every((stage) => stage.apply(document, ignored) === undefined)) continue;
    const name = encoder.encode(document.url ?? document.id);
    names.write(name);
    ends.write(new Uint8Array(Float64Array.of((end += name.length)).buffer));
    if (hasher.hash(document.text)) {
      for (let band = 0; band < shape.bands; band++) run.add(hasher.low[band]!, hasher.high[band]!, documents);
    }
    documents++;
  }
  const output = folder.create('run.bin');
  run.finish((bytes) => output.write(bytes));
  return { documents };
}

interface ClusterResult {
  /** Documents of each unit that go, in the order of the file. */
  readonly counts: readonly number[];
}

/** duplicates.bin: for each unit in turn u32 document · unit of the one that stays · its document. */
export function clusterDocuments(task: TaskOf<'cluster'>, folder: UnitFolder, { host }: TaskContext): ClusterResult {
  const counts = task.units.map((id) => {
    const record = host.work.done(id);
    return isGivenUp(record) ? 0 : (record!.result as Collected).documents;
  });
  const clusters = new Clusters(counts);
  for (const id of task.merges) {
    const edges = host.work.open(id, 'edges.bin');
    clusters.addEdges(edges);
    edges.close();
    host.beat();
  }
  const output = folder.create('duplicates.bin');
  return {
    counts: task.units.map((_, unit) => {
      const duplicates = clusters.duplicatesOf(unit);
      output.write(new Uint8Array(duplicates.buffer));
      return duplicates.length / RECORD_WORDS;
    }),
  };
}

const RECORD_WORDS = 3;

/** Sees the same documents in the same order as collectBands did, and so knows each by its number. */
export function removeClustered({ merges, run, units }: DedupInput, host: TaskContext['host']): Stage {
  const { counts } = host.work.done(merges[0]!)!.result as ClusterResult;
  const before = counts.slice(0, run).reduce((sum, count) => sum + count, 0);
  const words = new Uint32Array(counts[run]! * RECORD_WORDS);
  const file = host.work.open(merges[0]!, 'duplicates.bin');
  file.readInto(new Uint8Array(words.buffer), before * RECORD_WORDS * 4);
  file.close();
  let number = 0;
  let at = 0;
  return {
    name: 'dedup-minhash',
    apply(_: Document) {
      if (words[at] !== number++ || at >= words.length) return undefined;
      const [unit, document] = [words[at + 1]!, words[at + 2]!];
      at += RECORD_WORDS;
      return { reason: 'like another text', detail: `kept: ${nameOf(units![unit]!, document, host)}` };
    },
  };
}

function nameOf(unit: string, document: number, host: TaskContext['host']): string {
  const ends = host.work.open(unit, 'ends.bin');
  const bounds = new Float64Array(2);
  const first = Math.max(0, document - 1);
  ends.readInto(new Uint8Array(bounds.buffer, 0, document === 0 ? 8 : 16), first * 8);
  ends.close();
  const [from, to] = document === 0 ? [0, bounds[0]!] : [bounds[0]!, bounds[1]!];
  const names = host.work.open(unit, 'names.bin');
  const bytes = new Uint8Array(to - from);
  names.readInto(bytes, from);
  names.close();
  return new TextDecoder().decode(bytes);
}
