/**
 * Writes an adapter as llama.cpp reads it. The format has one α for all tensors, and the loader scales by α / R: so rsLoRA's α / √r
 * becomes another α, and what differs between tensors is multiplied into B. What it cannot say is refused.
 */
import { UnsupportedError } from '../../base/errors.ts';
import type { GgufField, GgufType } from '../../formats/gguf-values.ts';
import { writeGguf } from '../../formats/gguf-write.ts';
import type { NamedTensor } from '../../formats/safetensors-write.ts';
import type { Sink } from '../../formats/sink.ts';
import type { GgufValue } from '../../formats/tokenizer-files.ts';
import { recode } from '../../quant/recode.ts';
import type { TensorSource } from '../../tensor/source.ts';
import type { LlamaConfig } from '../config.ts';
import { foreignName } from '../parameters.ts';
import { rankOf, targetsOf } from './adapter.ts';
import { TRAINED_OVER } from './base-weights.ts';
import { alphaKey, CHAT_TEMPLATE, GGUF_ADAPTER } from './open-gguf-adapter.ts';
import { scaled } from './sources.ts';
import { ggufSpelling, relaid } from './spelling.ts';
import type { WriteAdapterOptions, WrittenAdapter } from './write-peft.ts';

/** Throws UnsupportedError `adapter.gguf` for a DoRA, for parameters trained whole, and for a matrix without a name in GGUF. */
export function writeGgufAdapter(
  sink: Sink,
  adapter: WrittenAdapter,
  config: LlamaConfig,
  { name, baseModel, dtype }: WriteAdapterOptions & { readonly name: string },
): void {
  const refuse = (what: string) => {
    throw new UnsupportedError(
      'adapter.gguf',
      `GGUF adapter: ${what}, which the format has no form for. Merge the adapter into the model and write that (cria merge), or write PEFT's folder.`,
    );
  };
  const layers = [...adapter.layers];
  if (adapter.replaced.size > 0) refuse(`${[...adapter.replaced.keys()][0]} was trained whole`);
  const dora = layers.find(([, layer]) => layer.magnitude !== null);
  if (dora) refuse(`${dora[0]} has magnitudes (DoRA)`);
  const { architecture, rotary, names } =
    ggufSpelling(config) ?? refuse('it is of a kind of model that llama.cpp does not know')!;
  const alpha = layers.map(([, layer]) => layer.scale * rankOf(layer)).find((one) => one !== 0) ?? 1;

  const fields = new Map<string, GgufField>();
  const set = (key: string, type: GgufType, value: GgufValue) => fields.set(key, { type, value });
  set('general.architecture', 'string', architecture);
  set('general.type', 'string', GGUF_ADAPTER.type);
  set('adapter.type', 'string', GGUF_ADAPTER.kind);
  set('general.name', 'string', name);
  if (baseModel !== null) {
    set('general.base_model.count', 'u32', 1);
    set('general.base_model.0.name', 'string', baseModel);
  }
  set(alphaKey, 'f32', alpha);
  set('general.quantization_version', 'u32', 2);
  if (adapter.chatTemplate !== undefined) set(CHAT_TEMPLATE, 'string', adapter.chatTemplate);
  if (adapter.trainedOver !== undefined) set(TRAINED_OVER, 'string', adapter.trainedOver);

  const targets = new Map(targetsOf(config).map((target) => [target.name, target]));
  const tensors: NamedTensor[] = [];
  for (const [parameter, layer] of layers) {
    const target = targets.get(parameter)!;
    if (
      Object.values(names?.fused ?? {})
        .flat()
        .some((key) => key === target.key)
    )
      refuse(`${parameter} is a part of a larger matrix there`);
    const tensor = foreignName(target, 'gguf', names) ?? refuse(`${parameter} has no name`)!;
    const b = relaid(layer.b, target, config, { from: 'pairs', to: rotary, gain: 0 });
    const ratio = (layer.scale * rankOf(layer)) / alpha;
    const factor = Math.abs(ratio - 1) < 1e-6 ? 1 : ratio; // what only rounding makes of 1 leaves B as it is
    const stored = (source: TensorSource) => (dtype ? recode(source, dtype) : source);
    tensors.push([`${tensor}.lora_a`, stored(layer.a)], [`${tensor}.lora_b`, stored(scaled(b, factor))]);
  }
  writeGguf(sink, fields, tensors);
}
