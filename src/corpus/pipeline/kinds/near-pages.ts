/** Near duplicates among pages: bands of every unit's documents, clusters of what meets, and the stage that keeps the first of each. */
import { BandHasher, type Bands } from '../../dedup/minhash/bands.ts';
import { Clusters } from '../../dedup/minhash/clusters.ts';
import { BandRun } from '../../dedup/minhash/runs.ts';
import type { Document } from '../../document.ts';
import type { Stage } from '../../stages/stage.ts';
import type { TaskContext } from '../environment.ts';
import { isGivenUp, type UnitFolder } from '../host.ts';
import type { DedupInput, TaskOf } from '../task.ts';
import type { Collected, CollectingPass } from './dedup.ts';

const encoder = new TextEncoder();

/**
 * run.bin: the bands (minhash/runs.ts) of documents that stages before let through, numbered from 0 · names.bin: their ids, one after the other ·
 * ends.bin: f64 for each, where its id ends.
 */
export async function collectBands(
  task: TaskOf<'collect'>,
  shape: Bands,
  pass: CollectingPass,
  folder: UnitFolder,
): Promise<Collected> {
  const hasher = new BandHasher(shape);
  const run = new BandRun(task.unit.index);
  const names = folder.create('names.bin');
  const ends = folder.create('ends.bin');
  let documents = 0;
  let end = 0;
  for await (const document of pass.documents()) {
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
  return pass.result();
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
  const keptNames = namesOf(words, units!, host);
  let number = 0;
  let at = 0;
  return {
    name: 'dedup-minhash',
    apply(_: Document) {
      if (at === words.length || words[at] !== number++) return undefined;
      at += RECORD_WORDS;
      return { reason: 'like another text', detail: `kept: ${keptNames[at / RECORD_WORDS - 1]}` };
    },
  };
}

/** Names of the documents that stay, record by record. Each unit that holds some of them is opened once. */
function namesOf(words: Uint32Array, units: readonly string[], host: TaskContext['host']): string[] {
  const names: string[] = [];
  const byUnit = new Map<number, number[]>();
  for (let at = 0; at < words.length; at += RECORD_WORDS) {
    const unit = words[at + 1]!;
    const records = byUnit.get(unit);
    if (records) records.push(at / RECORD_WORDS);
    else byUnit.set(unit, [at / RECORD_WORDS]);
  }
  const bounds = new Float64Array(2);
  for (const [unit, records] of byUnit) {
    const ends = host.work.open(units[unit]!, 'ends.bin');
    const file = host.work.open(units[unit]!, 'names.bin');
    for (const record of records) {
      const document = words[record * RECORD_WORDS + 2]!;
      bounds[0] = 0;
      if (document === 0) ends.readInto(new Uint8Array(bounds.buffer, 8), 0);
      else ends.readInto(new Uint8Array(bounds.buffer), (document - 1) * 8);
      const bytes = new Uint8Array(bounds[1]! - bounds[0]!);
      file.readInto(bytes, bounds[0]!);
      names[record] = new TextDecoder().decode(bytes);
    }
    ends.close();
    file.close();
    host.beat();
  }
  return names;
}
