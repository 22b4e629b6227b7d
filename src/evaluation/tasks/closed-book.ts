/** Questions without a text. The papers' rules: LLaMA, arXiv:2302.13971 §3.2 and Appendix A. */
import type { TaskForm } from '../task/spec.ts';

const filters = [
  { name: 'remove_whitespace', filter: [{ function: 'remove_whitespace' }, { function: 'take_first' }] },
] as const;
const generation_kwargs = { until: ['\n', '.', ','], do_sample: false, temperature: 0 } as const;

/** One line break after the first line and between examples; articles are taken out; a dot ends an answer only as its last character. */
const paper = {
  description: 'Answer these questions:\n',
  doc_to_text: 'Q: {{question}}\nA:',
  fewshot_delimiter: '\n',
  num_fewshot: 5,
  generation_kwargs: { until: ['\n'], do_sample: false, max_gen_toks: 64 },
  filter_list: [{ name: 'closed-book', filter: [{ function: 'closed_book' }, { function: 'take_first' }] }],
  metric_list: [{ metric: 'em', name: 'exact_match' }],
  source: 'LLaMA §3.2 and Appendix A; 0, 1, 5 and 64 shots',
} as const;

export const closedBook: readonly TaskForm[] = [
  {
    task: 'nq_open',
    dataset_path: 'google-research-datasets/nq_open',
    training_split: 'train',
    validation_split: 'validation',
    files: ['NQ-open'],
    output_type: 'generate_until',
    description: 'Answer these questions:\n\n',
    doc_to_text: 'Q: {{question}}?\nA:',
    doc_to_target: '{{answer}}',
    fewshot_delimiter: '\n',
    generation_kwargs,
    filter_list: filters,
    metric_list: [
      {
        metric: 'exact_match',
        ignore_case: true,
        ignore_punctuation: true,
        regexes_to_ignore: ['\\b(?:The |the |An |A |The |a |an )'],
      },
    ],
    paper,
  },
  {
    task: 'triviaqa',
    dataset_path: 'mandarjoshi/trivia_qa',
    dataset_name: 'rc.nocontext',
    training_split: 'train',
    validation_split: 'validation',
    output_type: 'generate_until',
    doc_to_text: 'Question: {{question}}?\nAnswer:',
    doc_to_target: '{{answer.aliases}}',
    generation_kwargs,
    filter_list: filters,
    metric_list: [{ metric: 'exact_match', ignore_case: true, ignore_punctuation: true }],
    paper: { ...paper, doc_to_target: '{{ [answer.value] + answer.aliases }}' },
  },
];
