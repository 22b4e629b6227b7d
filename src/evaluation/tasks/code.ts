/** Programs that must pass tests. The papers: LLaMA §3.5, Llama 2 A.2.2. */
import type { TaskForm } from '../task/spec.ts';
import { mbpp } from './examples.ts';

const stops = ['\nclass', '\ndef', '\n#', '\nif', '\nprint'] as const;
const humanEval = {
  dataset_path: 'openai/openai_humaneval',
  files: ['HumanEval'],
  test_split: 'test',
  output_type: 'generate_until',
  doc_to_text: '{{prompt}}',
  doc_to_target: '{{test}}\ncheck({{entry_point}})',
  generation_kwargs: { until: stops, max_gen_toks: 1024, do_sample: false },
  filter_list: [{ name: 'create_test', filter: [{ function: 'after_prompt' }] }],
  metric_list: [{ metric: 'pass@k', name: 'pass@1', k: 1 }],
} as const;
const drawn = (temperature: number) => ({ do_sample: true, temperature, top_p: 0.95 }) as const;

const tests = '{{test_list[0]}}\n{{test_list[1]}}\n{{test_list[2]}}';
const mbppTask = {
  dataset_path: 'google-research-datasets/mbpp',
  dataset_name: 'full',
  test_split: 'test',
  output_type: 'generate_until',
  target_delimiter: '',
  num_fewshot: 3,
  fewshot_config: { sampler: 'first_n', samples: mbpp },
  metric_list: [{ metric: 'pass@k', name: 'pass_at_1', k: 1 }],
} as const;
const mbppPlain = {
  ...mbppTask,
  doc_to_text: `You are an expert Python programmer, and here is your task: {{text}} Your code should pass these tests:\n\n${tests}\n[BEGIN]\n`,
  doc_to_target: `{% if is_fewshot is defined %}{{code}}\n[DONE]{% else %}${tests}{% endif %}`,
  generation_kwargs: { until: ['[DONE]'], do_sample: false },
} as const;
const SAMPLED = 'LLaMA §3.5: pass@1 at T 0.1; Llama 2 A.2.2: p 0.95';
const MANY = 'LLaMA §3.5: pass@100 and pass@80 at T 0.8; Chen et al. 2021: 200 samples';

export const code: readonly TaskForm[] = [
  {
    task: 'humaneval',
    ...humanEval,
    paper: { generation_kwargs: { until: stops, max_gen_toks: 1024, ...drawn(0.1) }, source: SAMPLED },
  },
  {
    task: 'humaneval_instruct',
    ...humanEval,
    doc_to_text:
      'Write a solution to the following problem and make sure that it passes the tests:\n```python\n{{prompt}}\n```\n',
    gen_prefix: 'Here is the completed function:\n```python\n{{prompt}}\n',
    filter_list: [{ name: 'create_test', filter: [{ function: 'after_prompt_to_fence' }] }],
  },
  {
    task: 'humaneval_pass_at_100',
    ...humanEval,
    repeats: 200,
    generation_kwargs: { until: stops, max_gen_toks: 1024, ...drawn(0.8) },
    metric_list: [{ metric: 'pass@k', name: 'pass@100', k: 100 }],
    paper: { source: MANY },
  },
  {
    task: 'mbpp',
    ...mbppPlain,
    paper: { generation_kwargs: { until: ['[DONE]'], ...drawn(0.1) }, source: SAMPLED },
  },
  {
    task: 'mbpp_instruct',
    ...mbppTask,
    doc_to_text: `You are an expert Python programmer, and here is your task:\n{{text}}\nYour code should pass these tests:\n${tests}`,
    doc_to_target: `{% if is_fewshot is defined %}{{code}}\n\`\`\`{% else %}${tests}{% endif %}`,
    gen_prefix: '\n```python\n',
    generation_kwargs: { until: [], max_gen_toks: 256, do_sample: false },
    filter_list: [{ name: 'extract_code', filter: [{ function: 'code_block' }] }],
  },
  {
    task: 'mbpp_pass_at_80',
    ...mbppPlain,
    repeats: 200,
    generation_kwargs: { until: ['[DONE]'], ...drawn(0.8) },
    filter_list: [{ name: 'all', filter: [{ function: 'take_first_k', k: 200 }] }],
    metric_list: [{ metric: 'pass@k', name: 'pass@80', k: 80 }],
    paper: { source: MANY },
  },
];
