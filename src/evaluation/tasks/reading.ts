/** Questions about a text. */
import type { TaskForm } from '../task/spec.ts';

const answerLine = { until: ['\n'], do_sample: false, max_gen_toks: 64 } as const;

export const reading: readonly TaskForm[] = [
  {
    task: 'race',
    dataset_path: 'EleutherAI/race',
    dataset_name: 'high',
    test_split: 'test',
    output_type: 'multiple_choice',
    process_docs: 'race',
    // A gap at the end of an earlier question is filled in.
    doc_to_text:
      "Article: {{article}}\n\n{% for past in earlier %}{% if past.question[-6:] == '  _  .' %}{{past.question[:-5]}}{{past.answer}}\n" +
      '{% else %}Question: {{past.question}}\nAnswer: {{past.answer}}\n{% endif %}{% endfor %}{{question}}',
    doc_to_choice: 'options',
    doc_to_target: 'gold',
    metric_list: [{ metric: 'acc' }],
    paper: {
      doc_to_text:
        'Article:\n{{article}}\n\n{% for past in earlier %}Q: {{past.question}}\n\nA: {{past.answer}}\n\n{% endfor %}Q: {{question}}\n\nA:',
      metric_list: [{ metric: 'acc_characters' }, { metric: 'acc_unconditional' }],
      source: 'LLaMA §3.3 (characters); GPT-3 normalises RACE by the unconditional probability',
    },
  },
  {
    task: 'squad',
    dataset_path: 'rajpurkar/squad',
    training_split: 'train',
    validation_split: 'validation',
    output_type: 'generate_until',
    process_docs: 'squad',
    doc_to_text: 'Title: {{title}}\n\nBackground: {{context}}\n\nQuestion: {{question}}\n\nAnswer:',
    doc_to_target: 'texts',
    generation_kwargs: answerLine,
    filter_list: [{ name: 'none', filter: [{ function: 'remove_whitespace' }, { function: 'take_first' }] }],
    metric_list: [{ metric: 'em' }, { metric: 'f1' }],
    paper: { source: 'Llama 2 §2.3: 0 shots, exact match; the prompt is not printed' },
  },
  {
    task: 'quac',
    dataset_path: 'allenai/quac',
    training_split: 'train',
    validation_split: 'validation',
    output_type: 'generate_until',
    process_docs: 'quac',
    doc_to_text:
      '{{title}}\n{{section_title}}\n{{context}}\n\n{% for past in earlier %}Q: {{past.question}}\n\nA: {{past.answer}}\n\n{% endfor %}Q: {{question}}\n\nA:',
    doc_to_target: 'texts',
    generation_kwargs: answerLine,
    filter_list: [{ name: 'none', filter: [{ function: 'remove_whitespace' }, { function: 'take_first' }] }],
    metric_list: [{ metric: 'quac_f1', name: 'f1' }],
    paper: { source: 'Llama 2 §2.3: 0 shots, F1; the prompt is not printed' },
  },
];
