/**
 * A unit through the stages that no earlier pass has done. Beside the documents lie their attributes, line for line, and a log of everything dropped:
 *
 *   documents.jsonl    { id, url?, title?, date?, text }
 *   attributes.jsonl   { id, … }      what stages measured; thresholds over it are applied later
 *   attributes-N.parquet              the same with id, address and size, for `cria corpus query` and other engines
 *   drops.jsonl        { id, stage, reason, detail?, bytes, lines? }
 */
import { type Audit, addProblem, StageRunner } from '../../report/audit.ts';
import { countAttributes, type Histograms } from '../../report/histogram.ts';
import { AttributeTable } from '../../report/parquet.ts';
import type { TaskContext } from '../environment.ts';
import type { UnitFolder } from '../host.ts';
import type { TaskOf } from '../task.ts';
import { makeStages } from './dedup.ts';
import { passDocuments } from './pass.ts';

export interface ProcessResult {
  readonly audit: Audit;
  /** What the stages measured of the documents that went through. */
  readonly measures: Histograms;
  readonly seconds: number;
}

const encoder = new TextEncoder();
const jsonLine = (value: unknown) => encoder.encode(`${JSON.stringify(value)}\n`);

export async function processUnit(
  task: TaskOf<'process'>,
  folder: UnitFolder,
  context: TaskContext,
): Promise<ProcessResult> {
  const { recipe, host } = context;
  const { unit } = task;
  const source = recipe.sources[unit.source]!;
  const started = host.clock();
  const measures: Histograms = {};
  const documents = folder.createCompressed('documents.jsonl');
  const attributes = folder.createCompressed('attributes.jsonl');
  const drops = folder.createCompressed('drops.jsonl');
  const table = new AttributeTable((name, bytes) => folder.create(name).write(bytes));
  const stages = makeStages(source.stages, [task.from?.stage ?? 0, source.stages.length], task.before, context);
  const runner = new StageRunner(
    stages,
    () => host.clock(),
    (drop) => drops.write(jsonLine(drop)),
  );
  const problem = (file: string, kind: string, message: string) => addProblem(runner.audit, file, kind, message);
  for await (const { document, bytesRead } of passDocuments(task, context, problem)) {
    if (!runner.run(document, bytesRead)) continue;
    const { attributes: measured, ...rest } = document;
    countAttributes(measures, measured);
    documents.write(jsonLine(rest));
    attributes.write(jsonLine({ id: document.id, ...measured }));
    table.add(unit.source, document);
  }
  table.finish();
  return { audit: runner.audit, measures, seconds: (host.clock() - started) / 1000 };
}
