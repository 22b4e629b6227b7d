/**
 * A sample as token ids, with a mark on every token that carries loss. The marks are made while the text is encoded: from the places
 * of the assistant's turns in the rendered text (turn-spans.ts), not by looking for anything in the ids.
 *
 * A token carries loss when some of its characters lie behind the prompt that the model goes on from, in a turn that is trained on: the
 * space after "ASSISTANT:", alone or glued to the first word, is learned, as the model has to write it.
 */
import { builtInTemplates } from '../../tokenizer/chat/built-in-templates.ts';
import type { ChatTemplate } from '../../tokenizer/chat/chat-template.ts';
import type { Segment, Tokenizer } from '../../tokenizer/tokenizer.ts';
import { Refusal, type SftSample, type TrainedMessage } from './sample.ts';
import { type TurnSpan, traceChat } from './turn-spans.ts';

export const trainOnChoices = ['all', 'last', 'flags'] as const;
/** Which of the assistant's turns carry loss: all that are not flagged otherwise, the last, or only those flagged `train: true`. */
export type TrainOn = (typeof trainOnChoices)[number];

export interface Encoder {
  readonly tokenizer: Tokenizer;
  /** Of conversations; null: the model has none, and conversations are refused. */
  readonly template: ChatTemplate | null;
  readonly trainOn: TrainOn;
}

export interface EncodedSample {
  readonly ids: Uint32Array;
  /** 1 where the token carries loss as a target. */
  readonly carries: Uint8Array;
  /** Turns (or texts) that carry loss, and how many of them end with a token that ends a generation. */
  readonly turns: number;
  readonly endedTurns: number;
  /** Tokens that lie over the border between what was asked and what is learned. */
  readonly straddling: number;
  /** It goes on with a text that another sample begins. */
  readonly continues?: true;
  /** What carries loss, as the template wrote it: to prove the marks with. */
  readonly texts: readonly string[];
}

/** The ids of a sample and what of them carries loss, or why it cannot be used. */
export function encodeSample(sample: SftSample, encoder: Encoder): EncodedSample | Refusal {
  switch (sample.kind) {
    case 'chat':
      return encodeChatSample(sample.messages, sample.tools ?? null, encoder);
    case 'completion': {
      const { prompt, completion } = sample;
      const text = prompt + completion;
      const span = { asked: prompt.length, begin: prompt.length, end: text.length };
      return encodeSpans([{ text, trusted: false }], [span], true, encoder);
    }
    case 'text':
      return encodeSpans(
        [{ text: sample.text, trusted: false }],
        [{ asked: 0, begin: 0, end: sample.text.length }],
        true,
        encoder,
      );
    default:
      return sample satisfies never;
  }
}

function encodeChatSample(
  messages: readonly TrainedMessage[],
  tools: readonly unknown[] | null,
  encoder: Encoder,
): EncodedSample | Refusal {
  const { template, tokenizer } = encoder;
  if (template === null) return noTemplate(tokenizer);
  const plain = messages.map(({ train: _, ...message }) => message);
  let traced: ReturnType<typeof traceChat>;
  try {
    const onlyLast = encoder.trainOn === 'last';
    traced = traceChat(template, plain, { tools, endTexts: endTextsOf(tokenizer), onlyLast });
  } catch (error) {
    if (!(error instanceof Error && 'code' in error)) throw error;
    // What a template leaves out has no place in its text, either.
    const lost =
      error.code === 'finetune.turns' ? unwritten(template.render(plain, { tools }).text, plain, tools) : null;
    return new Refusal(
      lost === null ? `the template refuses: ${error.message}` : `the template does not write ${lost}`,
    );
  }
  const stranger = markupThatIsNoToken(traced.text, plain, tokenizer);
  if (stranger !== null) {
    return new Refusal(
      `the template writes ${stranger}, which is no token of this vocabulary: choose another with model.template (${fittingTemplates(tokenizer)})`,
    );
  }
  const lost = unwritten(traced.text, plain, tools);
  if (lost !== null) return new Refusal(`the template does not write ${lost}`);
  for (const { message, begin, end } of traced.turns) {
    const content = String(plain[message]!.content ?? '').trim();
    if (!traced.text.slice(begin, end).includes(content)) {
      return new Refusal('the template does not write an answer as it stands in the data');
    }
  }
  const trained = chooseTurns(traced.turns, messages, encoder.trainOn);
  if (trained.length === 0)
    return new Refusal('no turn carries loss (data.trainOn, and train or weight of the messages)');
  const reachesEnd = trained.at(-1)!.message === messages.length - 1;
  return encodeSpans(traced.segments, trained, reachesEnd, encoder);
}

/** A conversation of a model that was made for texts. */
export function noTemplate(tokenizer: Tokenizer): Refusal {
  const names = fittingTemplates(tokenizer);
  return new Refusal(`a conversation, but the model has no chat template: choose one with model.template (${names})`);
}

/** Names of the built-in templates whose tokens a vocabulary has. */
function fittingTemplates(tokenizer: Tokenizer): string {
  const fits = (source: string) =>
    Array.from(source.matchAll(MARKUP)).every(([token]) => tokenizer.idOf(token) !== null);
  return Object.entries(builtInTemplates)
    .flatMap(([name, source]) => (fits(source) ? [name] : []))
    .join(', ');
}

/** What of a conversation is nowhere in the rendered text: templates pass over roles and tools that they do not know. */
function unwritten(text: string, messages: readonly TrainedMessage[], tools: readonly unknown[] | null): string | null {
  const isWritten = (words: string) => text.includes(words) || text.includes(JSON.stringify(words).slice(1, -1));
  for (const { role, content, tool_calls: calls } of messages) {
    const words = String(content ?? '').trim();
    if (role !== 'assistant' && !isWritten(words)) return `a message of the role ${role}`;
    if (Array.isArray(calls) && !calls.every((call) => isWritten(nameOf(call)))) return 'calls of tools';
  }
  return tools === null || tools.every((tool) => isWritten(nameOf(tool))) ? null : 'the tools that a conversation has';
}

/** Of a tool or a call of one, with or without the object around it. */
function nameOf(tool: unknown): string {
  const { function: inner, name } = tool as { function?: { name?: unknown }; name?: unknown };
  return String(inner?.name ?? name ?? '');
}

function chooseTurns(turns: readonly TurnSpan[], messages: readonly TrainedMessage[], trainOn: TrainOn): TurnSpan[] {
  const flagged = turns.filter(({ message }) => messages[message]!.train ?? trainOn !== 'flags');
  return trainOn === 'last' ? flagged.filter((turn) => turn === turns.at(-1)) : flagged;
}

/** Texts of the tokens that end a turn. */
export function endTextsOf(tokenizer: Tokenizer): string[] {
  return Array.from(tokenizer.eogIds, (id) => tokenizer.pieceOf(id));
}

const MARKUP = /<\|[\w.-]{1,40}\|>/g;

/** `<|im_end|>` and the like in what the template wrote, where the vocabulary has no such token: it would be learned as letters. */
function markupThatIsNoToken(text: string, messages: readonly TrainedMessage[], tokenizer: Tokenizer): string | null {
  for (const [markup] of text.matchAll(MARKUP)) {
    if (tokenizer.idOf(markup) !== null) continue;
    if (!JSON.stringify(messages).includes(markup)) return markup;
  }
  return null;
}

interface Span {
  readonly asked: number;
  readonly begin: number;
  readonly end: number;
}

/** `reachesEnd`: the last span is the end of what is learned, so that an end token belongs to it where the text has none. */
function encodeSpans(
  segments: readonly Segment[],
  spans: readonly Span[],
  reachesEnd: boolean,
  { tokenizer }: Encoder,
): EncodedSample | Refusal {
  const text = segments.map((segment) => segment.text).join('');
  const places = spans.flatMap(({ asked, end }) => [asked, end]);
  const { ids: inner, borders } = tokenizer.encodeSegmentsWithBorders(segments, places);
  const { bosId, eosId } = tokenizer;
  const needsBos = bosId !== null && tokenizer.addBos && inner[0] !== bosId;
  const ids: number[] = needsBos ? [bosId, ...inner] : [...inner];
  const shift = needsBos ? 1 : 0;
  const carries: number[] = new Array(ids.length).fill(0);
  let straddling = 0;
  let endedTurns = 0;
  for (let i = 0; i < spans.length; i++) {
    const from = borders[2 * i]!;
    const to = borders[2 * i + 1]!;
    const end = to.token + (to.isInside ? 1 : 0);
    if (from.isInside) straddling++;
    carries.fill(1, shift + from.token, shift + end);
    const last = ids[shift + end - 1];
    if (end > from.token && last !== undefined && tokenizer.eogIds.has(last)) endedTurns++;
    else if (i === spans.length - 1 && reachesEnd && eosId !== null) {
      ids.splice(shift + end, ids.length, eosId);
      carries.splice(shift + end, carries.length, 1);
      endedTurns++;
    }
  }
  // Where one token both begins and ends texts, an end and a beginning may stand side by side.
  if (bosId !== null && bosId !== eosId && ids.some((id, i) => id === bosId && ids[i - 1] === bosId)) {
    return new Refusal('two beginning-of-text tokens in a row');
  }
  if (!carries.some((mark, i) => mark === 1 && i > 0)) return new Refusal('no token carries loss');
  return {
    ids: Uint32Array.from(ids),
    carries: Uint8Array.from(carries),
    turns: spans.length,
    endedTurns,
    straddling,
    texts: spans.map(({ begin, end }) => text.slice(begin, end)),
  };
}
