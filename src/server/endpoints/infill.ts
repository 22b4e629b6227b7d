/**
 * POST /infill, as llama-server has it: the text of a gap, written by models whose vocabulary has tokens for that (src/tokenizer/fim.ts).
 *
 *   [repository] name ⏎  ([file] filename ⏎ text)…  [file] name ⏎   [prefix] input_prefix prompt  [suffix] input_suffix  [middle]
 *
 * Where there are other files: with the marks of a repository where the vocabulary has them, else behind lines that part them. What does
 * not fit the context is left out, the farthest from the gap first, and the reply says so: `truncated`.
 */
import { ApiError } from '../api-error.ts';
import type { Desk } from '../preparing/desk.ts';
import { infillSchema } from '../request/native.ts';
import { parseBody } from '../request/parse.ts';
import { type NativeTurn, nativeTurn } from './native.ts';
import { mostCharacters } from './prompts.ts';

/** Names that llama-server writes where a client gives none. */
const REPOSITORY = 'myproject';
const THIS_FILE = 'filename';
const OTHER_FILE = 'tmp';
const BORDER = '\n\n--- snippet ---\n\n';

/** Of the room for a gap's surroundings, what stands before it may take so much where both sides are too long. */
const PREFIX_SHARE = 3 / 4;
/** Left for the answer where the request does not say how long it may be; of the context at most this share. */
const USUAL_ANSWER = 128;
const MOST_ANSWER_SHARE = 1 / 2;

export function prepareInfill(desk: Desk, body: unknown): NativeTurn {
  const request = parseBody(infillSchema, body);
  const { model } = desk;
  const { tokenizer, contextLength } = model;
  const { prefix, suffix, middle, repository, file } = tokenizer.fim;
  if (prefix === null || suffix === null || middle === null) {
    const missing = Object.entries({ prefix, suffix, middle }).flatMap(([mark, id]) => (id === null ? [mark] : []));
    const message = `this model cannot fill gaps: its vocabulary has no token that marks the ${missing.join(', the ')}. Ask /completion, or serve a model of code.`;
    throw new ApiError(501, 'not_supported', message);
  }
  const { input_prefix, input_suffix, prompt, input_extra } = request;
  // The nearest part of a text that is too long for any context: the rest is left out unread.
  const most = mostCharacters(tokenizer, contextLength);
  const before = tokenizer.encode((input_prefix + (prompt ?? '')).slice(-most));
  const after = inTheMiddle(desk, input_suffix.slice(0, most));
  const bos = tokenizer.addBos && tokenizer.bosId !== null ? [tokenizer.bosId] : [];

  const asked = request.n_predict ?? request.max_tokens ?? USUAL_ANSWER;
  const answer = Math.min(asked < 0 ? USUAL_ANSWER : asked, Math.floor(contextLength * MOST_ANSWER_SHARE));
  const room = Math.max(0, contextLength - answer - bos.length - 3);
  const beforeTake = Math.min(before.length, Math.max(Math.ceil(room * PREFIX_SHARE), room - after.length));
  const afterTake = Math.min(after.length, room - beforeTake);
  const around = [
    ...bos,
    prefix,
    ...before.subarray(before.length - beforeTake),
    suffix,
    ...after.subarray(0, afterTake),
    middle,
  ];

  const extra: number[] = [];
  let isCut = input_prefix.length + (prompt ?? '').length > most || input_suffix.length > most;
  const line = (text: string) => tokenizer.encode(`${text}\n`);
  if (input_extra && input_extra.length > 0) {
    if (repository !== null && file !== null) extra.push(repository, ...line(REPOSITORY));
    for (const { text, filename } of input_extra) {
      if (file !== null) extra.push(file, ...line(filename ?? OTHER_FILE));
      else extra.push(...tokenizer.encode(BORDER));
      const nearest = text.slice(-most);
      isCut ||= nearest.length < text.length;
      for (const id of tokenizer.encode(nearest)) extra.push(id);
    }
    if (file !== null) extra.push(file, ...line(THIS_FILE));
  }
  const extraTake = Math.max(0, Math.min(extra.length, contextLength - answer - around.length));
  const truncated = isCut || beforeTake < before.length || afterTake < after.length || extraTake < extra.length;
  const nearest = extra.slice(extra.length - extraTake);
  return nativeTurn(desk, request, [...nearest, ...around], truncated);
}

/** SentencePiece puts a space before the first word of a text: behind a line break it does not. */
function inTheMiddle({ model: { tokenizer } }: Desk, text: string): Uint32Array {
  const { ids, borders } = tokenizer.encodeSegmentsWithBorders([{ text: `\n${text}`, trusted: false }], [1]);
  const [border] = borders;
  return border === undefined || border.isInside ? tokenizer.encode(text) : ids.subarray(border.token);
}
