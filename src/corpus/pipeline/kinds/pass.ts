/**
 * Where a pass over a unit begins: with the input's documents, or with those that an earlier pass kept.
 *
 *   kept.jsonl    { id, url?, title?, date?, text, attributes, bytesRead }      documents that went through the stages so far
 */
import type { Document } from '../../document.ts';
import { ByteQueue } from '../../readers/byte-queue.ts';
import { readDocuments, type TaskContext } from '../environment.ts';
import { isGivenUp, type Sink, type UnitFolder } from '../host.ts';
import type { TaskOf } from '../task.ts';

export const KEPT_FILE = 'kept.jsonl';

export interface PassDocument {
  readonly document: Document;
  /** Of its text when it was read from the input; undefined before the first stage. */
  readonly bytesRead: number | undefined;
}

/** The unit's documents before stage number `task.from.stage`, or the first. `problem`: of the input's files. */
export async function* passDocuments(
  { unit, from }: TaskOf<'collect' | 'process'>,
  { recipe, host }: TaskContext,
  problem: (file: string, kind: string, message: string) => void,
): AsyncGenerator<PassDocument> {
  if (from) {
    if (isGivenUp(host.work.done(from.id))) return;
    const lines = new ByteQueue(host.work.read(from.id, KEPT_FILE));
    const decoder = new TextDecoder();
    for (;;) {
      const line = await lines.until(10, Number.MAX_SAFE_INTEGER);
      if (line === undefined || line === 'too-long') return;
      host.beat();
      const { bytesRead, ...document } = JSON.parse(decoder.decode(line)) as Document & { bytesRead: number };
      yield { document, bytesRead };
    }
  }
  const options = { source: unit.source, maximumRecordBytes: recipe.maximumRecordBytes, limit: unit.limit };
  for await (const document of readDocuments(recipe.sources[unit.source]!.reader, unit.files, host, options, problem))
    yield { document, bytesRead: undefined };
}

/** Where a pass puts the documents that later ones begin with. */
export function keepDocuments(folder: UnitFolder): (document: Document, bytesRead: number) => void {
  const output: Sink = folder.createCompressed(KEPT_FILE);
  const encoder = new TextEncoder();
  return (document, bytesRead) => output.write(encoder.encode(`${JSON.stringify({ ...document, bytesRead })}\n`));
}
