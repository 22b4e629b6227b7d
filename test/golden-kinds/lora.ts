/** golden/alignment/lora: scales, merged weights and names, and on every training device outputs and gradients. */
import { Tape } from '../../src/autograd/tape.ts';
import type { Device } from '../../src/devices/device.ts';
import { refreshLengths, withAdapters } from '../../src/finetuning/lora.ts';
import type { Gradient } from '../../src/kernels/backward-ops.ts';
import { loraScale, lowRankShapes, type Target, targetsByModule } from '../../src/model/adapter/adapter.ts';
import { floatSource, mergedRows, readFloats, rowLengths, rowNorms } from '../../src/model/adapter/sources.ts';
import { paperChoices } from '../../src/model/config.ts';
import { foreignName } from '../../src/model/parameters.ts';
import type { Tensor } from '../../src/tensor/tensor.ts';
import type { Check } from '../support/golden-check.ts';
import { readFacts } from '../support/golden-facts.ts';
import { type AnyGoldenKind, named } from '../support/golden-kinds.ts';
import { trainingDevices } from '../support/training.ts';

type Rows = readonly (readonly number[])[];

export interface LoraFile {
  readonly gguf_names: readonly (readonly [peft: string, gguf: string])[];
  readonly cases: readonly {
    /** Such as `lora`, `rslora`, `dora`. */
    readonly kind: string;
    readonly rank: number;
    readonly alpha: number;
    readonly scaling: number;
    readonly W: Rows;
    readonly A: Rows;
    readonly B: Rows;
    readonly x: Rows;
    readonly upstream: Rows;
    readonly magnitude?: number[];
    readonly weight_norm?: number[];
    readonly initial_magnitude?: number[];
    readonly y: Rows;
    readonly merged: Rows;
    readonly grad: { readonly A: Rows; readonly B: Rows; readonly m?: number[] };
    readonly grad_x: Rows;
  }[];
}

/** Merged weights are sums in f64 that are rounded to f32. */
const MERGED = { rtol: 1e-6, atol: 1e-6 };

function source(name: string, rows: Rows) {
  return floatSource(name, Float32Array.from(rows.flat()), [rows.length, rows[0]!.length]);
}

/** A config in which every module of the file's names is there; the names are all that is looked at. */
function configOf(names: LoraFile['gguf_names']) {
  const blocks = names.map(([peft]) => Number(/layers\.(\d+)\./.exec(peft)?.[1] ?? 0));
  return {
    ...paperChoices,
    width: 8,
    blockCount: Math.max(...blocks) + 1,
    headCount: 2,
    kvHeadCount: 1,
    headSize: 4,
    ffnWidth: 12,
    vocabSize: 10,
    contextLength: 16,
    normEps: 1e-5,
    ropeTheta: 1e4,
    ropeScaling: { kind: 'none' },
    tiedEmbeddings: false,
    attentionBias: false,
    slidingWindow: null,
  } as const;
}

/** The GGUF name of a tensor of PEFT's. */
function ggufName(peft: string, modules: ReadonlyMap<string, Target>): string {
  const [, module, part] = /^base_model\.model\.(.+)\.lora_(?:embedding_)?([AB])(?:\.weight)?$/.exec(peft)!;
  return `${foreignName(modules.get(module!)!, 'gguf')}.lora_${part!.toLowerCase()}`;
}

/** Outputs and gradients are products of a few numbers in f32. */
const COMPUTED = 1e-6;

/** One layer under the tape: y = x · (merged)ᵀ, and the gradients of Σ y · upstream. */
async function compute(path: string, check: Check, create: () => Promise<Device>): Promise<void> {
  const device = await create();
  // The other half of the file is arithmetic of the host, above.
  const parts = ['gguf_names', 'rank', 'alpha', 'merged', 'weight_norm', 'initial_magnitude'];
  const { facts, finish } = readFacts<LoraFile>(path, parts);
  for (const [i, item] of facts.cases.entries()) {
    const at = `case ${i} (${item.kind})`;
    const placed = (rows: Rows | number[]): Tensor => {
      const shape = typeof rows[0] === 'number' ? [rows.length] : [rows.length, (rows[0] as number[]).length];
      const tensor = device.allocate(shape);
      device.write(tensor, Float32Array.from(rows.flat() as number[]));
      return tensor;
    };
    const weight = source('W', item.W);
    const w_OI = device.placeWeight(weight, null);
    const [a_RI, b_OR, x_NI] = [placed(item.A), placed(item.B), placed(item.x)];
    const O = item.W.length;
    const dora = item.magnitude && {
      magnitude_O: placed(item.magnitude),
      squares_O: device.allocate([O]),
      zeros_O: device.allocate([O]),
    };
    const adapter = { a_RI, b_OR, scale: item.scaling, dora: dora ?? null };
    const squares = rowLengths(weight).map((length) => length ** 2);
    if (dora) await refreshLengths(device, w_OI, squares, adapter);
    const wanted = new Map<Tensor, Gradient>(
      [a_RI, b_OR, x_NI, ...(dora ? [dora.magnitude_O] : [])].map((tensor) => [
        tensor,
        { tensor: device.allocate(tensor.shape), isEmpty: true },
      ]),
    );
    const tape = new Tape(device, wanted, 'none');
    const y_NO = withAdapters(tape.ops, new Map([[w_OI, adapter]])).linear(x_NI, w_OI);
    const dy = tape.gradientOf(y_NO)!;
    device.write(dy.tensor, Float32Array.from(item.upstream.flat()));
    dy.isEmpty = false;
    const y = await device.read(y_NO);
    tape.backward();
    const compare = async (what: string, tensor: Tensor, rows: Rows | number[]) => {
      const found = Float32Array.from(await device.read(wanted.get(tensor)!.tensor));
      check.closeByNorm(`${at} ${what}`, found, Float32Array.from(rows.flat() as number[]), COMPUTED);
    };
    check.closeByNorm(`${at} y`, Float32Array.from(y), Float32Array.from(item.y.flat()), COMPUTED);
    await compare('d A', a_RI, item.grad.A);
    await compare('d B', b_OR, item.grad.B);
    await compare('d x', x_NI, item.grad_x);
    if (dora) await compare('d m', dora.magnitude_O, item.grad.m!);
  }
  check.cases += facts.cases.length;
  finish(check);
}

export const loraKinds: readonly AnyGoldenKind[] = [
  {
    name: 'alignment/lora computed',
    matches: named('alignment', 'lora'),
    devices: trainingDevices,
    run: ({ path }, check, device) => compute(path, check, device),
  },
  {
    name: 'alignment/lora',
    matches: named('alignment', 'lora'),
    devices: [],
    run: ({ path }, check) => {
      const { facts, finish } = readFacts<LoraFile>(path, ['x', 'upstream', 'y', 'grad', 'grad_x']); // computed on devices
      const modules = targetsByModule(configOf(facts.gguf_names));
      for (const [peft, gguf] of facts.gguf_names) check.exact(peft, ggufName(peft, modules), gguf);
      for (const [i, item] of facts.cases.entries()) {
        const at = `case ${i} (${item.kind})`;
        const scale = loraScale({ alpha: item.alpha, rank: item.rank, isRankStabilized: item.kind.includes('rslora') });
        check.close(`${at} scaling`, [scale], [item.scaling], { rtol: 1e-15 });
        const [w, a, b] = [source('W', item.W), source('A', item.A), source('B', item.B)];
        const shape = w.shape as [number, number];
        const target = { use: 'linear', shape } as unknown as Target;
        check.exact(`${at} shapes`, lowRankShapes(target, item.rank), { a: a.shape, b: b.shape });
        const magnitude = item.magnitude ? source('m', [item.magnitude]) : null;
        const layer = { a, b, scale, magnitude };
        check.close(`${at} merged`, readFloats(mergedRows(w, 'linear', layer)), item.merged.flat(), MERGED);
        if (item.weight_norm) check.close(`${at} norms`, rowNorms(w, layer), item.weight_norm, MERGED);
        if (item.initial_magnitude)
          check.close(`${at} first magnitudes`, rowNorms(w, { ...layer, scale: 0 }), item.initial_magnitude, MERGED);
      }
      check.cases += facts.cases.length;
      finish(check);
    },
  },
];
