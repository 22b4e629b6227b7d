/** Every runner of golden cases, by the group of its cases: a new kind is a row here. */
import type { AnyGoldenKind } from '../support/golden-kinds.ts';
import { alignmentKinds } from './alignment.ts';
import { evaluationKinds } from './evaluation.ts';
import { finetuningDataKinds } from './finetuning-data.ts';
import { loraKinds } from './lora.ts';
import { nf4Kinds } from './nf4.ts';
import { relativeKinds } from './relatives.ts';
import { trainingKinds } from './training.ts';

export const goldenKinds = {
  alignment: [...alignmentKinds, ...finetuningDataKinds, ...loraKinds, ...nf4Kinds],
  'eval-prompts': evaluationKinds,
  training: trainingKinds,
  relatives: relativeKinds,
} as const satisfies Record<string, readonly AnyGoldenKind[]>;
