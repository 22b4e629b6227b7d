/** MMLU's 57 subjects, and AGIEval's English ones. */
import type { TaskForm } from '../task/spec.ts';

export const mmluCategories = {
  stem: [
    ...['abstract_algebra', 'anatomy', 'astronomy', 'college_biology', 'college_chemistry', 'college_computer_science'],
    ...['college_mathematics', 'college_physics', 'computer_security', 'conceptual_physics', 'electrical_engineering'],
    ...['elementary_mathematics', 'high_school_biology', 'high_school_chemistry', 'high_school_computer_science'],
    ...['high_school_mathematics', 'high_school_physics', 'high_school_statistics', 'machine_learning'],
  ],
  other: [
    ...[
      'business_ethics',
      'clinical_knowledge',
      'college_medicine',
      'global_facts',
      'human_aging',
      'management',
      'marketing',
    ],
    ...[
      'medical_genetics',
      'miscellaneous',
      'nutrition',
      'professional_accounting',
      'professional_medicine',
      'virology',
    ],
  ],
  social_sciences: [
    ...['econometrics', 'high_school_geography', 'high_school_government_and_politics', 'high_school_macroeconomics'],
    ...['high_school_microeconomics', 'high_school_psychology', 'human_sexuality', 'professional_psychology'],
    ...['public_relations', 'security_studies', 'sociology', 'us_foreign_policy'],
  ],
  humanities: [
    ...['formal_logic', 'high_school_european_history', 'high_school_us_history', 'high_school_world_history'],
    ...['international_law', 'jurisprudence', 'logical_fallacies', 'moral_disputes', 'moral_scenarios', 'philosophy'],
    ...['prehistory', 'professional_law', 'world_religions'],
  ],
} as const;

const letters = 'A. {{choices[0]}}\nB. {{choices[1]}}\nC. {{choices[2]}}\nD. {{choices[3]}}\nAnswer:';
const about = 'The following are multiple choice questions (with answers) about';

const mmlu = (subject: string): TaskForm => ({
  task: `mmlu_${subject}`,
  dataset_path: 'cais/mmlu',
  dataset_name: subject,
  files: [subject],
  only: { subject },
  test_split: 'test',
  fewshot_split: 'dev',
  fewshot_config: { sampler: 'first_n' },
  output_type: 'multiple_choice',
  description: `${about} ${subject.replaceAll('_', ' ')}.\n\n`,
  doc_to_text: `{{question.strip()}}\n${letters}`,
  doc_to_choice: ['A', 'B', 'C', 'D'],
  doc_to_target: 'answer',
  metric_list: [{ metric: 'acc' }],
  paper: {
    description: `${about}  ${subject.replaceAll('_', ' ')}.\n\n`,
    doc_to_text: `{{question}}\n${letters}`,
    num_fewshot: 5,
    drop_examples: true,
    source:
      "LLaMA §3.6: 5 shots; prompts of the benchmark's own script (two spaces, examples dropped until the prompt fits)",
  },
});

/** Those that Llama 2 reports, in its Table 24. */
const reportedSubjects = [
  ...['aqua-rat', 'logiqa-en', 'lsat-ar', 'lsat-lr', 'lsat-rc', 'sat-en', 'sat-en-without-passage', 'sat-math'],
] as const;

const agiEval = (subject: string): TaskForm => ({
  task: `agieval_${subject.replaceAll('-', '_')}`,
  dataset_path: `hails/agieval-${subject}`,
  files: [`agieval-${subject}`, subject],
  test_split: 'test',
  output_type: 'multiple_choice',
  doc_to_text: '{{query}}',
  doc_to_choice: 'choices',
  doc_to_target: 'gold',
  metric_list: [{ metric: 'acc' }, { metric: 'acc_norm' }],
});
const agiEvalTasks: readonly TaskForm[] = [
  ...reportedSubjects.map((subject) => ({
    ...agiEval(subject),
    paper: {
      num_fewshot: 3,
      metric_list: [{ metric: 'acc' }],
      source: 'Llama 2 §2.3: 3 to 5 shots, English only',
    } as const,
  })),
  agiEval('gaokao-english'),
  {
    task: 'agieval_math',
    dataset_path: 'hails/agieval-math',
    files: ['agieval-math'],
    test_split: 'test',
    output_type: 'generate_until',
    doc_to_text: '{{query}}',
    doc_to_target: '{{answer}}',
    generation_kwargs: { until: ['Q:'], max_gen_toks: 1024, do_sample: false, temperature: 0 },
    metric_list: [{ metric: 'agieval_math', name: 'acc' }],
  },
];
export const agiEvalNames: readonly string[] = agiEvalTasks.map(({ task }) => task);

export const knowledge: readonly TaskForm[] = [
  ...Object.values(mmluCategories).flatMap((subjects) => subjects.map(mmlu)),
  ...agiEvalTasks,
];
