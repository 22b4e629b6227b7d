/** What the papers report of their models, in per cent, by task and size: to be read beside a model of that size. */

export const publishedSizes = {
  '7B': 6.7e9,
  '13B': 13.0e9,
  '33B': 32.5e9,
  '34B': 34e9,
  '65B': 65.2e9,
  '70B': 69e9,
} as const;
export type PublishedSize = keyof typeof publishedSizes;

interface PublishedTable {
  readonly model: 'LLaMA' | 'Llama 2';
  readonly where: string;
  readonly sizes: readonly PublishedSize[];
  /** By task, and by task@shots where the paper reports several numbers of shots. */
  readonly scores: Readonly<Record<string, readonly number[]>>;
}

const llama = ['7B', '13B', '33B', '65B'] as const;
const llama2 = ['7B', '13B', '34B', '70B'] as const;

/** Source   LLaMA, arXiv:2302.13971; Llama 2, arXiv:2307.09288. */
export const published: readonly PublishedTable[] = [
  {
    model: 'LLaMA',
    where: 'Tables 3 to 9 and 13',
    sizes: llama,
    scores: {
      boolq: [76.5, 78.1, 83.1, 85.3],
      piqa: [79.8, 80.1, 82.3, 82.8],
      social_iqa: [48.9, 50.4, 50.4, 52.3],
      hellaswag: [76.1, 79.2, 82.8, 84.2],
      winogrande: [70.1, 73.0, 76.0, 77.0],
      arc_easy: [72.8, 74.8, 80.0, 78.9],
      arc_challenge: [47.6, 52.7, 57.8, 56.0],
      openbookqa: [57.2, 56.4, 58.6, 60.2],
      'nq_open@0': [16.8, 20.1, 24.9, 23.8],
      'nq_open@1': [18.7, 23.4, 28.3, 31.0],
      'nq_open@5': [22.0, 28.1, 32.9, 35.0],
      'nq_open@64': [26.1, 31.9, 36.0, 39.9],
      'triviaqa@0': [50.0, 56.6, 65.1, 68.2],
      'triviaqa@1': [53.4, 60.5, 67.9, 71.6],
      'triviaqa@5': [56.3, 63.1, 69.9, 72.6],
      'triviaqa@64': [57.6, 64.0, 70.4, 73.0],
      race: [46.9, 47.2, 48.3, 51.6],
      gsm8k: [11.0, 17.8, 35.6, 50.9],
      gsm8k_cot: [11.0, 17.8, 35.6, 50.9],
      gsm8k_cot_self_consistency: [18.1, 29.3, 53.1, 69.7],
      minerva_math: [2.9, 3.9, 7.1, 10.6],
      minerva_math_maj: [6.9, 8.8, 15.2, 20.5],
      humaneval: [10.5, 15.8, 21.7, 23.7],
      humaneval_pass_at_100: [36.5, 52.5, 70.7, 79.3],
      mbpp: [17.7, 22.0, 30.2, 37.7],
      mbpp_pass_at_80: [56.2, 64.0, 73.4, 76.8],
      mmlu: [35.1, 46.9, 57.8, 63.4],
      mmlu_humanities: [34.0, 45.0, 55.8, 61.8],
      mmlu_stem: [30.5, 35.8, 46.0, 51.7],
      mmlu_social_sciences: [38.3, 53.8, 66.7, 72.9],
      mmlu_other: [38.1, 53.3, 63.4, 67.4],
      winogender_all: [66.0, 64.7, 69.0, 77.5],
    },
  },
  {
    model: 'Llama 2',
    where: 'Tables 3 and 19 to 25',
    sizes: llama2,
    scores: {
      boolq: [77.4, 81.7, 83.7, 85.0],
      piqa: [78.8, 80.5, 81.9, 82.8],
      social_iqa: [48.3, 50.3, 50.9, 50.7],
      hellaswag: [77.2, 80.7, 83.3, 85.3],
      winogrande: [69.2, 72.8, 76.7, 80.2],
      arc_easy: [75.2, 77.3, 79.4, 80.2],
      arc_challenge: [45.9, 49.4, 54.5, 57.4],
      openbookqa: [58.6, 57.0, 58.2, 60.2],
      commonsense_qa: [57.8, 67.3, 74.3, 78.5],
      'nq_open@0': [16.4, 16.1, 25.1, 25.3],
      'nq_open@1': [22.7, 28.0, 30.0, 33.0],
      'nq_open@5': [25.7, 31.2, 32.8, 39.5],
      'squad@0': [67.2, 72.9, 77.4, 80.7],
      gsm8k: [14.6, 28.7, 42.2, 56.8],
      gsm8k_cot: [14.6, 28.7, 42.2, 56.8],
      minerva_math: [2.5, 3.9, 6.2, 13.5],
      humaneval: [12.8, 18.3, 22.6, 29.9],
      humaneval_pass_at_100: [45.6, 60.2, 77.2, 89.0],
      mbpp: [20.8, 30.6, 33.0, 45.0],
      mmlu: [45.3, 54.8, 62.6, 68.9],
      mmlu_humanities: [42.9, 52.8, 59.4, 65.0],
      mmlu_stem: [36.4, 44.1, 52.1, 58.0],
      mmlu_social_sciences: [51.2, 62.6, 71.8, 80.3],
      mmlu_other: [52.2, 61.1, 69.2, 74.6],
      bbh_fewshot: [32.6, 39.4, 44.1, 51.2],
      bbh_cot_fewshot: [32.6, 39.4, 44.1, 51.2],
      agieval_aqua_rat: [23.2, 21.7, 19.3, 23.2],
      agieval_logiqa_en: [31.0, 38.1, 40.7, 48.8],
      agieval_lsat_ar: [23.9, 23.0, 21.3, 25.7],
      agieval_lsat_lr: [22.4, 41.0, 47.5, 70.2],
      agieval_lsat_rc: [32.7, 54.6, 62.1, 76.6],
      agieval_sat_en: [43.2, 62.1, 77.2, 86.9],
      agieval_sat_en_without_passage: [37.4, 46.1, 49.0, 53.4],
      agieval_sat_math: [28.2, 27.3, 32.7, 41.8],
    },
  },
  {
    model: 'LLaMA',
    where: 'as measured in Llama 2, Tables 3, 20, 23 and 24',
    sizes: llama,
    scores: {
      commonsense_qa: [33.6, 62.0, 72.5, 74.0],
      'squad@0': [60.0, 68.9, 75.5, 79.4],
      bbh_fewshot: [30.3, 37.0, 39.8, 43.5],
      bbh_cot_fewshot: [30.3, 37.0, 39.8, 43.5],
      agieval_aqua_rat: [18.9, 20.1, 18.9, 23.6],
      agieval_logiqa_en: [24.6, 34.9, 37.3, 42.1],
      agieval_lsat_ar: [26.1, 22.2, 18.7, 23.9],
      agieval_lsat_lr: [19.2, 31.6, 48.0, 56.7],
      agieval_lsat_rc: [21.9, 39.8, 59.5, 63.6],
      agieval_sat_en: [33.0, 52.9, 74.8, 83.0],
      agieval_sat_en_without_passage: [32.5, 45.1, 44.7, 48.1],
      agieval_sat_math: [22.3, 29.5, 35.0, 41.8],
    },
  },
];

export interface PublishedScore {
  readonly model: string;
  readonly percent: number;
}

/** A size counts as the paper's when it is at most this much off. */
const TOLERANCE = 0.1;

/** What the papers report for a task, of models as large as this one. */
export function publishedScores(task: string, shots: number, parameters: number): PublishedScore[] {
  return published.flatMap(({ model, sizes, scores }) => {
    const row = scores[`${task}@${shots}`] ?? scores[task];
    if (!row) return [];
    return sizes.flatMap((size, i) => {
      const near = Math.abs(parameters / publishedSizes[size] - 1) <= TOLERANCE;
      return near ? [{ model: `${model} ${size}`, percent: row[i]! }] : [];
    });
  });
}
