/**
 * Common sense by multiple choice. Prompts of the papers' rules: Brown et al. 2020, arXiv:2005.14165, Appendix G, which Meta's authors named
 * as theirs; scores: LLaMA, arXiv:2302.13971 §3.
 */
import type { TaskForm } from '../task/spec.ts';

const SOURCE = 'LLaMA §3; prompts of GPT-3, Appendix G';
const both = [{ metric: 'acc' }, { metric: 'acc_norm' }] as const;
const choiceOf = { output_type: 'multiple_choice' } as const;
const trained = { training_split: 'train', validation_split: 'validation' } as const;
const characters = { metric_list: [{ metric: 'acc_characters' }], source: SOURCE } as const;
const unconditional = { metric_list: [{ metric: 'acc_unconditional' }], source: SOURCE } as const;

const arc = {
  ...choiceOf,
  ...trained,
  test_split: 'test',
  dataset_path: 'allenai/ai2_arc',
  doc_to_text: 'Question: {{question}}\nAnswer:',
  doc_to_choice: '{{choices.text}}',
  doc_to_target: '{{choices.label.index(answerKey)}}',
  metric_list: both,
  paper: characters,
} as const;

export const commonSense: readonly TaskForm[] = [
  {
    task: 'boolq',
    ...choiceOf,
    ...trained,
    dataset_path: 'aps/super_glue',
    dataset_name: 'boolq',
    doc_to_text: '{{passage}}\nQuestion: {{question}}?\nAnswer:',
    doc_to_choice: ['no', 'yes'],
    doc_to_target: 'label',
    metric_list: [{ metric: 'acc' }],
    paper: { ...unconditional, doc_to_text: '{{passage}}\nquestion: {{question}}?\nanswer:' },
  },
  {
    task: 'piqa',
    ...choiceOf,
    ...trained,
    dataset_path: 'baber/piqa',
    doc_to_text: 'Question: {{goal}}\nAnswer:',
    doc_to_choice: '{{[sol1, sol2]}}',
    doc_to_target: 'label',
    metric_list: both,
    paper: { ...characters, doc_to_text: '{{goal}}' },
  },
  {
    task: 'social_iqa',
    ...choiceOf,
    ...trained,
    dataset_path: 'allenai/social_i_qa',
    files: ['socialiqa', 'siqa'],
    doc_to_text: 'Q: {{context}} {{question}}\nA:',
    doc_to_choice: '{{[answerA, answerB, answerC]}}',
    doc_to_target: '{{ (label|int) - 1 }}',
    metric_list: [{ metric: 'acc' }],
    // GPT-3 did not use it, so that its prompt is not known; the harness's stands in.
    paper: characters,
  },
  {
    task: 'hellaswag',
    ...choiceOf,
    ...trained,
    dataset_path: 'Rowan/hellaswag',
    process_docs: 'hellaswag',
    doc_to_text: '{{query}}',
    doc_to_choice: 'choices',
    doc_to_target: 'gold',
    metric_list: both,
    paper: characters,
  },
  {
    task: 'winogrande',
    ...choiceOf,
    ...trained,
    dataset_path: 'allenai/winogrande',
    dataset_name: 'winogrande_xl',
    // The sentence up to the blank with either name in it is the context; what is scored is the rest, after the one and the other.
    doc_to_text: '{{ (answer|int) - 1 }}',
    doc_to_choice: "{{ [sentence.split('_', 1)[0] ~ option1, sentence.split('_', 1)[0] ~ option2] }}",
    doc_to_target: "{{ sentence.split('_', 1)[1].strip() }}",
    metric_list: [{ metric: 'acc' }],
    paper: characters,
  },
  { task: 'arc_easy', dataset_name: 'ARC-Easy', ...arc },
  { task: 'arc_challenge', dataset_name: 'ARC-Challenge', ...arc },
  {
    task: 'openbookqa',
    ...choiceOf,
    ...trained,
    test_split: 'test',
    dataset_path: 'allenai/openbookqa',
    dataset_name: 'main',
    doc_to_text: 'question_stem',
    doc_to_choice: '{{choices.text}}',
    doc_to_target: '{{choices.label.index(answerKey)}}',
    metric_list: both,
    paper: unconditional,
  },
  {
    task: 'commonsense_qa',
    ...choiceOf,
    ...trained,
    dataset_path: 'tau/commonsense_qa',
    files: ['csqa', 'commonsenseqa'],
    doc_to_text:
      'Question: {{question}}\n{% for text in choices.text %}{{choices.label[loop.index0]}}. {{text}}\n{% endfor %}Answer:',
    doc_to_choice: '{{choices.label}}',
    doc_to_target: 'answerKey',
    metric_list: [{ metric: 'acc' }],
    paper: { metric_list: [{ metric: 'acc' }], num_fewshot: 7, source: 'Llama 2 §2.3: 7 shots' },
  },
];
