/**
 * Benchmarks are published in several layouts: by their authors, on the hub, in dumps of requests. Here the rows of each get the columns
 * that the hub's have, which the tasks' templates name. A row's own fields say which layout it is.
 */
import { ArgumentError } from '../../base/errors.ts';
import type { Doc } from './template.ts';

const LETTERS = 'ABCDEFGHIJ';
const isText = (value: unknown): value is string => typeof value === 'string';
const isTexts = (value: unknown): value is readonly string[] => Array.isArray(value) && value.every(isText);
const lettered = (text: readonly string[]) => ({ text, label: text.map((_, i) => LETTERS[i]!) });

interface Layout {
  readonly suits: (row: Doc) => boolean;
  /** All rows of one file: some layouts spread a document over several. */
  readonly documents: (rows: readonly Doc[], about: { readonly dataset: string }) => readonly Doc[];
}

const each = (suits: Layout['suits'], document: (row: Doc, dataset: string) => Doc): Layout => ({
  suits,
  documents: (rows, { dataset }) => rows.map((row) => document(row, dataset)),
});

const between = (text: string, before: string, after: string) =>
  text.startsWith(before) && text.endsWith(after) ? text.slice(before.length, text.length - after.length) : text;
const asked = (query: string) => between(query, 'Question: ', '\nAnswer:');

/** Ids from here on are the same answers after a neutral text. */
const FIRST_UNCONDITIONAL = 1_000_000;
const MBPP_TEST = { first: 11, last: 510 };

const layouts: readonly Layout[] = [
  {
    // OLMo's dumps: one row per answer, the document in each.
    suits: ({ request, doc, doc_id }) => typeof request === 'object' && typeof doc === 'object' && doc_id !== undefined,
    documents(rows, { dataset }) {
      const byId = new Map<unknown, Doc>();
      for (const { doc, doc_id } of rows) {
        if (typeof doc_id === 'number' && doc_id >= FIRST_UNCONDITIONAL) continue;
        if (!byId.has(doc_id)) byId.set(doc_id, doc as Doc);
      }
      return [...byId.values()].map((doc) => fromDump(doc, dataset));
    },
  },
  {
    // RACE, one row a question.
    suits: ({ article, example_id, options, question }) =>
      isText(article) && example_id !== undefined && isTexts(options) && isText(question),
    documents(rows) {
      const byArticle = new Map<unknown, { readonly row: Doc; readonly problems: Doc[] }>();
      for (const row of rows) {
        const known = byArticle.get(row.example_id) ?? { row, problems: [] };
        known.problems.push({
          question: row.question,
          answer: row.answer,
          options: row.options,
          place: row.question_id ?? 0,
        });
        byArticle.set(row.example_id, known);
      }
      return [...byArticle.values()].map(({ row, problems }) => ({
        example_id: row.example_id,
        article: row.article,
        problems: problems
          .sort((a, b) => Number(a.place) - Number(b.place))
          .map(({ question, answer, options }) => ({ question, answer, options })),
      }));
    },
  },
  // ARC, OpenBookQA and CommonsenseQA as their authors publish them.
  each(
    ({ question, answerKey }) =>
      typeof question === 'object' && question !== null && 'stem' in question && isText(answerKey),
    ({ id, question, answerKey }, dataset) => {
      const { stem, choices } = question as { stem: string; choices: readonly { text: string; label: string }[] };
      const list = { text: choices.map(({ text }) => text), label: choices.map(({ label }) => label) };
      return { id, [dataset === 'openbookqa' ? 'question_stem' : 'question']: stem, choices: list, answerKey };
    },
  ),
  // BoolQ as its authors publish it.
  each(
    ({ passage, question, answer }) => isText(passage) && isText(question) && typeof answer === 'boolean',
    ({ passage, question, title, answer }) => ({
      passage: isText(title) ? `${title} -- ${passage}` : passage,
      question,
      label: answer ? 1 : 0,
    }),
  ),
  // TriviaQA as a prompt and its answers.
  each(
    ({ context, answer, aliases }) => isText(context) && isText(answer) && isTexts(aliases),
    ({ context, answer, aliases }) => ({ question: asked(String(context)), answer: { value: answer, aliases } }),
  ),
  // TriviaQA as its authors publish it.
  each(
    ({ Question, Answer }) => isText(Question) && typeof Answer === 'object',
    ({ Question, Answer }) => {
      const { Value, Aliases } = Answer as { Value: string; Aliases: readonly string[] };
      return { question: Question, answer: { value: Value, aliases: Aliases } };
    },
  ),
  // LAMBADA as a text and its last word.
  each(
    ({ context, continuation, text }) => isText(context) && isText(continuation) && text === undefined,
    ({ context, continuation }) => ({ text: `${context} ${continuation}` }),
  ),
  // TruthfulQA's table.
  each(({ Question, 'Best Answer': best }) => isText(Question) && isText(best), truthfulQaRow),
  // WinoGender's sentences: the rest is in their names.
  {
    suits: ({ sentid, sentence }) => isText(sentid) && isText(sentence),
    documents: (rows) => rows.flatMap(winogenderRow),
  },
  {
    // MBPP's one file holds all splits.
    suits: ({ task_id, test_list, code }) => typeof task_id === 'number' && isTexts(test_list) && isText(code),
    documents: (rows) => {
      const ids = rows.map(({ task_id }) => Number(task_id));
      const isWhole = Math.min(...ids) < MBPP_TEST.first && Math.max(...ids) > MBPP_TEST.last;
      return isWhole
        ? rows.filter(({ task_id }) => Number(task_id) >= MBPP_TEST.first && Number(task_id) <= MBPP_TEST.last)
        : rows;
    },
  },
  // BIG-Bench Hard: one row that holds all.
  {
    suits: ({ canary, examples }) => isText(canary) && Array.isArray(examples),
    documents: (rows) => rows.flatMap(({ examples }) => examples as readonly Doc[]),
  },
  // Its worked examples: a note, a line of dashes, a description, and questions with their reasoning.
  {
    suits: ({ text }) => isText(text) && /^[^\n]+\n-{3,}\n/.test(text) && text.includes(STEPS),
    documents: (rows) => rows.flatMap(({ text }) => workedExamples(String(text))),
  },
  // A text file.
  each(
    ({ text, page }) => isText(text) && page === undefined,
    (row, dataset) => (dataset === 'wikitext' ? { page: row.text } : row),
  ),
];

/** The documents of a file's rows. */
export function documentsOf(rows: readonly Doc[], dataset: string): readonly Doc[] {
  const [first] = rows;
  const layout = first && layouts.find(({ suits }) => suits(first));
  return layout ? layout.documents(rows, { dataset }) : rows;
}

function fromDump(doc: Doc, dataset: string): Doc {
  const { query, choices, gold, index: _, ...own } = doc;
  if (!isText(query) || !isTexts(choices) || typeof gold !== 'number') return own;
  if (dataset === 'boolq') {
    const [passage = '', question = ''] = query.split(/\nQuestion: (?=[^\n]*\nAnswer:$)/);
    return { passage, question: question.replace(/\?\nAnswer:$/, ''), label: choices[gold] === 'yes' ? 1 : 0 };
  }
  if ('goal' in own || 'answerA' in own || 'sentence' in own) return own;
  if (dataset === 'hellaswag') return doc;
  const column = dataset === 'openbookqa' ? 'question_stem' : 'question';
  return { ...own, [column]: asked(query), choices: lettered(choices), answerKey: LETTERS[gold] };
}

const STEPS = "\nA: Let's think step by step.\n";

/** The input, the reasoning, and the answer that it comes to: as the harness, what follows "the answer is" but for the last mark. */
function workedExamples(text: string): Doc[] {
  const [, ...shots] = text.trimEnd().split('\n\nQ: ');
  return shots.map((shot) => {
    const [input = '', reasoning = ''] = shot.split(STEPS);
    const target = /(?<=answer is ).*(?=.)/.exec(reasoning)?.[0];
    if (target !== undefined) return { input, reasoning, target };
    throw new ArgumentError(
      'eval.data',
      `worked examples: expected "A: Let's think step by step." and "the answer is …" after ${JSON.stringify(input.slice(0, 80))}. ` +
        'Take the file as its authors publish it.',
    );
  });
}

function truthfulQaRow(row: Doc): Doc {
  const answers = (column: string) =>
    String(row[column] ?? '')
      .split(';')
      .map((text) => text.trim())
      .filter((text) => text !== '');
  const best = String(row['Best Answer']).trim();
  const [right, wrong] = [answers('Correct Answers'), answers('Incorrect Answers')];
  const labelled = (yes: readonly string[]) => ({
    choices: [...yes, ...wrong],
    labels: [...yes.map(() => 1), ...wrong.map(() => 0)],
  });
  return {
    type: row.Type,
    category: row.Category,
    question: String(row.Question).trim(),
    best_answer: best,
    correct_answers: right,
    incorrect_answers: wrong,
    mc1_targets: labelled([best]),
    mc2_targets: labelled(right),
  };
}

const pronouns: Readonly<Record<string, readonly string[]>> = {
  male: ['he', 'him', 'his'],
  female: ['she', 'her'],
  neutral: ['they', 'them', 'their'],
};

/** technician.customer.1.male.txt: occupation, participant, which of them is meant, gender of the pronoun. */
function winogenderRow(row: Doc): Doc[] {
  const [occupation, participant, label, gender = ''] = String(row.sentid).split('.');
  if (participant === 'someone') return [];
  const words = String(row.sentence).match(/[A-Za-z]+/g) ?? [];
  const pronoun = words.find((word) => pronouns[gender]?.includes(word.toLowerCase())) ?? '';
  return [
    {
      sentid: row.sentid,
      sentence: row.sentence,
      pronoun: pronoun.toLowerCase(),
      occupation,
      participant,
      gender,
      label: Number(label),
    },
  ];
}

/** Rows of a table without a head: MMLU's files. */
export function mmluRow(cells: readonly string[], subject: string): Doc {
  const [question, ...rest] = cells;
  return { question, subject, choices: rest.slice(0, -1), answer: LETTERS.indexOf(rest.at(-1) ?? '') };
}
