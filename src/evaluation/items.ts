/**
 * Files of multiple-choice items: JSON lines in one of the layouts that are in use. Each line's fields say which it is.
 *
 *   { query, choices, gold }                          one item: the harness's documents
 *   { request: { context, continuation }, doc_id, … } one answer each, in OLMo's dumps; ids from 1,000,000 are the unconditional ones
 *   { ctx_a, ctx_b, endings, label, activity_label }  HellaSwag, prepared as the harness does
 *   { goal, sol1, sol2, label }                       PIQA as the harness asks it; its labels may be in a file of their own
 */
import { FormatError } from '../base/errors.ts';
import type { Choice, Item } from './multiple-choice.ts';
import { capitalize } from './python/text.ts';
import { hellaSwagText } from './task/hellaswag.ts';

export interface ItemsOptions {
  /** Lines of a second file with the right answers, for items that carry none. */
  readonly labels?: readonly string[];
  /** What the answers are put after for acc_uncond, where the file does not say. null: nothing. */
  readonly unconditional: string | null;
}

type Fields = Readonly<Record<string, unknown>>;

/** Throws FormatError `items.*`, with the line. */
export function parseItems(file: string, text: string, options: ItemsOptions): Item[] {
  const lines = text
    .split('\n')
    .map((line, i) => ({ line, number: i + 1 }))
    .filter(({ line }) => line.trim() !== '');
  if (lines.length === 0) throw wrong(file, 'line 1', 'the file is empty, expected one item per line');
  const records = lines.map(({ line, number }) => ({ where: `line ${number}`, fields: parseLine(file, number, line) }));
  if ('request' in records[0]!.fields) return fromRequests(file, records);
  return records.map(({ where, fields }, i) => {
    const { query, choices, gold } = asQuestion(file, where, fields);
    const label = gold ?? options.labels?.[i];
    const index = typeof label === 'string' && /^\d+$/.test(label.trim()) ? Number(label) : label;
    if (typeof index !== 'number' || !Number.isInteger(index) || index < 0 || index >= choices.length) {
      const found = label === undefined ? 'no right answer' : `right answer ${JSON.stringify(label)}`;
      throw wrong(
        file,
        where,
        `${found}, expected its index, 0 … ${choices.length - 1}, as "gold" or "label"`,
        'Labels in a file of their own are given with --labels.',
      );
    }
    const after = (context: string): Choice[] =>
      choices.map((choice) => ({ context, continuation: ` ${choice}`, text: choice }));
    const item = { id: String(fields.id ?? fields.ind ?? i), choices: after(query), gold: index };
    return options.unconditional === null ? item : { ...item, unconditional: after(options.unconditional) };
  });
}

function parseLine(file: string, number: number, line: string): Fields {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (error) {
    throw wrong(file, `line ${number}`, `no JSON (${(error as Error).message}), expected one item per line`);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw wrong(file, `line ${number}`, 'found JSON that is no object, expected an item');
  }
  return value as Fields;
}

interface Question {
  readonly query: string;
  readonly choices: readonly string[];
  readonly gold: unknown;
}

function asQuestion(file: string, where: string, fields: Fields): Question {
  const { query, choices, ctx_a, ctx_b, endings, activity_label, goal, sol1, sol2 } = fields;
  const gold = fields.gold ?? fields.label;
  if (isText(query) && isTexts(choices)) return { query, choices, gold };
  if (isText(ctx_a) && isText(ctx_b) && isText(activity_label) && isTexts(endings)) {
    const query = hellaSwagText(`${activity_label}: ${ctx_a} ${capitalize(ctx_b)}`);
    return { query, choices: endings.map(hellaSwagText), gold };
  }
  if (isText(goal) && isText(sol1) && isText(sol2)) {
    return { query: `Question: ${goal}\nAnswer:`, choices: [sol1, sol2], gold };
  }
  const found = Object.keys(fields).join(', ').slice(0, 200) || 'none';
  throw wrong(
    file,
    where,
    `found the fields ${found}; expected query and choices, request and doc_id (OLMo), ctx_a, ctx_b, endings and activity_label (HellaSwag), or goal, sol1 and sol2 (PIQA)`,
  );
}

const FIRST_UNCONDITIONAL = 1_000_000;

interface Asked {
  readonly where: string;
  readonly gold: unknown;
  readonly choices: Choice[];
}

function fromRequests(file: string, records: readonly { readonly where: string; readonly fields: Fields }[]): Item[] {
  const asked = new Map<string | number, Asked>();
  for (const { where, fields } of records) {
    const { request, doc_id: id, label } = fields;
    const { context, continuation } = (request ?? {}) as Fields;
    if (!isText(context) || !isText(continuation) || (typeof id !== 'number' && typeof id !== 'string')) {
      throw wrong(file, where, 'expected request.context, request.continuation and doc_id, as the first line has them');
    }
    const text = continuation.startsWith(' ') ? continuation.slice(1) : continuation;
    const known = asked.get(id) ?? { where, gold: label, choices: [] };
    known.choices.push({ context, continuation, text });
    asked.set(id, known);
  }
  const items: Item[] = [];
  for (const [id, { where, gold, choices }] of asked) {
    if (typeof id === 'number' && id >= FIRST_UNCONDITIONAL) continue;
    if (typeof gold !== 'number' || !Number.isInteger(gold) || gold < 0 || gold >= choices.length) {
      throw wrong(
        file,
        where,
        `label is ${JSON.stringify(gold)}, expected the index of one of ${choices.length} answers`,
      );
    }
    const unconditional = typeof id === 'number' ? asked.get(id + FIRST_UNCONDITIONAL)?.choices : undefined;
    if (unconditional && unconditional.length !== choices.length) {
      throw wrong(
        file,
        where,
        `found ${choices.length} answers and ${unconditional.length} unconditional ones, expected as many`,
      );
    }
    items.push({ id: String(id), choices, gold, ...(unconditional && { unconditional }) });
  }
  return items;
}

const isText = (value: unknown): value is string => typeof value === 'string';
const isTexts = (value: unknown): value is readonly string[] =>
  Array.isArray(value) && value.length >= 2 && value.every((text) => typeof text === 'string' && text !== '');

function wrong(
  file: string,
  where: string,
  problem: string,
  advice = 'See "cria eval --help" for the layouts.',
): FormatError {
  return new FormatError({ code: 'items.layout', file, where }, problem, advice);
}
