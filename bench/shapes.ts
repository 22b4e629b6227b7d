/** The models that training is measured with. */
import { type LlamaConfig, paperChoices } from '../src/model/config.ts';

export const shapes = {
  '7M': { vocabSize: 4096, width: 288, ffnWidth: 768, blockCount: 6, headCount: 6 },
  /** recipes/stories.yaml: --length 512. */
  stories: { vocabSize: 4096, width: 256, ffnWidth: 704, blockCount: 6, headCount: 4 },
  '110M': { vocabSize: 32000, width: 768, ffnWidth: 2048, blockCount: 12, headCount: 12 },
} as const;

/** Ends the process in words where there is no such shape. */
export function shapeConfig(name: string, length: number): LlamaConfig {
  const shape = shapes[name as keyof typeof shapes];
  if (!shape) {
    console.error(`bench: --shape is one of ${Object.keys(shapes).join(', ')}`);
    process.exit(2);
  }
  return {
    ...paperChoices,
    ...shape,
    kvHeadCount: shape.headCount,
    headSize: shape.width / shape.headCount,
    contextLength: length,
    normEps: 1e-5,
    ropeTheta: 10_000,
    ropeScaling: { kind: 'none' },
    tiedEmbeddings: true,
    attentionBias: false,
    slidingWindow: null,
  };
}
