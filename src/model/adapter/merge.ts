import type { TensorSource } from '../../tensor/source.ts';
import type { Checkpoint } from '../checkpoint/checkpoint.ts';
import type { LlamaConfig } from '../config.ts';
import { type Adapter, targetsOf } from './adapter.ts';
import { mergedRows } from './sources.ts';

export interface ScaledAdapter {
  readonly adapter: Adapter;
  /** Multiplies the adapter's own scale; 1: as it was trained. */
  readonly scale: number;
}

/** The chat template that adapters bring: the last one's that has one. */
export function spokenTemplate(adapters: readonly Adapter[]): string | null {
  return adapters.findLast((adapter) => adapter.chatTemplate !== undefined)?.chatTemplate ?? null;
}

/**
 * A model with adapters merged into its weights, one after the other. What an adapter corrects becomes f32 while it is read, from the
 * weights as they are stored: of a quantized base those that the quantized model computes with.
 *
 * Where the output layer is the embedding table, and an adapter corrects the output layer, the model gets one of its own.
 */
export function mergeAdapters<Base extends Pick<Checkpoint, 'config' | 'tensors'>>(
  base: Base,
  adapters: readonly ScaledAdapter[],
): Base {
  const tensors = new Map(base.tensors);
  let config: LlamaConfig = base.config;
  for (const { adapter, scale } of adapters) {
    for (const [name, source] of adapter.replaced) tensors.set(name, source);
    const targets = new Map(targetsOf(base.config).map((target) => [target.name, target]));
    // The output layer is made of the embedding as it was before its own correction.
    const order = [...adapter.layers].sort(([a], [b]) => Number(b === 'head_VD') - Number(a === 'head_VD'));
    for (const [name, layer] of order) {
      const { use } = targets.get(name)!;
      const weight: TensorSource = tensors.get(name) ?? tensors.get('embed_VD')!;
      if (!tensors.has(name)) config = { ...config, tiedEmbeddings: false };
      tensors.set(name, mergedRows(weight, use, { ...layer, scale: layer.scale * scale }));
    }
  }
  const chatTemplate = spokenTemplate(adapters.map(({ adapter }) => adapter));
  return { ...base, config, tensors, ...(chatTemplate !== null && { chatTemplate }) };
}
