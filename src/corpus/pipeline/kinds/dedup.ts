/** The two passes before duplicates can be removed, and the stage that removes them. */

import type { ByteSource } from '../../../tensor/source.ts';
import { HashMap64 } from '../../dedup/hash-set.ts';
import { gatherBands, meetInBands } from '../../dedup/minhash/runs.ts';
import { findNearDuplicates, type NearDuplicate, sketch } from '../../dedup/near.ts';
import {
  gatherRuns,
  HashBuffer,
  type HashStream,
  KEEP_ONCE,
  mergeRuns,
  REMOVE_ALL,
  RunCollector,
  settleRuns,
} from '../../dedup/runs.ts';
import { eachSketch, encodeSketch } from '../../dedup/sketch-file.ts';
import { type Document, utf8Length } from '../../document.ts';
import { type Audit, addProblem, emptyAudit, StageRunner } from '../../report/audit.ts';
import {
  collectHashes,
  removeDuplicateDocuments,
  removeDuplicateLines,
  removeDuplicatePassages,
  removeDuplicateSpans,
} from '../../stages/dedup.ts';
import type { Stage } from '../../stages/stage.ts';
import { createStage, dedupPlan, type StageChoice, stageName } from '../../stages/table.ts';
import type { TaskContext } from '../environment.ts';
import { isGivenUp, type Sink, type UnitFolder } from '../host.ts';
import type { DedupInput, TaskOf } from '../task.ts';
import { collectBands, removeClustered } from './near-pages.ts';
import { keepDocuments, passDocuments } from './pass.ts';

/** Hashes held before a sorted piece is spilled: 64 MB. */
const RUN_CAPACITY = 1 << 23;

/** Writes the unit's run of hashes, or its sketches. */
export async function collectDuplicates(
  task: TaskOf<'collect'>,
  folder: UnitFolder,
  context: TaskContext,
): Promise<unknown> {
  const { recipe } = context;
  const plan = dedupPlan(recipe.sources[task.unit.source]!.stages[task.stage]!)!;
  const pass = new CollectingPass(task, folder, context);
  if (plan.kind === 'minhash') return collectBands(task, plan.shape, pass, folder);
  const output = folder.create('run.bin');
  const run =
    plan.kind === 'exact'
      ? new RunCollector(
          { spill: (bytes) => folder.spill(bytes), append: (bytes) => output.write(bytes) },
          RUN_CAPACITY,
        )
      : undefined;
  for await (const document of pass.documents()) {
    if (plan.kind === 'exact') {
      const length = plan.sentences ?? plan.tokens ?? 1;
      collectHashes(document, plan.item, plan.normalise, length, (low, high) => run!.add(low, high));
    }
    if (plan.kind === 'near') output.write(encodeSketch(sketch(document.id, document.text)));
  }
  run?.finish();
  return pass.result();
}

/** What a collecting pass found. Its books are empty unless it kept its documents: then no later pass will see what it has seen. */
export interface Collected {
  readonly documents: number;
  readonly audit: Audit;
  readonly seconds: number;
}

/** The documents of a unit that come to a dedup stage, written aside where later passes begin with them. */
export class CollectingPass {
  private count = 0;
  private readonly runner: StageRunner;
  private readonly started: number;
  private readonly task: TaskOf<'collect'>;
  private readonly folder: UnitFolder;
  private readonly context: TaskContext;

  constructor(task: TaskOf<'collect'>, folder: UnitFolder, context: TaskContext) {
    this.task = task;
    this.folder = folder;
    this.context = context;
    this.started = context.host.clock();
    const { stages } = context.recipe.sources[task.unit.source]!;
    const made = makeStages(stages, [task.from?.stage ?? 0, task.stage], task.before, context);
    const drops = task.keeps ? folder.createCompressed('drops.jsonl') : undefined;
    this.runner = new StageRunner(
      made,
      () => context.host.clock(),
      (drop) => drops?.write(jsonLine(drop)),
      false,
    );
  }

  async *documents(): AsyncGenerator<Document> {
    const keep = this.task.keeps ? keepDocuments(this.folder) : undefined;
    const { audit } = this.runner;
    const problem = (file: string, kind: string, message: string) => addProblem(audit, file, kind, message);
    for await (const { document, bytesRead = utf8Length(document.text) } of passDocuments(
      this.task,
      this.context,
      problem,
    )) {
      if (!this.runner.run(document, bytesRead)) continue;
      this.count++;
      keep?.(document, bytesRead);
      yield document;
    }
  }

  result(): Collected {
    const seconds = (this.context.host.clock() - this.started) / 1000;
    const { audit } = this.runner;
    return { documents: this.count, ...(this.task.keeps ? { audit, seconds } : { audit: emptyAudit(), seconds: 0 }) };
  }
}

const encoder = new TextEncoder();
const jsonLine = (value: unknown) => encoder.encode(`${JSON.stringify(value)}\n`);

/** Which of the merge's hashes belong to which run: parts of one file, in order of writing. */
interface Segment {
  readonly run: number;
  readonly action: number;
  readonly offset: number;
  readonly bytes: number;
}

interface MergeResult {
  readonly segments?: readonly Segment[];
  readonly near?: readonly NearDuplicate[];
}

export function mergeDuplicates(task: TaskOf<'merge'>, folder: UnitFolder, { recipe, host }: TaskContext): MergeResult {
  const plan = dedupPlan(recipe.sources[task.source]!.stages[task.stage]!)!;
  const runs = task.runs.map((id) => openRun(id, host));
  if (plan.kind === 'minhash') {
    const output = folder.create('edges.bin');
    meetInBands(runs, task, (bytes) => output.write(bytes));
    for (const run of runs) run.close();
    return {};
  }
  if (plan.kind === 'near') {
    const near = findNearDuplicates((visit) => {
      for (const run of runs) eachSketch(run, visit);
    }, plan.threshold);
    for (const run of runs) run.close();
    return { near };
  }
  const writer = new SegmentWriter(folder.create('duplicates.bin'));
  mergeRuns(runs, { keep: plan.keep, slice: task.slice, sliceCount: task.sliceCount }, writer.emit);
  for (const run of runs) run.close();
  return { segments: writer.finish() };
}

/** Many runs as one, for a merge of merges. */
export function gatherDuplicates(task: TaskOf<'gather'>, folder: UnitFolder, { host }: TaskContext): unknown {
  const output = folder.create('run.bin');
  const runs = task.runs.map((id) => openRun(id, host));
  if (task.of === 'bands') gatherBands(runs, (bytes) => output.write(bytes));
  else gatherRuns(runs, (bytes) => output.write(bytes));
  for (const run of runs) run.close();
  return {};
}

/** What the merge above found for this group's run, handed to the runs of the group. */
export function settleDuplicates(task: TaskOf<'settle'>, folder: UnitFolder, { host }: TaskContext): MergeResult {
  const { segments = [] } = host.work.done(task.above)!.result as MergeResult;
  const source = host.work.open(task.above, 'duplicates.bin');
  const streamOf = (wanted: number) =>
    new SegmentStream(
      source,
      segments.filter(({ run, action }) => run === task.place && action === wanted),
    );
  const runs = task.runs.map((id) => openRun(id, host));
  const writer = new SegmentWriter(folder.create('duplicates.bin'));
  settleRuns(runs, { removed: streamOf(REMOVE_ALL), kept: streamOf(KEEP_ONCE) }, task, writer.emit);
  for (const run of runs) run.close();
  source.close();
  return { segments: writer.finish() };
}

/** A unit that was given up has no run: an empty one. */
function openRun(id: string, host: TaskContext['host']): ByteSource {
  return isGivenUp(host.work.done(id)) ? emptySource(id) : host.work.open(id, 'run.bin');
}

function emptySource(name: string): ByteSource {
  return { name, byteLength: 0, readInto: () => {}, close: () => {} };
}

/** Hashes for many runs in one file, in small pieces; the pieces of one run and action are in ascending order. */
class SegmentWriter {
  private readonly segments: Segment[] = [];
  private readonly buffers = new Map<number, HashBuffer>();
  private readonly output: Sink;
  private offset = 0;

  constructor(output: Sink) {
    this.output = output;
  }

  readonly emit = (run: number, low: number, high: number, action: number): void => {
    const key = run * 4 + action;
    let buffer = this.buffers.get(key);
    if (!buffer) {
      buffer = new HashBuffer((bytes) => {
        this.output.write(bytes);
        this.segments.push({ run, action, offset: this.offset, bytes: bytes.length });
        this.offset += bytes.length;
      }, SEGMENT_HASHES);
      this.buffers.set(key, buffer);
    }
    buffer.push(low, high);
  };

  finish(): readonly Segment[] {
    for (const buffer of this.buffers.values()) buffer.flush();
    return this.segments;
  }
}

const SEGMENT_HASHES = 512;

class SegmentStream implements HashStream {
  low = 0;
  high = 0;
  private readonly source: ByteSource;
  private readonly segments: readonly Segment[];
  private segment = 0;
  private words = new Uint32Array(0);
  private at = 0;

  constructor(source: ByteSource, segments: readonly Segment[]) {
    this.source = source;
    this.segments = segments;
  }

  next(): boolean {
    while (this.at === this.words.length) {
      const part = this.segments[this.segment++];
      if (!part) return false;
      this.words = new Uint32Array(part.bytes / 4);
      this.source.readInto(new Uint8Array(this.words.buffer), part.offset);
      this.at = 0;
    }
    this.low = this.words[this.at]!;
    this.high = this.words[this.at + 1]!;
    this.at += 2;
    return true;
  }
}

/** Stages from number `from` on below number `below` of a chain, dedup stages among them made from what the merges found. */
export function makeStages(
  chain: readonly StageChoice[],
  [from, below]: readonly [from: number, below: number],
  inputs: readonly DedupInput[],
  context: TaskContext,
): Stage[] {
  return chain.slice(from, below).map((choice, i) => {
    const stage = makeStage(choice, from + i, inputs, context);
    // A stage may stand in a chain twice; the books keep the two apart.
    const name = stageName(choice);
    const count = 1 + chain.slice(0, from + i).filter((earlier) => stageName(earlier) === name).length;
    return { name: count === 1 ? name : `${name} (${count})`, apply: stage.apply.bind(stage) };
  });
}

function makeStage(
  choice: StageChoice,
  i: number,
  inputs: readonly DedupInput[],
  { host, environment }: TaskContext,
): Stage {
  const plan = dedupPlan(choice);
  if (!plan) return createStage(choice, environment);
  const input = inputs.find(({ stage }) => stage === i)!;
  if (plan.kind === 'near') return removeNear(input, host);
  if (plan.kind === 'minhash') return removeClustered(input, host);
  const duplicates = loadDuplicates(input, host);
  if (plan.item === 'line') return removeDuplicateLines(choice.name, plan.normalise, duplicates);
  if (plan.item === 'span') return removeDuplicateSpans(choice.name, plan.normalise, plan.sentences ?? 1, duplicates);
  if (plan.item === 'passage') return removeDuplicatePassages(choice.name, plan.tokens ?? 1, duplicates);
  return removeDuplicateDocuments(choice.name, plan.item, plan.normalise, duplicates);
}

function removeNear({ merges }: DedupInput, host: TaskContext['host']): Stage {
  const duplicates = new Map<string, NearDuplicate>();
  for (const id of merges) {
    for (const each of (host.work.done(id)!.result as MergeResult).near ?? []) duplicates.set(each.id, each);
  }
  return {
    name: 'dedup-near',
    apply({ id }) {
      const found = duplicates.get(id);
      return found
        ? { reason: 'most of it is in another text', detail: `${(found.overlap * 100).toFixed(1)} % in ${found.of}` }
        : undefined;
    },
  };
}

function loadDuplicates({ merges, run }: DedupInput, host: TaskContext['host']): HashMap64 {
  const parts = merges.map((id) => ({
    id,
    segments: ((host.work.done(id)!.result as MergeResult).segments ?? []).filter((segment) => segment.run === run),
  }));
  const total =
    parts.reduce((sum, { segments }) => sum + segments.reduce((bytes, segment) => bytes + segment.bytes, 0), 0) / 8;
  const duplicates = new HashMap64(total);
  for (const { id, segments } of parts) {
    if (segments.length === 0) continue;
    const source = host.work.open(id, 'duplicates.bin');
    for (const segment of segments) {
      const words = new Uint32Array(segment.bytes / 4);
      source.readInto(new Uint8Array(words.buffer), segment.offset);
      const action = segment.action === KEEP_ONCE ? KEEP_ONCE : REMOVE_ALL;
      for (let i = 0; i < words.length; i += 2) duplicates.set(words[i]!, words[i + 1]!, action);
    }
    source.close();
  }
  return duplicates;
}
