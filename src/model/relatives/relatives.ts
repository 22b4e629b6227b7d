/** All relatives, LLaMA itself first: where several could spell a model, the first does. */
import type { Relative } from '../spelling/relative.ts';
import { exaone } from './exaone.ts';
import { exaone4 } from './exaone4.ts';
import { gptoss } from './experts/gptoss.ts';
import { llama4 } from './experts/llama4.ts';
import { mixtral } from './experts/mixtral.ts';
import { olmoe } from './experts/olmoe.ts';
import { qwen3moe } from './experts/qwen3moe.ts';
import { gemma } from './gemma/gemma.ts';
import { gemma2 } from './gemma/gemma2.ts';
import { gemma3 } from './gemma/gemma3.ts';
import { granite } from './granite.ts';
import { llama } from './llama.ts';
import { minicpm } from './minicpm.ts';
import { ministral3, mistral, mistral3 } from './mistral.ts';
import { olmo2 } from './olmo2.ts';
import { olmo3 } from './olmo3.ts';
import { phi3 } from './phi3.ts';
import { qwen2 } from './qwen2.ts';
import { qwen3 } from './qwen3.ts';
import { smollm3 } from './smollm3.ts';

export const relatives: readonly Relative[] = [
  llama,
  mistral,
  qwen2,
  qwen3,
  smollm3,
  ministral3,
  ...mistral3,
  granite,
  minicpm,
  olmo2,
  olmo3,
  phi3,
  gemma,
  gemma2,
  ...gemma3,
  exaone,
  exaone4,
  mixtral,
  qwen3moe,
  olmoe,
  gptoss,
  ...llama4,
];
