/** golden/alignment/lora: scales, merged weights and names, and on every training device outputs and gradients. */
import { loraScale, lowRankShapes, type Target, targetsByModule } from '../../src/model/adapter/adapter.ts';
import { floatSource, mergedRows, readFloats, rowNorms } from '../../src/model/adapter/sources.ts';
import { paperChoices } from '../../src/model/config.ts';
import { foreignName } from '../../src/model/parameters.ts';
import { readFacts } from '../support/golden-facts.ts';
import { type AnyGoldenKind, named } from '../support/golden-kinds.ts';

type Rows = readonly (readonly number[])[];

export interface LoraFile {
  readonly gguf_names: readonly (readonly [peft: string, gguf: string])[];
  readonly cases: readonly {
    readonly kind: 'lora' | 'rslora' | 'dora';
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

export const loraKinds: readonly AnyGoldenKind[] = [
  {
    name: 'alignment/lora',
    matches: named('alignment', 'lora'),
    devices: [],
    run: ({ path }, check) => {
      const { facts, finish } = readFacts<LoraFile>(path, ['x', 'upstream', 'y', 'grad', 'grad_x']); // below
      const modules = targetsByModule(configOf(facts.gguf_names));
      for (const [peft, gguf] of facts.gguf_names) check.exact(peft, ggufName(peft, modules), gguf);
      for (const [i, item] of facts.cases.entries()) {
        const at = `case ${i} (${item.kind})`;
        const scale = loraScale({ alpha: item.alpha, rank: item.rank, isRankStabilized: item.kind === 'rslora' });
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
