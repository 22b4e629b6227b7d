import { deepStrictEqual, match, ok, strictEqual, throws } from 'node:assert/strict';
import { test } from 'node:test';
import { applyFilters } from '../filters/apply.ts';
import { builtInTasks, groups, leavesOf, tasksNamed } from '../tasks/table.ts';
import { parseTable } from './csv.ts';
import { prepareDocs } from './documents.ts';
import { ExampleDrawer } from './examples.ts';
import { documentsOf } from './layouts.ts';
import { askQuestion } from './prompt.ts';
import { parseTask, underRules, withDefaults } from './spec.ts';
import { renderValue } from './template.ts';

test('templates: columns as they are, single expressions as values, Python’s methods, and what is missing', () => {
  const value = (template: string, doc: Record<string, unknown>) => renderValue('doc_to_text', template, doc);
  strictEqual(value('label', { label: 1 }), 1);
  deepStrictEqual(value('{{choices.text}}', { choices: { text: ['a', 'b'] } }), ['a', 'b']);
  strictEqual(value('{{choices.label.index(key)}}', { choices: { label: ['A', 'B'] }, key: 'B' }), 1);
  strictEqual(value('Q: {{q.strip()}}\nA:\n', { q: ' x ' }), 'Q: x\nA:\n', 'the last line break stays');
  strictEqual(value("{{q | regex_replace('[0-9]', '#')}}", { q: 'a1' }), 'a#');
  strictEqual(value('{{ a if b is undefined else b }}', { a: 'x' }), 'x');
  strictEqual(value('{{q.capitalize()}}', { q: 'hE' }), 'He');
  throws(() => value('{{nope}} {{q}}', { q: 'x' }), {
    code: 'eval.template',
    message: /nope is not there.*The document has q/,
  });
  throws(() => value('{{q.nope}}', { q: { a: 1 } }), { message: /q\.nope is not there/ });
});

const mine = {
  task: 'mine',
  output_type: 'multiple_choice',
  doc_to_text: '{{q}}',
  doc_to_choice: ['no', 'yes'],
  doc_to_target: 'label',
  metric_list: [{ metric: 'acc' }],
};

test('a task file says all that is wrong with it at once', () => {
  strictEqual(parseTask('mine.yaml', mine).target_delimiter, ' ');
  const wrong = {
    task: 'mine',
    output_typ: 'multiple_choice',
    doc_to_text: 3,
    metric_list: [{ metric: 'acurracy' }],
    filter_list: [{ name: 'x', filter: [{ function: 'regexx' }] }],
    include: 'other.yaml',
  };
  throws(
    () => parseTask('mine.yaml', wrong),
    (error: Error) => {
      for (const words of [
        'include: other files are not read',
        'output_typ is not known (did you mean output_type?)',
        'output_type is required',
        'doc_to_text must be a text, got 3',
        'metric_list[0].metric must be one of',
        'filter_list[0].filter[0].function must be one of',
        'doc_to_target is required',
      ]) {
        ok(error.message.includes(words), `${words} in ${error.message}`);
      }
      return true;
    },
  );
  throws(() => parseTask('m', { ...mine, doc_to_choice: undefined }), { message: /doc_to_choice is required/ });
  throws(() => parseTask('m', { ...mine, metric_list: [{ metric: 'exact_match' }] }), {
    message: /exact_match judges generate_until/,
  });
  const withPaper = parseTask('m', { ...mine, paper: { source: 'here', doc_to_text: 'P {{q}}' } });
  strictEqual(underRules(withPaper, 'paper')!.doc_to_text, 'P {{q}}');
  strictEqual(underRules(withPaper, 'paper')!.num_fewshot, 0);
  strictEqual(underRules(parseTask('m', mine), 'paper'), null);
  throws(() => parseTask('m', { ...mine, paper: { source: 'x', metric_list: [{ metric: 'em' }] } }), {
    message: /paper\.metric_list: em judges/,
  });
});

test('a file in the harness’s form is read, notes and all', () => {
  const spec = parseTask('arc.yaml', {
    ...mine,
    tag: ['ai2_arc'],
    metadata: { version: 1.0 },
    should_decontaminate: true,
    doc_to_decontamination_query: 'x',
    generation_kwargs: { until: '\n' },
  });
  deepStrictEqual(spec.generation_kwargs!.until, ['\n']);
  ok(!('metadata' in spec));
});

test('questions: an answer that is no choice, and choices that are no list', () => {
  const spec = withDefaults(parseTask('m', mine));
  const ask = (label: unknown) => askQuestion(spec, { q: 'Q', label }, []);
  deepStrictEqual(ask(1), {
    kind: 'multiple_choice',
    requests: [
      { context: 'Q', continuation: ' no' },
      { context: 'Q', continuation: ' yes' },
    ],
    choices: ['no', 'yes'],
    continuations: ['no', 'yes'],
    gold: 1,
  });
  for (const label of [2, -1, 'maybe', null]) strictEqual((ask(label) as { gold: number }).gold, -1, String(label));
  strictEqual((ask('yes') as { gold: number }).gold, 1);
  throws(() => askQuestion({ ...spec, doc_to_choice: '{{q}}' }, { q: 'Q', label: 0 }, []), {
    code: 'eval.choices',
    message: /expected a list of texts, found "Q"/,
  });
});

test('examples: too few in the pool are said; the question itself is never shown', () => {
  const spec = withDefaults({ ...parseTask('m', mine), validation_split: 'v' });
  const pool = Array.from({ length: 4 }, (_, i) => ({ q: `q${i}`, label: i % 2 }));
  throws(() => new ExampleDrawer(spec, pool, 4), {
    code: 'eval.pool',
    message: /at least 5 examples to show 4.*found 4/,
  });
  const drawer = new ExampleDrawer(spec, pool, 3);
  for (const question of pool) {
    const { docs } = drawer.next(question);
    strictEqual(docs.length, 3);
    ok(!docs.includes(question));
  }
});

test('every built-in task can be named, and every group’s tasks are there', () => {
  for (const group of Object.keys(groups)) for (const leaf of leavesOf(group)) ok(builtInTasks.has(leaf), leaf);
  strictEqual(leavesOf('mmlu').length, 57);
  deepStrictEqual(tasksNamed('closed_book'), ['nq_open', 'triviaqa']);
  throws(() => tasksNamed('hellaswagg'), { code: 'eval.task-name', message: /Did you mean hellaswag/ });
  // What a file of one's own may say is what the built-in tasks say.
  for (const [name, spec] of builtInTasks) {
    const { paper, ...form } = spec;
    deepStrictEqual(parseTask(name, JSON.parse(JSON.stringify(spec))).metric_list.length, form.metric_list.length);
    ok(paper === undefined || paper.source !== '');
  }
});

test('published layouts become the hub’s columns', () => {
  const [arc] = documentsOf(
    [{ id: 'x', question: { stem: 'Q', choices: [{ text: 'a', label: '1' }] }, answerKey: '1' }],
    'arc_easy',
  );
  deepStrictEqual(arc, { id: 'x', question: 'Q', choices: { text: ['a'], label: ['1'] }, answerKey: '1' });
  const [boolq] = documentsOf([{ passage: 'P', question: 'q', title: 'T', answer: true }], 'boolq');
  deepStrictEqual(boolq, { passage: 'T -- P', question: 'q', label: 1 });
  const race = documentsOf(
    [
      { example_id: 'a', article: 'A', question_id: 2, question: 'two', options: ['x'], answer: 'A' },
      { example_id: 'a', article: 'A', question_id: 1, question: 'one', options: ['y'], answer: 'A' },
    ],
    'race',
  );
  strictEqual(race.length, 1);
  const [asked] = prepareDocs('race', race);
  deepStrictEqual([asked!.question, asked!.earlier], ['two', [{ question: 'one', answer: 'y' }]]);
  deepStrictEqual(
    documentsOf([{ sentid: 'clerk.someone.0.male.txt', sentence: 'The clerk said he left.' }], 'winogender_all'),
    [],
  );
  const paragraphs = [{ context: 'C', qas: [{ id: 1, question: 'q', answers: [{ text: 'a' }, { text: 'a' }] }] }];
  deepStrictEqual(prepareDocs('squad', [{ title: 'T', paragraphs }]), [
    { id: 1, question: 'q', answers: [{ text: 'a' }, { text: 'a' }], context: 'C', title: 'T', texts: ['a'] },
  ]);
});

test('BIG-Bench Hard: items, and examples with their reasoning or their answers alone, from the files as they are published', () => {
  const items = documentsOf([{ canary: 'c', examples: [{ input: 'What is it?', target: 'No' }] }], 'bbh');
  deepStrictEqual(items, [{ input: 'What is it?', target: 'No' }]);
  const shot = (name: string, answer: string) =>
    `Q: Is ${name} round?\nOptions:\n- Yes\n- No\nA: Let's think step by step.\nI look at ${name}. So the answer is ${answer}.`;
  const text = `a note\n-----\nSay what is round.\n\nIn two parts.\n\n${[shot('one', 'No'), shot('two', 'Yes'), shot('three', '(A) 3')].join('\n\n')}`;
  const examples = documentsOf([{ text }], 'bbh');
  deepStrictEqual(examples[2], {
    input: 'Is three round?\nOptions:\n- Yes\n- No',
    reasoning: 'I look at three. So the answer is (A) 3.',
    target: '(A) 3',
  });
  const asked = (task: string) => {
    const spec = builtInTasks.get(task)!;
    const drawn = new ExampleDrawer(spec, examples, 3).next(items[0]!);
    return askQuestion(spec, items[0]!, drawn.docs);
  };
  deepStrictEqual(asked('bbh_cot_fewshot_navigate'), {
    kind: 'generate_until',
    context:
      'Given a series of navigation instructions, determine whether one would end up back at the starting point.\n\n' +
      `${shot('one', 'No')}\n\n${shot('two', 'Yes')}\n\n${shot('three', '(A) 3')}\n\nQ: What is it?\nA: Let's think step by step.\n`,
    target: 'No',
  });
  const direct = asked('bbh_fewshot_navigate') as { context: string };
  ok(direct.context.endsWith('Is three round?\nOptions:\n- Yes\n- No\nA: (A) 3\n\nQ: What is it?\nA:'), direct.context);
  throws(() => documentsOf([{ text: text.replace('answer is Yes', 'answer: Yes') }], 'bbh'), {
    code: 'eval.data',
    message: /after "Is two round/,
  });
  // Ends of lines at the end of the file belong to no example.
  deepStrictEqual(documentsOf([{ text: `${text}\n` }], 'bbh'), examples);
  // The harness's file of prompts with reasoning has doubled apostrophes in two descriptions, and the other has not.
  const described = (task: string) => builtInTasks.get(task)!.description;
  strictEqual(
    described('bbh_cot_fewshot_ruin_names'),
    "Select the humorous edit that ''ruins'' the input movie or musical artist name.\n\n",
  );
  strictEqual(
    described('bbh_fewshot_ruin_names'),
    "Select the humorous edit that 'ruins' the input movie or musical artist name.\n\n",
  );
  match(
    described('bbh_cot_fewshot_snarks'),
    /^Determine which of two sentences is sarcastic\.\n\n\nAccording .* sarcasm is ''the use of remarks .* hurt someone''s feelings .* humorous way\.'' Sarcastic sentences .* remarks\.\n\n$/,
  );
  match(described('bbh_fewshot_snarks'), /sarcastic\.\n\nAccording .* is "the use .* someone's feelings .* way\." S/);
  strictEqual(
    underRules(builtInTasks.get('bbh_cot_fewshot_snarks')!, 'paper')!.description,
    described('bbh_fewshot_snarks'),
  );
  const [plain] = underRules(builtInTasks.get('bbh_fewshot_navigate')!, 'paper')!.filter_list!;
  strictEqual(applyFilters(plain!.filter, [' Yes\n'], {}), 'Yes');
  const { filter_list } = builtInTasks.get('bbh_cot_fewshot_snarks')!;
  strictEqual(applyFilters(filter_list![0]!.filter, ['So the answer is (B). More'], {}), '(B). Mor');
});

test('tables', () => {
  deepStrictEqual(parseTable('a,"b ""x"", c"\r\nd,"e\nf"\n', ','), [
    ['a', 'b "x", c'],
    ['d', 'e\nf'],
  ]);
  deepStrictEqual(parseTable('\uFEFFa\t"b\n', '\t'), [['a', '"b']]);
});
