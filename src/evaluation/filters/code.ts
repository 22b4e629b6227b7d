import { findAll, replaceAll } from '../python/regex.ts';
import { defineFilter } from './filter.ts';

const FENCE = '```';

/** HumanEval's programs: the prompt is their beginning. */
export const afterPrompt = defineFilter<object>({
  help: "the document's prompt and the answer, as one program",
  options: {},
  apply: (answers, _, doc) => answers.map((answer) => `${doc.prompt}${answer}`),
});

export const afterPromptToFence = defineFilter<object>({
  help: "the document's prompt and the answer up to the end of its code block",
  options: {},
  apply: (answers, _, doc) => answers.map((answer) => `${doc.prompt}${answer.split(FENCE)[0]}`),
});

const BLOCK = `(?s)${FENCE}(?:\\w+)?\\n?(.*?)\\n?${FENCE}`;

/**
 * The first code block, where the prompt has opened one already. As in the harness, a first word is read as the block's language: "def"
 * is lost where the answer begins with it.
 */
export const codeBlock = defineFilter<object>({
  help: 'the first code block of the answer, which the prompt has opened',
  options: {},
  apply: (answers) =>
    answers.map((answer) => {
      const [first] = findAll(BLOCK, FENCE + answer);
      if (first !== undefined) return String(first);
      const [second] = findAll(BLOCK, replaceAll(`${FENCE}python`, FENCE, answer));
      return second === undefined ? '' : String(second);
    }),
});
