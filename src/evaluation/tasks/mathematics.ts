/** Word problems and MATH. The papers: LLaMA §3.4 ("the same set-up as Minerva"), Minerva §2.3 and §2.4, Llama 2 §2.3. */
import type { TaskForm } from '../task/spec.ts';
import { chainOfThought, minerva } from './examples.ts';

const greedy = { do_sample: false, temperature: 0 } as const;
const numbers = {
  metric: 'exact_match',
  ignore_case: true,
  ignore_punctuation: false,
  regexes_to_ignore: [',', '\\$', '(?s).*#### ', '\\.$'],
} as const;
const flexible = {
  name: 'flexible-extract',
  filter: [
    { function: 'regex', group_select: -1, regex_pattern: '(-?[$0-9.,]{2,})|(-?[0-9]+)' },
    { function: 'take_first' },
  ],
} as const;

const gsm8k = {
  dataset_path: 'openai/gsm8k',
  dataset_name: 'main',
  files: ['gsm8k', 'grade_school_math'],
  test_split: 'test',
  output_type: 'generate_until',
  metric_list: [numbers],
} as const;
const cot = {
  ...gsm8k,
  doc_to_text: 'Q: {{question}}\nA:',
  doc_to_target: "{{answer.split('####')[-1].strip() if answer is defined else target}}",
  num_fewshot: 8,
  fewshot_config: { sampler: 'first_n', samples: chainOfThought },
} as const;
const chain = (pattern: string) => ({ function: 'regex', regex_pattern: pattern }) as const;
const STATED = 'The answer is (\\-?[0-9\\.\\,]+).';
const STATED_NUMBER = 'The answer is (\\-?[0-9\\.\\,]*[0-9]+)';
/** Minerva §2.4: several samples are drawn so. */
const nucleus = { do_sample: true, temperature: 0.6, top_p: 0.95, max_gen_toks: 512 } as const;

const gsm8kPaper = {
  doc_to_text: cot.doc_to_text,
  doc_to_target: cot.doc_to_target,
  num_fewshot: 8,
  fewshot_config: cot.fewshot_config,
  generation_kwargs: { until: ['Q:'], ...greedy, max_gen_toks: 512 },
  filter_list: [{ name: 'answer', filter: [chain(STATED_NUMBER), { function: 'take_first' }] }],
  source: 'LLaMA §3.4; Minerva §2.3: the chain-of-thought prompt of Wei et al., 8 shots, greedy',
} as const;

/** Subjects of MATH: the name in the harness, the data set's, and the column of the original files. */
const subjects = [
  ['algebra', 'algebra', 'Algebra'],
  ['counting_and_prob', 'counting_and_probability', 'Counting & Probability'],
  ['geometry', 'geometry', 'Geometry'],
  ['intermediate_algebra', 'intermediate_algebra', 'Intermediate Algebra'],
  ['num_theory', 'number_theory', 'Number Theory'],
  ['prealgebra', 'prealgebra', 'Prealgebra'],
  ['precalc', 'precalculus', 'Precalculus'],
] as const;

const math = (subject: (typeof subjects)[number]) =>
  ({
    dataset_path: 'EleutherAI/hendrycks_math',
    dataset_name: subject[1],
    files: ['math', 'hendrycks_math'],
    only: { type: subject[2] },
    training_split: 'train',
    test_split: 'test',
    output_type: 'generate_until',
    generation_kwargs: { until: ['Problem:'], ...greedy },
  }) as const;

const minervaTask = {
  process_docs: 'minerva_math',
  doc_to_text: 'Problem:\n{{problem}}\n\nSolution:',
  doc_to_target: '{{answer if few_shot is undefined else solution}}',
  num_fewshot: 4,
  fewshot_config: { sampler: 'first_n', samples: minerva },
  metric_list: [{ metric: 'minerva_math', name: 'exact_match' }],
} as const;
const minervaPaper = {
  generation_kwargs: { until: ['Problem:'], ...greedy, max_gen_toks: 512 },
  source: 'LLaMA §3.4; Minerva §2.3: 4 shots, greedy, at most 512 new tokens',
} as const;

export const mathematics: readonly TaskForm[] = [
  {
    task: 'gsm8k',
    ...gsm8k,
    training_split: 'train',
    fewshot_split: 'train',
    num_fewshot: 5,
    doc_to_text: 'Question: {{question}}\nAnswer:',
    doc_to_target: '{{answer}}',
    generation_kwargs: { until: ['Question:', '</s>', '<|im_end|>'], ...greedy },
    filter_list: [
      { name: 'strict-match', filter: [chain('#### (\\-?[0-9\\.\\,]+)'), { function: 'take_first' }] },
      flexible,
    ],
    paper: gsm8kPaper,
  },
  {
    task: 'gsm8k_cot',
    ...cot,
    generation_kwargs: { until: ['Q:', '</s>', '<|im_end|>'], do_sample: false },
    filter_list: [{ name: 'strict-match', filter: [chain(STATED), { function: 'take_first' }] }, flexible],
    paper: gsm8kPaper,
  },
  {
    task: 'gsm8k_cot_self_consistency',
    ...cot,
    repeats: 64,
    generation_kwargs: { until: ['Q:', '\n\n'], do_sample: true, temperature: 0.2 },
    filter_list: [
      { name: 'score-first', filter: [chain(STATED_NUMBER), { function: 'take_first' }] },
      {
        name: 'maj@64',
        filter: [chain(STATED_NUMBER), { function: 'majority_vote' }, { function: 'take_first' }],
      },
      {
        name: 'maj@8',
        filter: [
          { function: 'take_first_k', k: 8 },
          chain(STATED_NUMBER),
          { function: 'majority_vote' },
          { function: 'take_first' },
        ],
      },
    ],
    paper: {
      repeats: 100,
      generation_kwargs: { until: ['Q:'], ...nucleus },
      filter_list: [
        {
          name: 'maj1@100',
          filter: [chain(STATED_NUMBER), { function: 'majority_of_valid' }, { function: 'take_first' }],
        },
      ],
      source: 'LLaMA §3.4, Table 7: maj1@k with k = 100; Minerva §2.4: T 0.6, p 0.95',
    },
  },
  ...subjects.map(
    (subject): TaskForm => ({
      task: `hendrycks_math_${subject[0]}`,
      ...math(subject),
      process_docs: 'hendrycks_math',
      doc_to_text: 'Problem: {{problem}}\nAnswer:',
      doc_to_target: '{{answer}}',
      metric_list: [{ metric: 'hendrycks_math', name: 'exact_match' }],
    }),
  ),
  ...subjects.map(
    (subject): TaskForm => ({
      task: `minerva_math_${subject[0]}`,
      ...math(subject),
      ...minervaTask,
      paper: minervaPaper,
    }),
  ),
  ...subjects.map(
    (subject): TaskForm => ({
      task: `minerva_math_maj_${subject[0]}`,
      ...math(subject),
      ...minervaTask,
      repeats: 256,
      generation_kwargs: { until: ['Problem:'], ...nucleus },
      filter_list: [
        {
          name: 'maj1@256',
          filter: [{ function: 'minerva_answer' }, { function: 'majority_of_valid' }, { function: 'take_first' }],
        },
      ],
      metric_list: [{ metric: 'same_expression', name: 'exact_match' }],
      paper: { source: 'LLaMA §3.4, Table 7: maj1@k with k = 256; Minerva §2.4: T 0.6, p 0.95' },
    }),
  ),
];

export const mathSubjects = subjects.map(([name]) => name);
