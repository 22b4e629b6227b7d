/** What somebody should know of a model's files before using them, a sentence each; nothing where all is as usual. */
import { keptBytes } from '../../devices/wasm/weights.ts';
import type { Checkpoint } from '../../model/checkpoint/checkpoint.ts';
import { isWeightType, rowBytes } from '../../tensor/dtype.ts';
import { columnCount, elementCount, rowCount } from '../../tensor/tensor.ts';
import { createTokenizer } from '../../tokenizer/create-tokenizer.ts';
import type { Tokenizer } from '../../tokenizer/tokenizer.ts';

export function unusualOf(checkpoint: Checkpoint): string[] {
  const { config, tensors } = checkpoint;
  const { tokenizer, problem } = readTokenizer(checkpoint);
  const weights = [...tensors.values()].filter(({ shape }) => shape.length > 1);
  const stored = weights.reduce((sum, { shape }) => sum + elementCount(shape), 0);
  const inF32 = weights.filter(({ dtype }) => dtype === 'f32').reduce((sum, { shape }) => sum + elementCount(shape), 0);
  const { headSize, headCount, width, ropeScaling, contextLength } = config;
  const original = 'originalContextLength' in ropeScaling ? ropeScaling.originalContextLength : null;
  const found: (string | null | false)[] = [
    ...checkpoint.notes,
    problem,
    ...(tokenizer?.remarks ?? []),
    tokenizer === null && problem === null && 'no tokenizer: it works with token ids only',
    tokenizer !== null &&
      tokenizer.vocabSize > config.vocabSize &&
      `its tokenizer has ${tokenizer.vocabSize} tokens, the model only ${config.vocabSize}: the last ones cannot be used`,
    tokenizer !== null &&
      config.vocabSize - tokenizer.vocabSize > 1024 &&
      `the model has ${config.vocabSize - tokenizer.vocabSize} more rows than its tokenizer has tokens`,
    tokenizer !== null &&
      tokenizer.eogIds.size + checkpoint.generation.eosIds.length === 0 &&
      'no token ends a text: answers go on until their limit',
    tokenizer !== null &&
      checkpoint.chatTemplate === null &&
      tokenizer.chatTemplate === null &&
      'no chat template: it continues texts; for a conversation choose one with --template',
    headSize * headCount !== width && `heads of ${headSize}, where width / heads is ${width / headCount}`,
    original !== null &&
      original < contextLength &&
      `made for ${original} tokens and stretched to ${contextLength} (${ropeScaling.kind}): best on shorter texts`,
    ropeScaling.kind === 'linear' &&
      `positions are divided by ${ropeScaling.factor}: the model was tuned for a longer context`,
    largerInMemory(checkpoint),
    stored > 0 &&
      inF32 > stored / 2 &&
      'stored in f32: as f16 it takes half the memory and answers nearly twice as fast (cria convert --dtype f16)',
  ];
  return found.filter((text): text is string => typeof text === 'string');
}

/** Types of few bits are kept in four for the sake of speed, and those of small models as f32. */
function largerInMemory({ tensors }: Checkpoint): string | null {
  let [inFile, kept] = [0, 0];
  const types = new Set<string>();
  for (const { dtype, shape } of tensors.values()) {
    if (shape.length < 2 || !isWeightType(dtype)) continue;
    const bytes = rowBytes(dtype, columnCount(shape)) * rowCount(shape);
    const placed = keptBytes(dtype, shape);
    inFile += bytes;
    kept += placed;
    if (placed > 1.25 * bytes) types.add(dtype);
  }
  if (kept <= 1.25 * inFile) return null;
  return `${[...types].join(', ')} weights take ${(kept / inFile).toFixed(1)} times as much memory as in the file`;
}

function readTokenizer(checkpoint: Checkpoint): { tokenizer: Tokenizer | null; problem: string | null } {
  if (checkpoint.tokenizer === null) return { tokenizer: null, problem: null };
  try {
    return {
      tokenizer: createTokenizer(checkpoint.tokenizer, { vocabSize: checkpoint.config.vocabSize }),
      problem: null,
    };
  } catch (error) {
    return { tokenizer: null, problem: `its tokenizer cannot be read: ${(error as Error).message}` };
  }
}
