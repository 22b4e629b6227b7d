/**
 * An adapter that is being trained: A and B of each target on the device, with their gradients; the model's own weights stay frozen in
 * whatever type they are stored.
 */
import type { Tape } from '../autograd/tape.ts';
import { ConfigError } from '../base/errors.ts';
import { Random } from '../base/random.ts';
import type { Device } from '../devices/device.ts';
import type { Dropout } from '../kernels/dropout/reference.ts';
import type { Ops } from '../kernels/ops.ts';
import { loraScale, lowRankShapes, type Target, targetsOf } from '../model/adapter/adapter.ts';
import { rowLengths } from '../model/adapter/sources.ts';
import type { WrittenAdapter } from '../model/adapter/write-peft.ts';
import type { Model } from '../model/model.ts';
import { foreignName, listParameters } from '../model/parameters.ts';
import type { TensorSource } from '../tensor/source.ts';
import { elementCount, type Tensor } from '../tensor/tensor.ts';
import type { TrainableParameter } from '../training/optimizer.ts';
import { readTensor } from '../training/run/state.ts';
import { trainable } from '../training/trainable-model.ts';
import { type DoraLengths, refreshLengths, withAdapters } from './lora.ts';
import type { Recipe } from './recipe-keys.ts';

export type AdapterSettings = Recipe['adapter'];

interface Layer {
  readonly target: Target;
  readonly weight: Tensor;
  readonly a: Tensor;
  readonly b: Tensor;
  readonly scale: number;
  readonly dora: DoraLengths | null;
  /** ‖row of W‖²; empty unless it is a DoRA. */
  readonly baseSquares_O: Float64Array;
}

export interface TrainedAdapter {
  readonly parameters: readonly TrainableParameter[];
  /** Corrects what the targets make of a batch. `dropping`: what is dropped before A in a pass of training, by site. */
  decorate<Given extends Tape['ops']>(ops: Given, dropping?: ((site: number) => Dropout) | null): Ops;
  /** After every change of the parameters: a DoRA's row lengths follow them. */
  refresh(): Promise<void>;
  /** As it is now, for writers. */
  read(): Promise<WrittenAdapter>;
  /** For people. */
  readonly description: string;
}

/**
 * `weights`: the frozen matrices as they are held, whose row lengths a DoRA begins with.
 * Throws ConfigError `recipe.adapter` where a target is none of the model's, or a rank does not fit.
 */
export function placeTrainedAdapter(
  device: Device,
  model: Model,
  settings: AdapterSettings,
  seed: number,
  weights: ReadonlyMap<string, TensorSource>,
): TrainedAdapter {
  const random = new Random(seed);
  const parameters: TrainableParameter[] = [];
  const layers: Layer[] = chosenTargets(model, settings).map(({ target, rank }) => {
    const shapes = lowRankShapes(target, rank);
    const [a, b] = [device.allocate(shapes.a), device.allocate(shapes.b)];
    // A: Kaiming uniform with a = √5, that is U(−1/√in, 1/√in), as PEFT begins; B = 0: the model begins as it is. Of an embedding
    // PEFT has A = 0, and B normal.
    const bound = 1 / Math.sqrt(shapes.a[1]!);
    const [drawn, draw] =
      target.use === 'linear' ? [a, () => (2 * random.uniform() - 1) * bound] : [b, () => random.normal()];
    device.write(drawn, Float32Array.from({ length: elementCount(drawn.shape) }, draw));
    parameters.push(trainable(device, `${target.name}.lora_A`, a), trainable(device, `${target.name}.lora_B`, b));
    const alpha = settings.alpha ?? settings.rank;
    const scale = loraScale({ alpha, rank, isRankStabilized: settings.rsLora });
    const isDora = settings.kind === 'dora';
    const lengths_O = isDora ? rowLengths((weights.get(target.name) ?? weights.get('embed_VD'))!) : new Float64Array(0);
    const dora = isDora ? placeLengths(device, lengths_O) : null;
    if (dora) parameters.push(trainable(device, `${target.name}.lora_magnitude`, dora.magnitude_O));
    const baseSquares_O = lengths_O.map((length) => length ** 2);
    return { target, weight: weightOf(model, target), a, b, scale, dora, baseSquares_O };
  });
  const adapters = layers.map(({ target, weight, a, b, scale, dora }, site) => {
    return { use: target.use, weight, adapter: { a_RI: a, b_OR: b, scale, dora, site } };
  });
  const usedAs = (use: Target['use']) =>
    new Map(adapters.flatMap((one) => (one.use === use ? [[one.weight, one.adapter] as const] : [])));
  const [linear, embeddings] = [usedAs('linear'), usedAs('embedding')];
  const count = parameters.reduce((sum, { tensor }) => sum + tensor.shape.reduce((x, y) => x * y, 1), 0);
  return {
    parameters,
    decorate: (ops, dropping = null) => withAdapters(ops, linear, { embeddings, dropping }),
    async refresh() {
      for (const { weight, dora, baseSquares_O } of layers)
        if (dora) await refreshLengths(device, weight, baseSquares_O, linear.get(weight)!);
    },
    async read() {
      const entries = layers.map(async ({ target, a, b, scale, dora }) => {
        const [ofA, ofB] = [
          await readTensor(device, `${target.name}.a`, a),
          await readTensor(device, `${target.name}.b`, b),
        ];
        const magnitude = dora && (await readTensor(device, `${target.name}.m`, dora.magnitude_O));
        return [target.name, { a: ofA, b: ofB, scale, magnitude }] as const;
      });
      return { layers: new Map(await Promise.all(entries)), replaced: new Map() };
    },
    description: `${settings.kind === 'dora' ? 'DoRA' : 'LoRA'}${settings.rsLora ? ' with the scale of rsLoRA' : ''} of ${layers.length} matrices, ${count} parameters`,
  };
}

/** A DoRA begins with the lengths that the rows have. */
function placeLengths(device: Device, lengths_O: Float64Array): DoraLengths {
  const [magnitude_O, squares_O, zeros_O] = [0, 1, 2].map(() => device.allocate([lengths_O.length])) as [
    Tensor,
    Tensor,
    Tensor,
  ];
  device.write(magnitude_O, Float32Array.from(lengths_O));
  device.write(
    squares_O,
    Float32Array.from(lengths_O, (length) => length ** 2),
  );
  return { magnitude_O, squares_O, zeros_O };
}

function chosenTargets({ config }: Model, settings: AdapterSettings): { target: Target; rank: number }[] {
  const wanted = new Set<string>(settings.targets ?? ['all']);
  const problems: string[] = [];
  if (wanted.has('embed_tokens') && settings.kind === 'dora') {
    problems.push(
      'adapter.targets: embed_tokens has no form in a DoRA here: its columns would be scaled. Leave it out, or use lora',
    );
  }
  const chosen = targetsOf(config).flatMap((target) => {
    const module = moduleOf(target);
    const isAmongAll = wanted.has('all') && target.block !== null;
    if (module === null || !(isAmongAll || wanted.has(module))) return [];
    const own = settings.ranks[module as keyof typeof settings.ranks];
    const rank = own ?? settings.rank;
    const most = Math.min(...target.shape);
    if (rank > most) {
      problems.push(`adapter: rank ${rank} for ${module} of ${target.shape.join(' × ')}, expected at most ${most}`);
    }
    return [{ target, rank }];
  });
  for (const name of Object.keys(settings.ranks) as (keyof typeof settings.ranks)[]) {
    if (settings.ranks[name] !== undefined && !chosen.some(({ target }) => moduleOf(target) === name)) {
      problems.push(`adapter.ranks.${name} is given, and ${name} is no target`);
    }
  }
  if (chosen.length === 0 && problems.length === 0) problems.push('adapter.targets names no matrix of this model');
  if (problems.length > 0) throw new ConfigError('recipe', [...new Set(problems)], 'recipe.adapter');
  return chosen;
}

/** `q_proj` of `model.layers.3.self_attn.q_proj.weight`. */
function moduleOf(target: Target): string | null {
  const name = foreignName(target, 'hf');
  return name === null
    ? null
    : (name
        .replace(/\.weight$/, '')
        .split('.')
        .at(-1) ?? null);
}

function weightOf(model: Model, { key, block }: Target): Tensor {
  const place = (block === null ? model : model.blocks[block]!) as unknown as Readonly<Record<string, Tensor>>;
  return place[key] ?? model.embed_VD; // a tied head
}

/** The model's tensors by the names of its parameters. */
export function tensorsOf(model: Model): { readonly name: string; readonly tensor: Tensor }[] {
  return listParameters(model.config).map(({ name, key, block }) => {
    const place = (block === null ? model : model.blocks[block]!) as unknown as Readonly<Record<string, Tensor>>;
    return { name, tensor: place[key]! };
  });
}
