/**
 * The picture of a model, made from what forward() does (recording.ts): boxes with a place, and arrows. One block is drawn whole, the
 * runs of blocks before and after it are one box each.
 */
import type { LlamaConfig } from '../model/config.ts';
import type { Parameter } from '../model/parameters.ts';
import { type Operation, record, type Step } from './recording.ts';

export interface Box {
  readonly id: string;
  readonly kind: 'ids' | 'block' | Operation;
  /** The activation that it makes, if forward() names it. */
  readonly name: string | null;
  readonly letters: readonly string[];
  readonly shape: readonly number[];
  readonly parameters: readonly Parameter[];
  readonly block: number | null;
  /** Its row from the top, and its place in that row from the middle: −0.5 and 0.5 are two side by side. */
  readonly layer: number;
  readonly place: number;
}

export interface Diagram {
  readonly boxes: readonly Box[];
  readonly arrows: readonly (readonly [from: string, to: string])[];
  readonly layers: number;
  /** Boxes of the widest row. */
  readonly widest: number;
}

/** `block`: the one that is drawn whole; null: none of them. */
export function diagramOf(config: LlamaConfig, block: number | null): Diagram {
  const steps = record(config);
  const last = config.blockCount - 1;
  const others = (own: number) => {
    const [from, to] = block === null ? [0, last] : own < block ? [0, block - 1] : [block + 1, last];
    return from === to ? `block ${from}` : `blocks ${from}–${to}`;
  };
  const idOf = ({ index, block: own }: Step) => (own === null || own === block ? `step ${index}` : others(own));
  const groups = new Map<string, Step[]>();
  for (const step of steps) groups.set(idOf(step), [...(groups.get(idOf(step)) ?? []), step]);
  const arrows = new Map<string, readonly [string, string]>();
  const arrow = (from: string, to: string) => {
    if (from !== to) arrows.set(`${from} > ${to}`, [from, to]);
  };
  for (const step of steps) {
    // What reads no activation reads the ids, or their positions.
    if (step.from.length === 0) arrow('ids', idOf(step));
    for (const from of step.from) arrow(idOf(steps[from]!), idOf(step));
  }
  const layerOf = layersOf(['ids', ...groups.keys()], [...arrows.values()]);
  const rows = new Map<number, string[]>();
  for (const [id, layer] of layerOf) rows.set(layer, [...(rows.get(layer) ?? []), id]);
  const box = (id: string): Box => {
    const row = rows.get(layerOf.get(id)!)!;
    const place = row.indexOf(id) - (row.length - 1) / 2;
    const where = { id, layer: layerOf.get(id)!, place };
    const group = groups.get(id);
    if (!group) return { ...where, kind: 'ids', name: null, letters: ['N'], shape: [2], parameters: [], block: null };
    const end = group.at(-1)!;
    const { letters, shape, operation, block: own } = end;
    const parameters = group.flatMap((step) => step.parameters);
    const kind = id.startsWith('block') ? 'block' : operation;
    return { ...where, kind, name: end.names[0] ?? null, letters, shape, parameters, block: own };
  };
  return {
    boxes: [...layerOf.keys()].map(box),
    arrows: [...arrows.values()],
    layers: Math.max(...layerOf.values()) + 1,
    widest: Math.max(...[...rows.values()].map((row) => row.length)),
  };
}

/** The longest way to each box: ids are in the order of computation, so that what leads to a box stands before it. */
function layersOf(ids: readonly string[], arrows: readonly (readonly [string, string])[]): Map<string, number> {
  const layers = new Map<string, number>();
  for (const id of ids) {
    const before = arrows.flatMap(([from, to]) => (to === id ? [layers.get(from)! + 1] : []));
    layers.set(id, Math.max(0, ...before));
  }
  return layers;
}
