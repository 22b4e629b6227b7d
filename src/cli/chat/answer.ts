/** One answer: generated, its reasoning told apart, and the reasoning ended where its budget is spent. */
import type { FinishReason, Piece, Timings } from '../../inference/generation.ts';
import type { GenerationOptions } from '../../inference/options.ts';
import { openedBy, ReasoningReader, reasoningTags } from '../../inference/text/reasoning.ts';
import type { Speaker } from './speaker.ts';

export interface Answer {
  readonly reasoning: string;
  readonly text: string;
  readonly finishReason: FinishReason;
  /** Tokens that context shifts took out of the text. */
  readonly forgotten: number;
  readonly timings: Timings;
}

/** Where the parts of an answer go as they come. */
export interface AnswerListener {
  reasoning(text: string): void;
  answer(text: string): void;
}

/**
 * `budget`: tokens of reasoning at most; −1: no limit. When it is spent the block is closed in the model's place, and it goes on from
 * there with what the cache has of it.
 */
export async function generateAnswer(
  speaker: Speaker,
  prompt: Uint32Array,
  options: GenerationOptions & { readonly signal: AbortSignal },
  budget: number,
  listener: AnswerListener,
): Promise<Answer> {
  const reader = new ReasoningReader(openedBy(speaker.textOf(prompt.slice(-16))));
  let [reasoning, text] = ['', ''];
  const tell = (read: { readonly reasoning: string; readonly answer: string }) => {
    reasoning += read.reasoning;
    text += read.answer;
    if (read.reasoning !== '') listener.reasoning(read.reasoning);
    if (read.answer !== '') listener.answer(read.answer);
  };
  let ids = prompt;
  let left = options.maxTokens ?? -1;
  let thought = 0;
  let allForgotten = 0;
  for (;;) {
    const stream = speaker.generate(ids, { ...options, maxTokens: left });
    const generated: number[] = [];
    let isSpent = false;
    for await (const piece of stream) {
      generated.push(piece.id);
      tell(reader.push(textOf(speaker, piece)));
      if (reader.inside !== null && budget >= 0 && ++thought >= budget) {
        isSpent = true;
        break;
      }
    }
    const { finishReason, timings, forgotten = 0 } = await stream.result;
    allForgotten += forgotten;
    if (left > 0) left = Math.max(0, left - generated.length);
    const closing = isSpent && reader.inside !== null && !options.signal.aborted && left !== 0;
    if (!closing) {
      tell(reader.flush());
      const reason = isSpent && left === 0 ? 'length' : finishReason;
      return { reasoning, text, finishReason: reason, forgotten: allForgotten, timings };
    }
    const end = `\n${reader.inside!.close}\n\n`;
    tell(reader.push(end));
    ids = Uint32Array.from([...ids, ...generated, ...speaker.idsOf(end)]);
  }
}

/** A tag may be a control token, which has no text in an answer. */
function textOf(speaker: Speaker, { id, text }: Piece): string {
  if (text !== '') return text;
  const written = speaker.textOf([id]);
  return reasoningTags.some(({ open, close }) => written === open || written === close) ? written : '';
}
