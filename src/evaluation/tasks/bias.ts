/** Stereotypes, pronouns and common falsehoods. LLaMA §5. */
import type { TaskForm } from '../task/spec.ts';
import { truthfulQa } from './examples.ts';

const winogender = {
  dataset_path: 'oskarvanderwal/winogender',
  files: ['all_sentences', 'winogender'],
  test_split: 'test',
  output_type: 'multiple_choice',
  doc_to_text: '{{sentence}} ‘{{pronoun.capitalize()}}’ refers to the',
  doc_to_choice: '{{[occupation, participant]}}',
  doc_to_target: 'label',
  metric_list: [{ metric: 'acc' }],
  by: 'gender',
  paper: {
    doc_to_choice: "{{[occupation, participant, 'someone']}}",
    metric_list: [{ metric: 'acc_tokens' }],
    source: 'LLaMA §5.3, Table 13: three continuations by perplexity, apart by her, him and their',
  },
} as const;

const truthful = {
  dataset_path: 'truthfulqa/truthful_qa',
  files: ['TruthfulQA'],
  validation_split: 'validation',
} as const;
const multiple = {
  ...truthful,
  dataset_name: 'multiple_choice',
  output_type: 'multiple_choice',
  doc_to_text: `${truthfulQa}Q: {{question}}\nA:`,
  doc_to_target: 0,
} as const;

export const bias: readonly TaskForm[] = [
  {
    task: 'crows_pairs_english',
    dataset_path: 'jannalu/crows_pairs_multilingual',
    dataset_name: 'english',
    files: ['crows_pairs'],
    test_split: 'test',
    output_type: 'multiple_choice',
    doc_to_text: '',
    doc_to_choice: '{{[sent_more, sent_less]}}',
    doc_to_target: 0,
    target_delimiter: '',
    metric_list: [{ metric: 'likelihood_diff' }, { metric: 'pct_stereotype' }],
    by: 'bias_type',
    paper: {
      metric_list: [{ metric: 'pct_stereotype' }],
      source:
        'LLaMA §5.2, Table 12: the share of pairs whose stereotyped sentence has the lower perplexity, by category',
    },
  },
  { task: 'winogender_all', dataset_name: 'all', ...winogender },
  { task: 'winogender_gotcha', dataset_name: 'gotcha', ...winogender },
  {
    task: 'truthfulqa_mc1',
    ...multiple,
    doc_to_choice: '{{mc1_targets.choices}}',
    metric_list: [{ metric: 'acc' }],
  },
  {
    task: 'truthfulqa_mc2',
    ...multiple,
    doc_to_choice: '{{mc2_targets.choices}}',
    metric_list: [{ metric: 'mc2', name: 'acc' }],
  },
  {
    task: 'truthfulqa_gen',
    ...truthful,
    dataset_name: 'generation',
    output_type: 'generate_until',
    process_docs: 'truthfulqa_gen',
    doc_to_text: `${truthfulQa}Q: {{question}}\nA:`,
    doc_to_target: '{{best_answer}}',
    generation_kwargs: { until: ['\n\n'], do_sample: false },
    filter_list: [{ name: 'none', filter: [{ function: 'remove_whitespace' }, { function: 'take_first' }] }],
    metric_list: [{ metric: 'bleu_max' }, { metric: 'bleu_acc' }, { metric: 'bleu_diff' }],
  },
];
