/**
 * Where the assistant's turns stand in a rendered conversation. The places are taken while it is rendered, in one of three ways,
 * and never searched for by a marker in the tokens:
 *
 *   1. `{% generation %}` blocks, where the template has them.
 *   2. The text before a turn with the generation prompt, and the text with the turn: what the second has more is the turn, provided
 *      that both are beginnings of the whole text. The model is asked to go on after exactly the first at inference.
 *   3. Where the template rewrites earlier turns (drops thoughts, say): marks around each message's text.
 *
 * A turn ends with the token that ends it; what the template writes after that (ChatML's line break) belongs to no turn.
 */
import { ArgumentError } from '../../base/errors.ts';
import type { ChatMessage, ChatTemplate, RenderedChat } from '../../tokenizer/chat/chat-template.ts';

/** A turn of the assistant in the rendered text, in UTF-16 units. */
export interface TurnSpan {
  readonly message: number;
  /** Where the prompt ends that the model goes on from at inference: all behind it must be learned, a space before the words too. */
  readonly asked: number;
  /** Where the answer's own words begin. */
  readonly begin: number;
  readonly end: number;
}

export interface TracedChat extends RenderedChat {
  readonly turns: readonly TurnSpan[];
}

export interface TraceOptions {
  readonly tools?: readonly unknown[] | null;
  /** Texts of the tokens that end a turn. */
  readonly endTexts: readonly string[];
  /** Only the last of the assistant's turns is wanted: templates that rewrite earlier ones can be used, too. */
  readonly onlyLast?: boolean;
}

/** Renders a conversation and finds its assistant's turns. Throws ArgumentError with the template's own words, or `finetune.turns`. */
export function traceChat(template: ChatTemplate, messages: readonly ChatMessage[], options: TraceOptions): TracedChat {
  const { tools = null } = options;
  const rendered = template.render(messages, { tools });
  const all = messages.flatMap(({ role }, i) => (role === 'assistant' ? [i] : []));
  const ofAssistant = options.onlyLast ? all.slice(-1) : all;
  const turns =
    byGenerationBlocks(template, messages, rendered.text, all, options)?.slice(-ofAssistant.length) ??
    byPrefixes(template, messages, rendered.text, ofAssistant, options) ??
    byMarks(template, messages, rendered.text, ofAssistant, options);
  if (turns !== null) return { ...rendered, turns };
  throw new ArgumentError(
    'finetune.turns',
    'the chat template rewrites earlier turns, so that it cannot be said where an answer stands in its text. ' +
      'Train on the last turn only (data.trainOn: last), or with a built-in template.',
  );
}

function byPrefixes(
  template: ChatTemplate,
  messages: readonly ChatMessage[],
  text: string,
  ofAssistant: readonly number[],
  { tools = null, endTexts }: TraceOptions,
): TurnSpan[] | null {
  const turns: TurnSpan[] = [];
  const opening = openingOf(template, messages, tools);
  for (const message of ofAssistant) {
    const before = tried(() => template.render(messages.slice(0, message), { tools, addGenerationPrompt: true }).text);
    const after =
      message + 1 === messages.length
        ? text
        : tried(() => template.render(messages.slice(0, message + 1), { tools }).text);
    if (before === null || after === null || !text.startsWith(before) || !text.startsWith(after)) return null;
    if (after.length <= before.length) return null;
    const content = spoken(messages[message]!);
    // Some templates write no generation prompt for a conversation that has no message yet.
    const isOpened = opening === '' || before.endsWith(opening) || !text.startsWith(opening, before.length);
    const asked = before.length + (isOpened ? 0 : opening.length);
    let begin = asked;
    // White space that the template writes between its own words and the answer is not the answer's.
    if (!text.startsWith(content, begin) || content === '') {
      const shown = text.indexOf(content.trim(), begin);
      const gap = text.slice(begin, shown);
      if (shown > begin && content.trim() !== '' && gap.trim() === '') begin = shown;
    }
    turns.push({ message, asked, begin, end: endOfTurn(text, begin, content.trim(), after.length, endTexts) });
  }
  return turns;
}

/**
 * The end of the end token behind the words of a turn that lies in [begin, limit): what the template writes behind it, such as the end of
 * the text, is not the turn's. Of a turn without words (calls of tools, which may quote anything) the last one; `limit` where there is none.
 */
function endOfTurn(text: string, begin: number, words: string, limit: number, endTexts: readonly string[]): number {
  const turn = text.slice(begin, limit);
  const at = words === '' ? -1 : turn.indexOf(words);
  const ends = (find: (ending: string) => number) =>
    endTexts.flatMap((ending) => (find(ending) === -1 ? [] : [find(ending) + ending.length]));
  const behind = at === -1 ? [] : ends((ending) => turn.indexOf(ending, at + words.length));
  const last = ends((ending) => turn.lastIndexOf(ending));
  const end = behind.length > 0 ? Math.min(...behind) : Math.max(-1, ...last);
  return end === -1 ? limit : begin + end;
}

const OPEN = '\u{F8F0}';
const CLOSE = '\u{F8F1}';
const END = '\u{F8F2}';

/** Each message's text between marks that no template strips, as white space stays outside of them. */
function byMarks(
  template: ChatTemplate,
  messages: readonly ChatMessage[],
  text: string,
  ofAssistant: readonly number[],
  { tools = null, endTexts }: TraceOptions,
): TurnSpan[] | null {
  if (/[\uF8F0-\uF8F2]/.test(text)) return null;
  const marked = messages.map((message, i): ChatMessage => {
    const { content } = message;
    if (typeof content !== 'string' || content.trim() === '') return message;
    const core = content.trim();
    const from = content.indexOf(core);
    const rest = content.slice(from + core.length);
    return { ...message, content: `${content.slice(0, from)}${OPEN}${i}${CLOSE}${core}${END}${rest}` };
  });
  const guarded = tried(() => template.render(marked, { tools }).text);
  if (guarded === null) return null;
  const marks = readMarks(guarded);
  if (marks === null || marks.plain !== text) return null;
  const opening = openingOf(template, messages, tools);
  const turns: TurnSpan[] = [];
  for (const message of ofAssistant) {
    const own = marks.found.filter((mark) => mark.message === message);
    if (own.length !== 1) return null;
    const { begin, end } = own[0]!;
    const next = Math.min(text.length, ...marks.found.filter((mark) => mark.begin > end).map((mark) => mark.begin));
    const closing = endTexts.flatMap((ending) => {
      const at = text.indexOf(ending, end);
      return at === -1 || at + ending.length > next ? [] : [at + ending.length];
    });
    const asked = endOfPrompt(text.slice(0, begin), opening);
    turns.push({ message, asked, begin, end: closing.length > 0 ? Math.min(...closing) : end });
  }
  return turns;
}

/** What the template writes to have the assistant begin. */
function openingOf(template: ChatTemplate, messages: readonly ChatMessage[], tools: TraceOptions['tools']): string {
  const asked = tried(() => template.render(messages, { tools: tools ?? null, addGenerationPrompt: true }).text);
  const plain = tried(() => template.render(messages, { tools: tools ?? null }).text);
  return asked !== null && plain !== null && asked.startsWith(plain) ? asked.slice(plain.length) : '';
}

/** Where the assistant's opening ends in what stands before its words, if only white space follows it; else where the words begin. */
function endOfPrompt(before: string, opening: string): number {
  const words = before.trimEnd();
  if (opening === '' || before.endsWith(opening) || !words.endsWith(opening.trimEnd())) return before.length;
  let end = words.length;
  for (const space of opening.slice(opening.trimEnd().length)) if (before[end] === space) end++;
  return end;
}

function readMarks(
  guarded: string,
): { plain: string; found: { message: number; begin: number; end: number }[] } | null {
  const found: { message: number; begin: number; end: number }[] = [];
  let plain = '';
  let open: { message: number; begin: number } | null = null;
  for (const [part] of guarded.matchAll(/\uF8F0\d+\uF8F1|\uF8F2|[^\uF8F0-\uF8F2]+|[\uF8F0-\uF8F2]/g)) {
    if (part.startsWith(OPEN)) {
      if (open !== null || part.length < 3) return null;
      open = { message: Number(part.slice(1, -1)), begin: plain.length };
    } else if (part === END) {
      if (open === null) return null;
      found.push({ ...open, end: plain.length });
      open = null;
    } else if (part === CLOSE) return null;
    else plain += part;
  }
  return open === null ? { plain, found } : null;
}

// With what lstrip_blocks and trim_blocks take away around a statement.
const GENERATION = /(?:^[ \t]*)?\{%(-?)\s*generation\s*(-?)%\}\n?/gm;
const END_GENERATION = /(?:^[ \t]*)?\{%(-?)\s*endgeneration\s*(-?)%\}\n?/gm;

/** Templates made for training say themselves what the assistant wrote. */
function byGenerationBlocks(
  template: ChatTemplate,
  messages: readonly ChatMessage[],
  text: string,
  ofAssistant: readonly number[],
  { tools = null }: TraceOptions,
): TurnSpan[] | null {
  if (!template.source.match(GENERATION)) return null;
  const source = template.source
    .replace(GENERATION, (_, before: string, after: string) => `{{${before} '${OPEN}0${CLOSE}' ${after}}}`)
    .replace(END_GENERATION, (_, before: string, after: string) => `{{${before} '${END}' ${after}}}`);
  const marks = readMarks(template.withSource(source).render(messages, { tools }).text);
  if (marks === null || marks.plain !== text || marks.found.length !== ofAssistant.length) return null;
  return ofAssistant.map((message, i) => {
    const { begin, end } = marks.found[i]!;
    return { message, asked: begin, begin, end };
  });
}

/** What the assistant said in words. */
function spoken({ content }: ChatMessage): string {
  return typeof content === 'string' ? content : '';
}

/** A template may refuse a part of a conversation that it takes as a whole. */
function tried(render: () => string): string | null {
  try {
    return render();
  } catch (error) {
    if (error instanceof ArgumentError) return null;
    throw error;
  }
}
