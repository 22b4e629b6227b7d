import { type Collective, solo } from './collective.ts';
import type { Documents } from './data/documents.ts';
import { type MicroBatch, prepareBatch } from './micro-batch.ts';
import type { StepTrainer, Weights } from './trainer.ts';

export interface Evaluation {
  /** Mean −log p of a token, in nats. */
  readonly loss: number;
  readonly tokenCount: number;
  /** Σ −log₂ p / bytes of the text: comparable across tokenizers. */
  readonly bitsPerByte: number;
}

/**
 * The loss on whole documents. Each is cut into pieces of `length` tokens that overlap by one, so that every token but the first is
 * predicted exactly once, from what its piece holds before it. Ranks share the pieces.
 */
export async function evaluate(
  trainer: StepTrainer,
  documents: Documents,
  byteCount: number,
  { rows, length, weights }: { readonly rows: number; readonly length: number; readonly weights?: Weights },
  collective: Collective = solo,
): Promise<Evaluation> {
  let sum = 0;
  let tokenCount = 0;
  const { vocabSize } = trainer.model.config;
  let turn = 0;
  let own = 0;
  for (const micro of pieces(documents, rows * length, length)) {
    if (turn++ % collective.size !== collective.rank) continue;
    own++;
    const prepared = prepareBatch(micro, vocabSize);
    for (const loss of await trainer.losses(prepared, weights)) sum += loss;
    tokenCount += prepared.targetCount;
  }
  if (trainer.isJoint && own < Math.ceil(turn / collective.size)) trainer.idleLosses(weights);
  const totals = Float64Array.of(sum, tokenCount);
  collective.sum(totals);
  const [all, count] = totals as unknown as [number, number];
  return { loss: all / count, tokenCount: count, bitsPerByte: all / Math.LN2 / byteCount };
}

/** The pieces of all documents, about `tokens` of them at a time. */
function* pieces(documents: Documents, tokens: number, length: number): Generator<MicroBatch> {
  let ids: number[] = [];
  let lengths: number[] = [];
  const flush = (): MicroBatch => {
    const batch = { ids: Uint32Array.from(ids), rows: 1, length: ids.length, documents: lengths };
    ids = [];
    lengths = [];
    return batch;
  };
  for (let document = 0; document < documents.count; document++) {
    const all = documents.lengthOf(document);
    for (let from = 0; from < all - 1; from += length - 1) {
      const piece = documents.tokens(document, from, Math.min(all, from + length));
      if (ids.length > 0 && ids.length + piece.length > tokens) yield flush();
      for (const id of piece) ids.push(id);
      lengths.push(piece.length);
    }
  }
  if (ids.length > 0) yield flush();
}
