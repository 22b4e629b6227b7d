/** A folder of PEFT: adapter_config.json beside adapter_model.safetensors (or adapter_model.bin). */
import { FormatError } from '../../base/errors.ts';
import { matchesModule, type PeftConfig, parsePeftConfig } from '../../formats/config/peft-config.ts';
import { parseJsonObject } from '../../formats/json.ts';
import { readSafetensors } from '../../formats/safetensors.ts';
import { readTorch } from '../../formats/torch/torch.ts';
import type { FileFolder, TensorSource } from '../../tensor/source.ts';
import { formatShape } from '../../tensor/tensor.ts';
import type { OpenFiles } from '../checkpoint/checkpoint.ts';
import { textOf } from '../checkpoint/find-tokenizer.ts';
import type { LlamaConfig } from '../config.ts';
import { foreignName, listParameters } from '../parameters.ts';
import { type Adapter, type LowRank, loraScale, type Target, targetsByModule } from './adapter.ts';
import { TRAINED_OVER } from './base-weights.ts';
import { AdapterFit } from './fit.ts';
import { transposed } from './sources.ts';
import { hfSpelling } from './spelling.ts';

export const PEFT_CONFIG = 'adapter_config.json';
/** Where transformers keeps a chat template of its own. */
export const CHAT_TEMPLATE = 'chat_template.jinja';
const SAFETENSORS = 'adapter_model.safetensors';
const TORCH = 'adapter_model.bin';

/** `base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight` and its relatives; in memory PEFT puts the adapter's name behind. */
const partName =
  /^base_model\.model\.(.+)\.(lora_A|lora_B|lora_embedding_A|lora_embedding_B|lora_magnitude_vector)(?:\.default)?(?:\.weight)?$/;
/** The frozen matrix below a correction: PEFT stores those of embeddings and of the output layer beside it (save_embedding_layers). */
const frozenName = /^base_model\.model\.(.+)\.base_layer\.weight$/;
/** A module that was trained whole. */
const wholeName = /^base_model\.model\.(.+?)(?:\.modules_to_save(?:\.default)?)?\.(weight|bias)$/;

type Part = 'lora_A' | 'lora_B' | 'lora_embedding_A' | 'lora_embedding_B' | 'lora_magnitude_vector';

/** Throws ConfigError `adapter.config`, `adapter.fit`; FormatError. */
export function openPeft(folder: FileFolder, config: LlamaConfig, files: OpenFiles): Adapter {
  const text = textOf(folder, PEFT_CONFIG)!;
  const facts = parsePeftConfig(PEFT_CONFIG, text);
  const { tensors: found, metadata } = readTensors(folder, files);
  const fit = new AdapterFit(folder.name, facts.baseModel, config);
  const spelling = hfSpelling(config);
  const modules = targetsByModule(config);
  const parts = new Map<string, Partial<Record<Part, TensorSource>>>();
  const whole = new Map<string, TensorSource>();
  const parameters = new Map(
    listParameters(config).map((parameter) => [foreignName(parameter, 'hf', spelling?.names), parameter]),
  );
  for (const [name, tensor] of found) {
    const part = partName.exec(name);
    const frozen = modules.get(frozenName.exec(name)?.[1] ?? '');
    if (frozen && formatShape(frozen.shape) === formatShape(tensor.shape)) continue; // the model has it
    const other = part ? null : wholeName.exec(name);
    const parameter = other && parameters.get(`${other[1]}.${other[2]}`);
    if (part) {
      const [, module, kind] = part as unknown as [string, string, Part];
      parts.set(module, { ...parts.get(module), [kind]: tensor });
    } else if (parameter) {
      const source = fit.whole(name, parameter, tensor, { rotary: fit.hfRotary, gainsFromOne: spelling?.gainsFromOne });
      if (source) whole.set(parameter.name, source);
    } else fit.problem(`${name} ${formatShape(tensor.shape)} belongs to no part of this model`);
  }
  const layers = new Map<string, LowRank>();
  for (const [module, tensors] of parts) {
    const target = modules.get(module);
    if (!target) {
      fit.noMatrix(module);
      continue;
    }
    const layer = layerOf(fit, target, module, facts, tensors);
    if (layer) layers.set(target.name, layer);
  }
  for (const name of facts.modulesToSave) {
    const isThere = [...whole.keys()].some((key) => {
      const parameter = listParameters(config).find((one) => one.name === key)!;
      return foreignName(parameter, 'hf', spelling?.names)!
        .replace(/\.(weight|bias)$/, '')
        .endsWith(name);
    });
    if (!isThere) fit.problem(`modules_to_save names ${name}, and the file does not hold it`);
  }
  fit.finish(layers.size + whole.size);
  const chatTemplate = textOf(folder, CHAT_TEMPLATE);
  return {
    format: 'peft',
    name: folder.name,
    layers,
    replaced: whole,
    ...(chatTemplate !== null && { chatTemplate }),
    ...(metadata.has(TRAINED_OVER) && { trainedOver: metadata.get(TRAINED_OVER)! }),
    metadata: new Map(Object.entries(parseJsonObject(PEFT_CONFIG, text))),
    close: () => files.close(),
  };
}

function readTensors(
  folder: FileFolder,
  files: OpenFiles,
): { readonly tensors: ReadonlyMap<string, TensorSource>; readonly metadata: ReadonlyMap<string, string> } {
  const present = folder.list();
  if (present.includes(SAFETENSORS)) return readSafetensors(files.open(folder, SAFETENSORS));
  if (present.includes(TORCH)) return { ...readTorch(files.open(folder, TORCH)), metadata: new Map() };
  throw new FormatError(
    { code: 'adapter.no-weights', file: folder.name, where: 'folder' },
    `expected ${SAFETENSORS} or ${TORCH} beside ${PEFT_CONFIG}, found neither`,
    'Download the weights into the same folder.',
  );
}

function layerOf(
  fit: AdapterFit,
  target: Target,
  module: string,
  facts: PeftConfig,
  tensors: Partial<Record<Part, TensorSource>>,
): LowRank | null {
  const isEmbedding = target.use === 'embedding';
  const [nameA, nameB] = isEmbedding
    ? (['lora_embedding_A', 'lora_embedding_B'] as const)
    : (['lora_A', 'lora_B'] as const);
  const [a, b, magnitude] = [tensors[nameA], tensors[nameB], tensors.lora_magnitude_vector];
  const surplus = Object.keys(tensors).filter((part) => ![nameA, nameB, 'lora_magnitude_vector'].includes(part));
  for (const part of surplus)
    fit.problem(`${module}.${part} is not expected ${isEmbedding ? 'of an embedding' : 'here'}`);
  if (!a || !b) {
    fit.problem(`${module}.${a ? nameB : nameA} is missing`);
    return null;
  }
  if (facts.hasMagnitudes !== (magnitude !== undefined) && !isEmbedding) {
    const problem = facts.hasMagnitudes ? 'is missing, and use_dora is true' : 'is there, and use_dora is false';
    fit.problem(`${module}.lora_magnitude_vector ${problem}`);
    return null;
  }
  if (isEmbedding && (magnitude || facts.hasMagnitudes)) {
    fit.problem(`${module} is an embedding of a DoRA, which is not supported: its columns are scaled, not its rows`);
    return null;
  }
  const rank = valueFor(facts.rankPattern, module) ?? facts.rank;
  const alpha = valueFor(facts.alphaPattern, module) ?? facts.alpha;
  const scale = loraScale({ alpha, rank, isRankStabilized: facts.isRankStabilized });
  const inOrder = isEmbedding && a.shape.length === 2 ? transposed(a) : a;
  return fit.layer(module, target, { a: inOrder, b, magnitude: magnitude ?? null, scale, rank, rotary: fit.hfRotary });
}

function valueFor(patterns: ReadonlyMap<string, number>, module: string): number | undefined {
  for (const [pattern, value] of patterns) if (matchesModule(pattern, module)) return value;
  return undefined;
}

/** For the word of who opens another kind of folder. */
export function isPeftFolder(folder: FileFolder): boolean {
  return folder.list().includes(PEFT_CONFIG);
}
