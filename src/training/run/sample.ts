import { Random } from '../../base/random.ts';
import type { StepTrainer, Weights } from '../trainer.ts';

/** Continues some ids for a look at what the model can do: temperature 0.8 among the 40 likeliest. The whole text is computed anew for each token. */
export async function sampleIds(
  trainer: StepTrainer,
  prompt: Uint32Array,
  count: number,
  seed: number,
  endId: number | null,
  weights?: Weights,
): Promise<Uint32Array> {
  const random = new Random(seed);
  const ids = [...prompt];
  const limit = trainer.model.config.contextLength;
  while (ids.length < Math.min(limit, prompt.length + count)) {
    const logits = await trainer.nextLogits(Uint32Array.from(ids), weights);
    const likeliest = [...logits.keys()].sort((a, b) => logits[b]! - logits[a]!).slice(0, 40);
    const top = logits[likeliest[0]!]!;
    const chances = likeliest.map((id) => Math.exp((logits[id]! - top) / 0.8));
    let left = random.uniform() * chances.reduce((a, b) => a + b, 0);
    const chosen = likeliest[chances.findIndex((chance) => (left -= chance) < 0)] ?? likeliest[0]!;
    if (chosen === endId) break;
    ids.push(chosen);
  }
  return Uint32Array.from(ids);
}
