/** Writes an adapter as PEFT does: adapter_config.json and adapter_model.safetensors. */

import { UnsupportedError } from '../../base/errors.ts';
import type { NamedTensor } from '../../formats/safetensors-write.ts';
import { writeSafetensors } from '../../formats/safetensors-write.ts';
import { recode } from '../../quant/recode.ts';
import type { TensorSource } from '../../tensor/source.ts';
import type { FolderSink } from '../checkpoint/write/write-hf.ts';
import type { LlamaConfig } from '../config.ts';
import { foreignName, listParameters, type Parameter } from '../parameters.ts';
import { type Adapter, type LowRank, rankOf, targetsByModule } from './adapter.ts';
import { TRAINED_OVER } from './base-weights.ts';
import { CHAT_TEMPLATE, PEFT_CONFIG } from './open-peft.ts';
import { transposed } from './sources.ts';
import { hfRotary, hfSpelling, relaid } from './spelling.ts';

/** What A and B may be written in. */
export const adapterTypes = ['f32', 'f16', 'bf16'] as const;

export interface WriteAdapterOptions {
  /** The model that it corrects, as PEFT should load it. */
  readonly baseModel: string | null;
  /** Of A and B; absent: as they are. */
  readonly dtype?: (typeof adapterTypes)[number];
}

export interface PeftOptions extends WriteAdapterOptions {
  /** Say its scale as rsLoRA does: α / √r. */
  readonly isRankStabilized?: boolean;
  /** The share of A's input that training dropped: PEFT goes on training with it. Absent: none. */
  readonly dropout?: number | undefined;
}

export type WrittenAdapter = Pick<Adapter, 'layers' | 'replaced' | 'chatTemplate' | 'trainedOver'>;

export function writePeft(
  folder: FolderSink,
  adapter: WrittenAdapter,
  config: LlamaConfig,
  options: PeftOptions,
): void {
  const modules = new Map([...targetsByModule(config)].map(([module, target]) => [target.name, { module, target }]));
  const tensors: NamedTensor[] = [];
  const named: { readonly module: string; readonly layer: LowRank }[] = [];
  for (const [name, layer] of adapter.layers) {
    const known = modules.get(name);
    if (!known)
      throw new UnsupportedError(
        'adapter.fused',
        `PEFT adapter: ${name} is a part of a larger matrix in this kind of model's files, which an adapter cannot name. Merge the adapter into the model (cria merge).`,
      );
    const { module, target } = known;
    const isEmbedding = target.use === 'embedding';
    const [a, b] = isEmbedding ? ['lora_embedding_A', 'lora_embedding_B'] : ['lora_A.weight', 'lora_B.weight'];
    const add = (part: string, source: TensorSource) => tensors.push([`base_model.model.${module}.${part}`, source]);
    const stored = (source: TensorSource) => (options.dtype ? recode(source, options.dtype) : source);
    add(a!, stored(isEmbedding ? transposed(layer.a) : layer.a));
    add(b!, stored(turned(layer.b, target, config)));
    if (layer.magnitude) add('lora_magnitude_vector', turned(layer.magnitude, target, config));
    named.push({ module, layer });
  }
  const whole = listParameters(config).filter(({ name }) => adapter.replaced.has(name));
  for (const parameter of whole) {
    const source = turned(adapter.replaced.get(parameter.name)!, parameter, config);
    tensors.push([`base_model.model.${foreignName(parameter, 'hf', hfSpelling(config)?.names)}`, source]);
  }
  const saved = whole.map((parameter) =>
    foreignName(parameter, 'hf', hfSpelling(config)?.names)!.replace(/\.(weight|bias)$/, ''),
  );
  const text = (name: string, content: string) => {
    const file = folder.create(name);
    file.write(new TextEncoder().encode(content));
    file.close();
  };
  text(PEFT_CONFIG, `${JSON.stringify(peftConfig(named, saved, config, options), null, 2)}\n`);
  if (adapter.chatTemplate !== undefined) text(CHAT_TEMPLATE, adapter.chatTemplate);
  const weights = folder.create('adapter_model.safetensors');
  const { trainedOver } = adapter;
  writeSafetensors(weights, tensors, {
    format: 'pt',
    ...(trainedOver !== undefined && { [TRAINED_OVER]: trainedOver }),
  });
  weights.close();
}

/** Rows of queries and keys in Hugging Face's order, and gains as its models store them. */
function turned(source: TensorSource, parameter: Parameter, config: LlamaConfig): TensorSource {
  const gain = hfSpelling(config)?.gainsFromOne ? -1 : 0;
  return relaid(source, parameter, config, { from: 'pairs', to: hfRotary(config), gain });
}

function peftConfig(
  layers: readonly { readonly module: string; readonly layer: LowRank }[],
  saved: readonly string[],
  config: LlamaConfig,
  { baseModel, isRankStabilized = false, dropout = 0 }: PeftOptions,
): Record<string, unknown> {
  const sized = layers.map(({ module, layer }) => {
    const rank = rankOf(layer);
    // Digits that only come from dividing and multiplying by the rank are rounded away.
    const alpha = Number((layer.scale * (isRankStabilized ? Math.sqrt(rank) : rank)).toPrecision(12));
    return { module, rank, alpha };
  });
  const [rank, alpha] = [mostFrequent(sized.map((one) => one.rank)), mostFrequent(sized.map((one) => one.alpha))];
  const others = (key: 'rank' | 'alpha', usual: number) =>
    Object.fromEntries(sized.filter((one) => one[key] !== usual).map((one) => [one.module, one[key]]));
  return {
    peft_type: 'LORA',
    task_type: 'CAUSAL_LM',
    base_model_name_or_path: baseModel,
    r: rank,
    lora_alpha: alpha,
    rank_pattern: others('rank', rank),
    alpha_pattern: others('alpha', alpha),
    target_modules: targetModules(
      layers.map(({ module }) => module),
      config,
    ),
    modules_to_save: saved.length === 0 ? null : saved.map(lastName),
    use_rslora: isRankStabilized,
    use_dora: layers.some(({ layer }) => layer.magnitude !== null),
    lora_dropout: dropout,
    bias: 'none',
    fan_in_fan_out: false,
    init_lora_weights: true,
    inference_mode: true,
  };
}

/** Short names where they mean these modules and no others; whole names where some blocks are left out. */
function targetModules(modules: readonly string[], config: LlamaConfig): string[] {
  const all = [...targetsByModule(config).keys()];
  const given = new Set(modules);
  const short = [...new Set(modules.map(lastName))];
  const meant = all.filter((module) => short.includes(lastName(module)));
  return meant.every((module) => given.has(module)) ? short : [...modules];
}

function lastName(module: string): string {
  return module.slice(module.lastIndexOf('.') + 1);
}

function mostFrequent(values: readonly number[]): number {
  const counts = new Map<number, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts].reduce((a, b) => (b[1] > a[1] ? b : a), [8, 0])[0];
}
