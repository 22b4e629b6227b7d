/**
 * From a document to what the model is asked.
 *
 *   context = description + examples + question,   example = question + answer's beginning + delimiter + answer + delimiter of examples
 *
 * Source   lm-evaluation-harness 0.4.13, api/task.py.
 */
import { ArgumentError } from '../../base/errors.ts';
import { parseLiteral } from '../python/literal.ts';
import { isDigits } from '../python/text.ts';
import type { Request } from '../requests.ts';
import type { TaskSpec } from './spec.ts';
import { type Doc, renderText, renderValue } from './template.ts';

export interface ChoiceQuestion {
  readonly kind: 'multiple_choice';
  readonly requests: readonly Request[];
  /** The choices as the task lists them, and what is scored of each, without its delimiter. */
  readonly choices: readonly string[];
  readonly continuations: readonly string[];
  /** −1: the document names an answer that is none of the choices. */
  readonly gold: number | readonly number[];
}

export interface LikelihoodQuestion {
  readonly kind: 'loglikelihood';
  readonly request: Request;
}

export interface RollingQuestion {
  readonly kind: 'loglikelihood_rolling';
  readonly text: string;
  /** The text whose words and bytes count. */
  readonly counted: string;
}

export interface GenerationQuestion {
  readonly kind: 'generate_until';
  readonly context: string;
  readonly target: string | readonly string[];
}

export type Question = ChoiceQuestion | LikelihoodQuestion | RollingQuestion | GenerationQuestion;

/** The target as the document has it: a text, an index of a choice, or a list. */
export function targetOf(spec: TaskSpec, doc: Doc): unknown {
  const template = spec.doc_to_target;
  if (typeof template === 'number') return template;
  const value = renderValue('doc_to_target', template, doc);
  if (typeof value !== 'string' || Object.hasOwn(doc, template)) return value;
  if (spec.doc_to_choice !== undefined && isDigits(value)) return Number(value);
  if (value.startsWith('[') && value.endsWith(']')) return parseLiteral(value) ?? value;
  return value;
}

/** Throws ArgumentError `eval.choices`. */
export function choicesOf(spec: TaskSpec, doc: Doc): readonly string[] | null {
  if (spec.doc_to_choice === undefined) return null;
  if (typeof spec.doc_to_choice !== 'string') return spec.doc_to_choice;
  const value = renderValue('doc_to_choice', spec.doc_to_choice, doc);
  const list = typeof value === 'string' ? parseLiteral(value) : value;
  if (Array.isArray(list) && list.length > 0 && list.every((text) => typeof text === 'string')) return list;
  throw new ArgumentError(
    'eval.choices',
    `doc_to_choice: expected a list of texts, found ${JSON.stringify(value)?.slice(0, 200)}. The task or its data is wrong.`,
  );
}

/** Index of the context that is right, in tasks whose choices are contexts; null in all others. */
function contextIndex(spec: TaskSpec, doc: Doc): number | null {
  if (spec.doc_to_choice === undefined) return null;
  const value = renderValue('doc_to_text', spec.doc_to_text, doc);
  if (typeof value === 'number') return value;
  return typeof value === 'string' && isDigits(value) ? Number(value) : null;
}

function questionText(spec: TaskSpec, doc: Doc): string {
  const index = contextIndex(spec, doc);
  const text =
    index === null ? renderText('doc_to_text', spec.doc_to_text, doc) : (choicesOf(spec, doc)?.[index] ?? '');
  return text + prefixOf(spec, doc);
}

const prefixOf = (spec: TaskSpec, doc: Doc) =>
  spec.gen_prefix === undefined ? '' : renderText('gen_prefix', spec.gen_prefix, doc);

/** What is shown as the answer of an example: of several right ones the first. */
export function shownAnswer(spec: TaskSpec, doc: Doc): string {
  const target = targetOf(spec, doc);
  const one = Array.isArray(target) ? target[0] : target;
  const choices = typeof one === 'number' ? choicesOf(spec, doc) : null;
  return String(choices ? choices[one as number] : one);
}

/** One worked example, up to the next. */
export function exampleText(spec: TaskSpec, doc: Doc): string {
  const answer = shownAnswer(spec, doc);
  const shown = answer === '' ? '' : spec.target_delimiter + answer;
  return questionText(spec, doc) + shown + spec.fewshot_delimiter;
}

/** What stands before the question. */
export function leadingText(spec: TaskSpec, doc: Doc, examples: readonly Doc[]): string {
  const description = renderText('description', spec.description, doc);
  return description + examples.map((example) => exampleText(spec, example)).join('');
}

/** Throws ArgumentError `eval.…`, where the document does not fit the task. */
export function askQuestion(spec: TaskSpec, doc: Doc, examples: readonly Doc[]): Question {
  const target = targetOf(spec, doc);
  if (spec.output_type === 'loglikelihood_rolling') {
    const text = String(target);
    const counted = renderText('doc_to_text', spec.doc_to_text, doc);
    return { kind: 'loglikelihood_rolling', text, counted: counted === '' ? text : counted };
  }
  const leading = leadingText(spec, doc, examples);
  if (spec.output_type === 'loglikelihood') {
    return {
      kind: 'loglikelihood',
      request: { context: leading + questionText(spec, doc), continuation: String(target) },
    };
  }
  if (spec.output_type === 'generate_until') {
    const texts = Array.isArray(target) ? target.map(String) : String(target);
    return { kind: 'generate_until', context: leading + questionText(spec, doc), target: texts };
  }
  const choices = choicesOf(spec, doc)!;
  const index = contextIndex(spec, doc);
  if (index !== null) {
    // The choices are contexts, and one continuation follows each of them.
    const continuation = String(target);
    const requests = choices.map((choice) => ({
      context: leading + choice + prefixOf(spec, doc),
      continuation: spec.target_delimiter + continuation,
    }));
    return {
      kind: 'multiple_choice',
      requests,
      choices,
      continuations: choices.map(() => continuation),
      gold: index >= 0 && index < choices.length ? index : -1,
    };
  }
  const context = leading + questionText(spec, doc);
  return {
    kind: 'multiple_choice',
    requests: choices.map((choice) => ({ context, continuation: spec.target_delimiter + choice })),
    choices,
    continuations: choices,
    gold: goldOf(target, choices),
  };
}

function goldOf(target: unknown, choices: readonly string[]): number | readonly number[] {
  if (Array.isArray(target)) return target.map((each) => goldOf(each, choices) as number);
  if (typeof target === 'boolean') return Number(target);
  if (typeof target === 'number')
    return Number.isInteger(target) && target >= 0 && target < choices.length ? target : -1;
  return choices.indexOf(String(target));
}
