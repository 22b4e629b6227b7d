/** What a configuration chooses otherwise than the papers, in words. */
import type { LlamaConfig } from '../config.ts';

const placements = {
  before: null,
  after: 'norms after the residual sums',
  output: "norms on the branches' outputs",
  both: 'norms on both ends of a branch',
} as const satisfies Record<LlamaConfig['normPlacement'], string | null>;

/** One phrase each; empty for LLaMA itself. */
export function unusualChoices(config: LlamaConfig): string[] {
  const { experts, slidingWindow, slidingBlocks, windowKind, rotatedBlocks, rotatedSize, headSize, queryGrowth } =
    config;
  const windows = { sliding: 'sliding window', chunks: 'attention in chunks of' } as const;
  const blocks = (list: readonly boolean[] | null, value: boolean) =>
    list === null ? '' : ` in ${list.filter((one) => one === value).length} of ${list.length} blocks`;
  const phrases = [
    experts &&
      `${experts.used} of ${experts.count} experts a token, of feed-forward width ${experts.width}${blocks(experts.blocks, true)}`,
    experts?.shared && `an expert of width ${experts.shared} for every token`,
    experts?.weighs === 'inputs' && 'inputs of experts weighed',
    config.tiedEmbeddings && 'output tied to the embedding',
    config.attentionBias && 'attention biases',
    config.attentionOutputBias && 'a bias behind attention',
    config.feedForwardBias && 'feed-forward biases',
    slidingWindow !== null && `${windows[windowKind]} ${slidingWindow}${blocks(slidingBlocks, true)}`,
    config.slidingTheta !== null && `rope theta ${config.slidingTheta} in those`,
    rotatedBlocks !== null && `no positions${blocks(rotatedBlocks, false)}`,
    rotatedSize !== null && `${rotatedSize} of ${headSize} channels of a head rotated`,
    placements[config.normPlacement],
    config.qkNorm === 'head' && "norms of every head's queries and keys",
    config.qkNorm === 'unit' && 'norms of queries and keys without gains',
    queryGrowth !== null && `queries that grow every ${queryGrowth.interval} positions`,
    config.qkNorm === 'row' && 'norms of queries and keys',
    config.embeddingScale !== 1 && `embedding × ${Number(config.embeddingScale.toPrecision(6))}`,
    config.residualScale !== 1 && `branches × ${Number(config.residualScale.toPrecision(6))}`,
    config.attentionScale !== null && `scores × ${Number(config.attentionScale.toPrecision(6))}`,
    config.attentionCap !== null && `scores capped at ${config.attentionCap}`,
    config.logitDivisor !== 1 && `logits / ${Number(config.logitDivisor.toPrecision(6))}`,
    config.logitCap !== null && `logits capped at ${config.logitCap}`,
  ];
  return phrases.filter((phrase): phrase is string => typeof phrase === 'string');
}
