/** Samples that are longer than the context: refused, cut and counted, or (texts) carried on in another sample. */
import type { EncodedSample } from './encode.ts';

export const tooLongChoices = ['refuse', 'right', 'shared'] as const;
/** What happens to a sample beyond the context: it is refused, loses its end, or loses some of both the prompt's beginning and the answer's end. */
export type TooLong = (typeof tooLongChoices)[number];

/**
 * How many tokens of a prompt and of its answer are kept of `limit`: the prompt is cut where the answer is short, the answer where
 * the prompt is, else both in proportion.
 * Source   LLaMA-Factory processor_utils.py, infer_seqlen.
 */
export function sharedCut(prompt: number, answer: number, limit: number): { prompt: number; answer: number } {
  const room =
    2 * answer < limit ? limit : 2 * prompt < limit ? limit - prompt : Math.floor(limit * (answer / (prompt + answer)));
  const keptAnswer = Math.min(room, answer);
  return { prompt: Math.min(Math.max(limit - keptAnswer, 0), prompt), answer: keptAnswer };
}

/** The sample within `limit` tokens; null where nothing of it would carry loss, or it is to be refused. */
export function cutSample(sample: EncodedSample, limit: number, how: TooLong): EncodedSample | null {
  const { ids, carries } = sample;
  if (ids.length <= limit) return sample;
  if (how === 'refuse') return null;
  const first = carries.indexOf(1);
  const kept = how === 'right' ? { prompt: first, answer: limit - first } : sharedCut(first, ids.length - first, limit);
  if (kept.answer <= 0) return null;
  const dropped = first - kept.prompt;
  // The first token stays: it is the beginning of the text.
  const take = <T extends Uint32Array | Uint8Array>(values: T): number[] => [
    ...(dropped > 0 ? [values[0]!, ...values.subarray(dropped + 1, first)] : values.subarray(0, first)),
    ...values.subarray(first, first + kept.answer),
  ];
  const cut = { ids: Uint32Array.from(take(ids)), carries: Uint8Array.from(take(carries)) };
  return cut.carries.some((mark, i) => mark === 1 && i > 0)
    ? { ...sample, ...cut, texts: [], endedTurns: Math.max(0, sample.endedTurns - 1) }
    : null;
}

/** A long text in pieces of at most `limit` tokens that overlap by one, so that every token but the first is learned once. */
export function splitText(sample: EncodedSample, limit: number): EncodedSample[] {
  const { ids, carries } = sample;
  if (ids.length <= limit) return [sample];
  const pieces: EncodedSample[] = [];
  for (let from = 0; from + 1 < ids.length; from += limit - 1) {
    const to = Math.min(ids.length, from + limit);
    const isLast = to === ids.length;
    const piece = { ids: ids.slice(from, to), carries: carries.slice(from, to) };
    if (from > 0) piece.carries[0] = 0;
    pieces.push({
      ...piece,
      turns: isLast ? 1 : 0,
      endedTurns: isLast ? sample.endedTurns : 0,
      straddling: 0,
      texts: [],
      ...(from > 0 && { continues: true as const }),
    });
  }
  return pieces;
}
