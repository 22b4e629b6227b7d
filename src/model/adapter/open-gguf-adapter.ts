/**
 * llama.cpp's GGUF adapters: `general.type` "adapter", `adapter.type` "lora", `adapter.lora.alpha`, and for a tensor of the base model
 * `<name>.lora_a` [R, I] and `<name>.lora_b` [O, R]; of token_embd, A lies transposed: [V, R].
 *
 * Scale   α / R of each tensor; α absent or 0: 1
 * Source  ggml-org/llama.cpp, src/llama-adapter.cpp and convert_lora_to_gguf.py.
 */
import { FormatError } from '../../base/errors.ts';
import type { Gguf } from '../../formats/gguf.ts';
import { show } from '../../formats/json.ts';
import type { TensorSource } from '../../tensor/source.ts';
import { formatShape } from '../../tensor/tensor.ts';
import type { OpenFiles } from '../checkpoint/checkpoint.ts';
import type { LlamaConfig } from '../config.ts';
import { foreignName, listParameters } from '../parameters.ts';
import { type Adapter, type LowRank, targetsOf } from './adapter.ts';
import { TRAINED_OVER } from './base-weights.ts';
import { AdapterFit } from './fit.ts';
import { ggufSpelling } from './spelling.ts';

export const GGUF_ADAPTER = { type: 'adapter', kind: 'lora' } as const;
export const alphaKey = 'adapter.lora.alpha';
/** Where models have it too; llama.cpp passes over it in an adapter. */
export const CHAT_TEMPLATE = 'tokenizer.chat_template';

export function isGgufAdapter({ fields }: Gguf): boolean {
  return fields.get('general.type')?.value === GGUF_ADAPTER.type;
}

/** Throws FormatError `adapter.gguf`, ConfigError `adapter.fit`. */
export function openGgufAdapter(file: string, gguf: Gguf, config: LlamaConfig, files: OpenFiles): Adapter {
  const field = (key: string) => gguf.fields.get(key)?.value;
  const bad = (where: string, problem: string, advice: string) =>
    new FormatError({ code: 'adapter.gguf', file, where }, problem, advice);
  if (!isGgufAdapter(gguf)) {
    const found = field('general.type') ?? 'nothing';
    throw bad(
      'general.type',
      `expected "adapter", found ${show(found)}`,
      'Is this a model? Give it as the model instead.',
    );
  }
  if (field('adapter.type') !== GGUF_ADAPTER.kind) {
    const found = show(field('adapter.type') ?? null);
    throw bad('adapter.type', `expected "lora", found ${found}`, 'Other kinds of adapters are not supported.');
  }
  const invocation = field('adapter.alora.invocation_tokens');
  if (invocation !== undefined)
    throw bad(
      'adapter.alora.invocation_tokens',
      'it is active behind certain tokens only (aLoRA)',
      'This is not supported.',
    );
  const alpha = field(alphaKey) ?? 0;
  if (typeof alpha !== 'number' || !Number.isFinite(alpha))
    throw bad(alphaKey, `expected a finite number, found ${show(alpha)}`, 'The file is damaged; convert it again.');
  const architecture = field('general.architecture');
  const spelling = ggufSpelling(config);
  if (
    !spelling ||
    (architecture !== spelling.architecture && !spelling.aliases?.some((alias) => alias === architecture))
  ) {
    const expected = spelling ? show(spelling.architecture) : 'none, as llama.cpp has no such model';
    throw bad(
      'general.architecture',
      `expected ${expected}, found ${show(architecture ?? null)}`,
      'The adapter is of another kind of model.',
    );
  }
  const { rotary, names } = spelling;

  const fit = new AdapterFit(
    file,
    typeof field('general.base_model.0.name') === 'string' ? String(field('general.base_model.0.name')) : null,
    config,
  );
  const targets = new Map(targetsOf(config).map((target) => [foreignName(target, 'gguf', names), target]));
  const vectors = new Map(
    listParameters(config)
      .filter(({ shape }) => shape.length === 1)
      .map((parameter) => [foreignName(parameter, 'gguf', names), parameter]),
  );
  const parts = new Map<string, { a?: TensorSource; b?: TensorSource }>();
  const replaced = new Map<string, TensorSource>();
  for (const [name, tensor] of gguf.tensors) {
    const part = /^(.*)\.lora_([ab])$/.exec(name);
    const vector = vectors.get(name); // a norm that was trained too, which llama.cpp passes over
    if (vector) {
      const source = fit.whole(name, vector, tensor, { rotary });
      if (source) replaced.set(vector.name, source);
    } else if (!part)
      fit.problem(`${name.slice(0, 200)} ${formatShape(tensor.shape)} is neither .lora_a nor .lora_b of a tensor`);
    else parts.set(part[1]!, { ...parts.get(part[1]!), [part[2]!]: tensor });
  }
  const layers = new Map<string, LowRank>();
  for (const [name, { a, b }] of parts) {
    const target = targets.get(name);
    if (!target) fit.noMatrix(name);
    else if (!a || !b) fit.problem(`${name}.lora_${a ? 'b' : 'a'} is missing`);
    else {
      const rank = b.shape[1] ?? 0;
      const scale = alpha === 0 || rank === 0 ? 1 : alpha / rank;
      const layer = fit.layer(name, target, { a, b, magnitude: null, scale, rank: null, rotary });
      if (layer) layers.set(target.name, layer);
    }
  }
  fit.finish(layers.size + replaced.size);
  const chatTemplate = field(CHAT_TEMPLATE);
  const trainedOver = field(TRAINED_OVER);
  return {
    format: 'gguf',
    name: file,
    layers,
    replaced,
    ...(typeof chatTemplate === 'string' && { chatTemplate }),
    ...(typeof trainedOver === 'string' && { trainedOver }),
    metadata: new Map([...gguf.fields].map(([key, { value }]) => [key, value])),
    close: () => files.close(),
  };
}
