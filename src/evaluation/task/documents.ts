/** What is done to the rows of a data set before a task's templates see them. One function a row; each may be applied twice. */

import { boxedAnswer } from '../mathematics/boxed.ts';
import { finalAnswer } from '../mathematics/minerva.ts';
import { parseLiteral } from '../python/literal.ts';
import { replaceAll } from '../python/regex.ts';
import { capitalize, strip } from '../python/text.ts';
import { hellaSwagText } from './hellaswag.ts';
import type { Doc } from './template.ts';

interface RaceProblem {
  readonly question: string;
  readonly answer: string;
  readonly options: readonly string[];
}

const letterIndex = (letter: string) => 'ABCDEFGH'.indexOf(letter);

export const preparations = {
  hellaswag: (doc) => ({
    ...doc,
    query: hellaSwagText(`${doc.activity_label}: ${doc.ctx_a} ${capitalize(String(doc.ctx_b))}`),
    choices: (doc.endings as readonly string[]).map(hellaSwagText),
    gold: Number(doc.label),
  }),
  /** Questions of one article: the last is asked, those before it are shown with their answers. */
  race: (doc) => {
    const problems = (typeof doc.problems === 'string'
      ? parseLiteral(doc.problems)
      : doc.problems) as unknown as readonly RaceProblem[];
    const last = problems.at(-1)!;
    return {
      ...doc,
      earlier: problems
        .slice(0, -1)
        .map(({ question, answer, options }) => ({ question, answer: options[letterIndex(answer)] })),
      question: last.question,
      options: last.options,
      gold: letterIndex(last.answer),
    };
  },
  /** The answer is what the solution's last box holds, as it stands. */
  hendrycks_math: (doc) => ({ ...doc, answer: boxedAnswer(String(doc.solution)) ?? '' }),
  /** The same, normalised as Minerva does. */
  minerva_math: (doc) => ({ ...doc, answer: finalAnswer(boxedAnswer(String(doc.solution)) ?? '') }),
  /** The original files nest articles, paragraphs and questions. */
  squad: (doc) =>
    Array.isArray(doc.paragraphs)
      ? (doc.paragraphs as Doc[]).flatMap(({ context, qas }) =>
          (qas as Doc[]).map((question) => squadQuestion({ ...question, context, title: doc.title })),
        )
      : squadQuestion(doc),
  /** One document a question, with those before it and their answers. */
  quac: (doc) => {
    if (Array.isArray(doc.paragraphs)) {
      return (doc.paragraphs as Doc[]).flatMap(({ context, qas }) =>
        (qas as Doc[]).map((question, i) => ({
          id: question.id,
          title: doc.title,
          section_title: doc.section_title,
          context: String(context).replace(/ ?CANNOTANSWER$/, ''),
          earlier: (qas as Doc[]).slice(0, i).map((past) => ({
            question: past.question,
            answer: (past.orig_answer as Doc | undefined)?.text ?? (past.answers as Doc[])[0]?.text,
          })),
          question: question.question,
          texts: (question.answers as Doc[]).map(({ text }) => text),
        })),
      );
    }
    return doc;
  },
  truthfulqa_gen: (doc) => ({
    ...doc,
    correct_answers: withNoComment(doc.correct_answers as readonly string[]),
    incorrect_answers: (doc.incorrect_answers as readonly string[]).map(asSentence).filter((text) => text !== ''),
  }),
  wikitext: (doc) => ({ ...doc, detokenized: withoutTokenizerMarks(String(doc.page)) }),
} as const satisfies Record<string, (doc: Doc) => Doc | readonly Doc[]>;

/** A question that the text does not answer has the one answer ''. */
function squadQuestion(doc: Doc): Doc {
  const { answers } = doc;
  const texts = Array.isArray(answers)
    ? (answers as { readonly text: string }[]).map(({ text }) => text)
    : (answers as { readonly text: readonly string[] }).text;
  return { ...doc, texts: texts.length === 0 ? [''] : [...new Set(texts)] };
}

const NO_COMMENT = 'I have no comment.';

function asSentence(text: string): string {
  const stripped = strip(text);
  return stripped === '' || stripped.endsWith('.') ? stripped : `${stripped}.`;
}

/** That a model declines to answer is never false. */
function withNoComment(answers: readonly string[]): string[] {
  const sentences = answers.map(asSentence).filter((text) => text !== '');
  return sentences.includes(NO_COMMENT) ? sentences : [...sentences, NO_COMMENT];
}

/** WikiText's way of setting marks apart, undone. */
const wikiTextMarks: readonly (readonly [pattern: string, replacement: string])[] = [
  ["s '", "s'"],
  ["/' [0-9]/", "/'[0-9]/"],
  [' @-@ ', '-'],
  [' @,@ ', ','],
  [' @\\.@ ', '.'],
  [' : ', ': '],
  [' ; ', '; '],
  [' \\. ', '. '],
  [' ! ', '! '],
  [' \\? ', '? '],
  [' , ', ', '],
  ['\\(\\s*([^\\)]*?)\\s*\\)', '(\\1)'],
  ['\\[\\s*([^\\]]*?)\\s*\\]', '[\\1]'],
  ['\\{\\s*([^}]*?)\\s*\\}', '{\\1}'],
  ['"\\s*([^"]*?)\\s*"', '"\\1"'],
  ["'\\s*([^']*?)\\s*'", "'\\1'"],
  ['= = = =', '===='],
  ['= = =', '==='],
  ['= =', '=='],
  [' ° ', '°'],
  [' \n', '\n'],
  ['\n ', '\n'],
  [' N ', ' 1 '],
  [" 's", "'s"],
];

function withoutTokenizerMarks(page: string): string {
  return wikiTextMarks.reduce((text, [pattern, replacement]) => replaceAll(pattern, replacement, text), page);
}

export type PreparationName = keyof typeof preparations;

/** The documents of some rows. */
export function prepareDocs(name: PreparationName | undefined, rows: readonly Doc[]): readonly Doc[] {
  if (name === undefined) return rows;
  const prepare: (doc: Doc) => Doc | readonly Doc[] = preparations[name];
  return rows.flatMap((row) => prepare(row));
}
