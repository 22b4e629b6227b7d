/** Every sentence of the walk and of the scenes, in English. ko.ts has the same in Korean; tensor names stay as they are. */
import { formatCount } from '../numbers.ts';
import type { SceneKey, StepKey } from '../walk.ts';

export interface SceneWords {
  readonly title: string;
  /** What the picture shows. */
  readonly what: string;
  /** Why the model has it. */
  readonly why: string;
  /** What to try. */
  readonly touch: string;
  readonly source: string;
}

const steps: Readonly<Record<StepKey, { readonly title: string; readonly text: string }>> = {
  tokens: {
    title: 'Text becomes tokens',
    text: 'Neighbouring pieces merge by rank until none merges. Each piece has a number, its id.',
  },
  embedding: {
    title: 'A row of the table for each token',
    text: 'The id picks a row of the embedding table. This row starts the stream.',
  },
  norm: { title: 'RMSNorm', text: 'Each row is divided by its root mean square, then multiplied by a learned gain.' },
  project: {
    title: 'Queries, keys, values',
    text: 'Three matrices turn the normalised row into what it asks, what it offers, and what it gives.',
  },
  rotate: { title: 'RoPE', text: 'Each pair of a query and of a key is rotated by position · ω. Values are not.' },
  attend: {
    title: 'Attention',
    text: 'q·k / √E, softmax over the tokens before, and the mean of their values with these shares.',
  },
  join: {
    title: 'Back to the stream',
    text: 'The output matrix mixes the heads. The result is added to the stream, not to the norm’s output.',
  },
  feedForward: {
    title: 'Feed-forward layer',
    text: 'The gate decides how much of “up” passes; a last matrix leads back to the width, and the result is added.',
  },
  head: {
    title: 'The output layer',
    text: 'After the last block and a last norm, one product gives a score (logit) for every piece.',
  },
  choose: {
    title: 'The next token',
    text: 'Softmax turns logits into probabilities. The sampler cuts the tail and draws.',
  },
};

const scenes: Readonly<Record<SceneKey, SceneWords>> = {
  map: {
    title: 'Map',
    what: 'The model as its own code runs: one box for each operation, one arrow for each tensor. One block is drawn whole; the others are alike.',
    why: 'LLaMA is a stream of one row per token, to which each block adds twice: once what attention found, once what the feed-forward layer made of it.',
    touch:
      'Choose another model or preset: the picture is made anew from its configuration. Choose a box to open its scene.',
    source: 'Touvron et al. 2023, arXiv:2302.13971; Vaswani et al. 2017, arXiv:1706.03762',
  },
  tokens: {
    title: 'Tokens',
    what: 'Your text as the model reads it. Below, one word is built merge by merge: the pair of the lowest rank goes first.',
    why: 'A vocabulary of whole words would never be complete, and one of characters would make texts long. Frequent pieces become tokens, rare words are spelled.',
    touch: 'Change the text. Choose a word and step through its merges.',
    source: 'Sennrich et al. 2016, arXiv:1508.07909; Kudo & Richardson 2018, arXiv:1808.06226',
  },
  embedding: {
    title: 'Embedding',
    what: 'The row of the table that a token picks, as coloured cells, and the pieces whose rows point most nearly the same way.',
    why: 'Nothing but training decides these numbers. Pieces that are used alike end up near each other.',
    touch: 'Choose a token, then one of its neighbours.',
    source: 'Mikolov et al. 2013, arXiv:1301.3781',
  },
  norms: {
    title: 'Norms',
    what: 'One row of the stream before and after RMSNorm, on one scale. Beside it what layer norm and batch norm would make of the same numbers.',
    why: 'Rows grow from block to block. A norm gives every matrix inputs of one size. RMSNorm leaves out the mean: cheaper, and as good.',
    touch:
      'Choose c. All rows times c: no norm’s output moves. All rows plus c: layer norm and batch norm do not move, RMSNorm does.',
    source:
      'Zhang & Sennrich 2019, arXiv:1910.07467; Ba et al. 2016, arXiv:1607.06450; Ioffe & Szegedy 2015, arXiv:1502.03167',
  },
  factory: {
    title: 'Phone factory',
    what: 'A net of two layers is trained here: layer 1 makes the hardware, layer 2 the software, the loss is the boss. You see what layer 2 receives, and how it drifts while layer 1 learns.',
    why: 'This picture was the reason given for batch norm. Santurkar et al. 2018 (arXiv:1805.11604) found that the drift is not why it helps: the loss becomes smoother.',
    touch: 'Run, pause, take one step, change the learning rate or the seed; compare four norms from the same start.',
    source: 'Ioffe & Szegedy 2015, arXiv:1502.03167; Santurkar et al. 2018, arXiv:1805.11604',
  },
  projections: {
    title: 'Q, K, V',
    what: 'The normalised row times three matrices. The chosen cell is one row of the matrix times the row of the token: all products are summed.',
    why: 'A query is what a token looks for, a key is what it can be found by, a value is what it hands over. Heads are groups of columns.',
    touch: 'Choose a matrix, a head and a cell.',
    source: 'Vaswani et al. 2017, arXiv:1706.03762 §3.2; Ainslie et al. 2023, arXiv:2305.13245',
  },
  rope: {
    title: 'RoPE',
    what: 'Two numbers of a query are a point in a plane. RoPE turns the point by position · ω. Every pair has its own ω: the first turn fast, the last hardly at all. All pairs are clocks that run at different speeds.',
    why: 'A query and a key that are both turned meet at the difference of their angles: the score knows how far apart two tokens are, and not where they are.',
    touch:
      'Choose a pair and a token. Shift both tokens by the same number of positions: both arrows turn, the angle between them stays, and so does the score.',
    source: 'Su et al. 2021, arXiv:2104.09864',
  },
  attention: {
    title: 'Attention',
    what: 'Each small square is a head: rows ask, columns are looked at, dark is much. The large one is the chosen head. Above the diagonal lies the future, which nobody sees.',
    why: 'Here alone tokens learn of each other. A row’s scores become shares that sum to 1; the values are mixed with these shares.',
    touch:
      'Choose a head and a cell, with the arrows too. The row below follows one query from scores to shares to the mix.',
    source: 'Vaswani et al. 2017, arXiv:1706.03762 eq. 1',
  },
  sharing: {
    title: 'Sharing heads',
    what: 'Which query heads share a key head, and what the cache then weighs. Below: what happens to the next token if the keys of this model were pooled to G groups without training.',
    why: 'The cache is read for every token. With fewer key heads it is smaller, and generation is faster. Models are trained so; pooling afterwards costs.',
    touch: 'Choose the number of groups: as many as heads is MHA, one is MQA, between is GQA.',
    source: 'Shazeer 2019, arXiv:1911.02150; Ainslie et al. 2023, arXiv:2305.13245',
  },
  cache: {
    title: 'KV cache',
    what: 'Without a cache each new token computes the whole square again. With it one row is enough: keys and values of earlier tokens lie in blocks of 32.',
    why: 'Keys and values of a token never change: nothing before looks at what comes after. Memory buys time.',
    touch:
      'Generate one token: the time of the text, and of a token with the cache. Choose the number of tokens, the type, and how many sequences share the memory.',
    source: 'Pope et al. 2022, arXiv:2211.05102; Kwon et al. 2023, arXiv:2309.06180',
  },
  swiglu: {
    title: 'SwiGLU',
    what: 'The curve is Swish; the dots are this row’s gate values on it. Each is multiplied by its “up”: gate closed, nothing passes; gate open, “up” passes.',
    why: 'Two matrices and a product choose better than one matrix and a threshold. So that the count of weights stays, the width is 8/3 · D in place of 4 · D.',
    touch: 'Choose a column, or another function: how far does the result move?',
    source: 'Shazeer 2020, arXiv:2002.05202; Ramachandran et al. 2017, arXiv:1710.05941',
  },
  stream: {
    title: 'Stream',
    what: 'The length of a token’s row after each block, and what each part added. Below: the next token if the model ended there.',
    why: 'Blocks only ever add. So a half-finished row can be read by the output layer, and one sees the answer arise.',
    touch: 'Choose a token. Switch a part off and see what the model would say.',
    source: 'He et al. 2016, arXiv:1512.03385; nostalgebraist 2020, “logit lens”',
  },
  choice: {
    title: 'Choice',
    what: 'From logits to one token: each column is a link of the sampler’s chain and shows what it leaves. At the end a random number falls into one of the bars.',
    why: 'The likeliest token each time makes dull loops; drawing from all of them makes nonsense now and then. The chain cuts the tail, then draws.',
    touch: 'Move the temperature and the limits; take another seed; append the token and go round again.',
    source: 'Holtzman et al. 2019, arXiv:1904.09751; Fan et al. 2018, arXiv:1805.04833',
  },
  walk: {
    title: 'The walk',
    what: 'All ten steps with their shapes, in letters, for this model, and for Llama 2 7B beside it; the corner of each matrix; and where the notes and the model differ.',
    why: 'The same numbers as in the scenes, in the order of computation.',
    touch: 'Choose a step to open its scene.',
    source: 'Touvron et al. 2023, arXiv:2307.09288',
  },
};

export const en = {
  language: 'en',
  steps,
  scenes,
  model: 'Model',
  blocks: 'blocks',
  parameters: 'parameters',
  token: 'Token',
  tokens: 'Tokens',
  id: 'id',
  piece: 'piece',
  block: 'Block',
  head: 'Head',
  query: 'query',
  key: 'key',
  column: 'column',
  pair: 'Pair',
  width: 'width',
  length: 'length',
  probability: 'probability',
  rank: 'rank',
  shape: 'shape',
  corner: 'corner',
  bytes: 'bytes',
  cacheOf: (tokens: number, bytes: string, each: string) =>
    `The cache holds ${tokens} tokens in ${bytes}: ${each} for each.`,
  nextTokenCosts: (cached: string, without: string) =>
    `The next token costs ${cached} multiply-adds with the cache, ${without} without it.`,
  streamLengths: 'Length of the last token’s row after each block',
  likeliest: 'The likeliest next tokens',
  left: 'What each sampler leaves',
  leftOf: (count: number) => (count === 1 ? '1 token is left' : `${formatCount(count)} tokens are left`),
  drawn: (draw: string) => `random number ${draw}`,
  notDrawn: 'one token was left: nothing was drawn',
  chosen: 'chosen',
  mapOf: (block: number, head: number) => `Attention of block ${block}, head ${head}: rows ask, columns are looked at`,
  looksAt: (head: number, query: string, key: string, share: string) =>
    `Head ${head}: ${query} looks at ${key} with ${share}.`,
  ofRows: (shown: number, all: number) => `${shown} of ${all} rows`,
  noTokenizer: 'This model has no tokenizer: texts cannot be read, ids can.',
};

export type Words = typeof en;
