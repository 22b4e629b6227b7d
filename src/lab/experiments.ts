/**
 * The one table of the lab: what is compared with LLaMA's choices, what its source says of it, and what may be expected of so small
 * a model. Every arm is the baseline (RMSNorm before each layer, rotary positions, SwiGLU, a key head for every query head, AdamW)
 * but for what stands here.
 */
import type { LlamaConfig } from '../model/config.ts';

export interface ArmChanges {
  readonly norm?: LlamaConfig['norm'];
  readonly normPlacement?: LlamaConfig['normPlacement'];
  readonly qkNorm?: LlamaConfig['qkNorm'];
  readonly positions?: LlamaConfig['positions'];
  readonly activation?: LlamaConfig['activation'];
  /** Key and value heads: as many as √H, or one for all query heads. */
  readonly kvHeads?: 'root' | 'one';
  /** Feed-forward width in widths of the model; absent: what makes the parameters equal. */
  readonly ffnWidths?: number;
  readonly warmup?: false;
  readonly optimizer?: {
    readonly betas?: readonly [number, number];
    readonly weightDecay?: number;
    readonly matrices?: 'muon';
  };
  /** The norm that gradients are scaled down to; null: never. Absent: 1. */
  readonly clip?: number | null;
}

/** What an arm has as much of as the baseline, beside the data it sees. */
export type Match = 'parameters' | 'tokens' | 'flops';

export interface Arm {
  readonly name: string;
  readonly changes: ArmChanges;
  /** 'parameters' (within 1 %) and equal tokens, unless this says otherwise. */
  readonly match?: Match;
  /** What the source expects of the loss beside the baseline's; null: it makes no claim. */
  readonly expected: 'worse' | 'equal' | 'better' | null;
}

export interface Experiment {
  readonly name: string;
  readonly question: string;
  readonly claim: string;
  readonly source: string;
  readonly arms: readonly Arm[];
}

export const experiments: readonly Experiment[] = [
  {
    name: 'norm',
    question: 'Why RMSNorm?',
    claim:
      'RMSNorm is as good as LayerNorm and takes 7 to 64 % less time in their models; BatchNorm is clearly worse in language, where the statistics of batches fluctuate.',
    source: 'Zhang & Sennrich 2019, arXiv:1910.07467; Shen et al. 2020, arXiv:2003.07845',
    arms: [
      { name: 'LayerNorm', changes: { norm: 'layer' }, expected: 'equal' },
      { name: 'BatchNorm', changes: { norm: 'batch' }, expected: 'worse' },
    ],
  },
  {
    name: 'placement',
    question: 'Why is the norm before each layer, not after?',
    claim: 'A norm after each layer needs warm-up of the learning rate; a norm before each layer does not.',
    source: 'Xiong et al. 2020, arXiv:2002.04745',
    arms: [
      { name: 'norm after', changes: { normPlacement: 'after' }, expected: 'equal' },
      { name: 'norm after, no warm-up', changes: { normPlacement: 'after', warmup: false }, expected: 'worse' },
      { name: 'norm before, no warm-up', changes: { warmup: false }, expected: 'equal' },
    ],
  },
  {
    name: 'scores',
    question: 'Do queries and keys need norms of their own?',
    claim:
      'Norms of queries and keys keep the scores of attention from growing, which lets larger models train at rates where others diverge; at a good rate the loss is about the same.',
    source: 'Dehghani et al. 2023, arXiv:2302.05442 §2; Wortsman et al. 2023, arXiv:2309.14322 §3.1',
    arms: [{ name: 'norms of queries and keys', changes: { qkNorm: 'head' }, expected: 'equal' }],
  },
  {
    name: 'positions',
    question: 'Why rotary positions?',
    claim:
      'Models with rotary positions converge faster than with absolute ones; without any positions a causal model stays competitive.',
    source: 'Su et al. 2021, arXiv:2104.09864; Haviv et al. 2022, arXiv:2203.16634',
    arms: [
      { name: 'learned positions', changes: { positions: 'learned' }, expected: 'worse' },
      { name: 'sinusoidal positions', changes: { positions: 'sinusoidal' }, expected: 'worse' },
      { name: 'no positions', changes: { positions: 'none' }, expected: 'worse' },
    ],
  },
  {
    name: 'activation',
    question: 'Why SwiGLU?',
    claim:
      'Log-perplexity after 65,536 steps: ReLU 1.997, GELU 1.983, SwiGLU 1.944, GEGLU 1.942, with equal parameters.',
    source: 'Shazeer 2020, arXiv:2002.05202, table 1',
    arms: [
      { name: 'ReLU', changes: { activation: 'relu' }, expected: 'worse' },
      { name: 'GELU', changes: { activation: 'gelu' }, expected: 'worse' },
      { name: 'GEGLU', changes: { activation: 'geglu' }, expected: 'equal' },
    ],
  },
  {
    name: 'heads',
    question: 'What do fewer key and value heads cost?',
    claim:
      'Grouped queries come close to a key head for each query head (47.1 and 47.2 on average), one key head for all costs a little (46.6). As in Llama 2 A.2.1, the feed-forward layer gets the parameters that the heads lose.',
    source: 'Ainslie et al. 2023, arXiv:2305.13245, table 1; Touvron et al. 2023, arXiv:2307.09288, A.2.1',
    arms: [
      { name: '√H key heads', changes: { kvHeads: 'root' }, expected: 'equal' },
      { name: 'one key head', changes: { kvHeads: 'one' }, expected: 'worse' },
    ],
  },
  {
    name: 'width',
    question: 'Why is the feed-forward layer 8/3 as wide as the model?',
    claim:
      'LLaMA takes 2/3 · 4 of the width, so that three matrices have the parameters of two; PaLM takes 4 of the width.',
    source: 'Touvron et al. 2023, arXiv:2302.13971 §2.2; Chowdhery et al. 2022, arXiv:2204.02311 §2',
    arms: [
      { name: '4 widths, equal tokens', changes: { ffnWidths: 4 }, match: 'tokens', expected: 'better' },
      { name: '4 widths, equal FLOPs', changes: { ffnWidths: 4 }, match: 'flops', expected: 'equal' },
    ],
  },
  {
    name: 'blocks',
    question: 'What is it worth in all?',
    claim:
      'LLaMA’s block is the sum of the choices above. Of forty changes to the Transformer few survived a fair comparison, gated units and RMSNorm among them.',
    source: 'Radford et al. 2019 (GPT-2); Vaswani et al. 2017, arXiv:1706.03762; Narang et al. 2021, arXiv:2102.11972',
    arms: [
      {
        name: 'GPT-2’s block',
        changes: { norm: 'layer', positions: 'learned', activation: 'gelu' },
        expected: 'worse',
      },
      {
        name: 'the original Transformer’s block',
        changes: { norm: 'layer', normPlacement: 'after', positions: 'sinusoidal', activation: 'relu' },
        expected: 'worse',
      },
    ],
  },
  {
    name: 'optimizer',
    question: 'Why these settings of AdamW?',
    claim:
      'The papers say β₂ 0.95, decay 0.1 and clipping at 1 without a comparison. Muon, newer, moves the matrices of the blocks by orthogonalized momentum.',
    source: 'Touvron et al. 2023, arXiv:2302.13971 §2.3; Jordan et al. 2024 (Muon)',
    arms: [
      { name: 'β₂ 0.999', changes: { optimizer: { betas: [0.9, 0.999] } }, expected: null },
      { name: 'no weight decay', changes: { optimizer: { weightDecay: 0 } }, expected: null },
      { name: 'no clipping', changes: { clip: null }, expected: null },
      { name: 'Muon', changes: { optimizer: { matrices: 'muon' } }, expected: 'better' },
    ],
  },
];

export const baseline: Arm = { name: 'LLaMA', changes: {}, expected: null };

/** The arms of --quick. */
export const quickArms: readonly string[] = ['LayerNorm', 'learned positions', 'ReLU', 'GPT-2’s block'];

/** What the rate valley varies: factors of the derived learning rate and of the batch, at equal tokens. */
export const valley = { rates: [1 / 4, 1 / 2, 1, 2, 4], batches: [1 / 2, 1, 2] } as const;
