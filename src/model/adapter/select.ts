/** The adapters of an engine, by name; and which of them each sequence is computed with. */
import { ArgumentError } from '../../base/errors.ts';
import { nearestNames } from '../../base/nearest.ts';
import type { Batch } from '../../kernels/batch.ts';
import type { Ops } from '../../kernels/ops.ts';
import { type AdapterUse, adaptedOps, type PlacedAdapter, type RowGroup } from './apply.ts';

/** Adapters by name, or with a number each that multiplies the adapter's own scale: `['pirate']`, `{ pirate: 0.5 }`. */
export type AdapterChoice = readonly string[] | Readonly<Record<string, number>>;

/** What one sequence is computed with. Sequences of equal `key` share their rows' products, and their beginnings in the cache. */
export interface Selection {
  readonly key: string;
  readonly uses: readonly AdapterUse[];
}

export const noAdapters: Selection = { key: '', uses: [] };

/** Where an adapter is used that a call does not name: always, never, or where a conversation is answered. */
export type Usual = boolean | 'chat';

export interface NamedAdapter {
  readonly name: string;
  readonly usual: Usual;
  /** The chat template that it was trained with; null: its file names none. */
  readonly chatTemplate: string | null;
}

/** The chat template of a conversation: that of the last adapter asked for that brings one, else `usual`, which holds where none is asked for. */
export function templateWith(
  usual: string | null,
  adapters: readonly Pick<NamedAdapter, 'name' | 'chatTemplate'>[],
  choice: AdapterChoice | null,
): string | null {
  const asked = Array.isArray(choice)
    ? (choice as readonly string[])
    : Object.entries(choice ?? {}).flatMap(([name, scale]) => (scale === 0 ? [] : [name]));
  const brought = asked.map((name) => adapters.find((adapter) => adapter.name === name)?.chatTemplate ?? null);
  return brought.findLast((template) => template !== null) ?? usual;
}

/** The names of those that are used where nothing is said. */
export function usualNames(
  adapters: readonly Pick<NamedAdapter, 'name' | 'usual'>[],
  isConversation: boolean,
): string[] {
  return adapters.filter(({ usual }) => usual === true || (usual === 'chat' && isConversation)).map(({ name }) => name);
}

export class EngineAdapters {
  readonly named: readonly NamedAdapter[];
  private readonly byName: ReadonlyMap<string, PlacedAdapter>;
  /** Of a sequence that does not say, at the scale with which they were placed. */
  readonly usual: Selection;
  private readonly usualInConversation: Selection;

  /** `named`: the same adapters, as a program knows them. */
  constructor(adapters: readonly PlacedAdapter[], named: readonly NamedAdapter[]) {
    this.named = named;
    this.byName = new Map(adapters.map((adapter) => [adapter.name, adapter]));
    this.usual = this.select(usualNames(named, false));
    this.usualInConversation = this.select(usualNames(named, true));
  }

  /** Throws ArgumentError `generate.adapters`. null: the usual ones, of a conversation or of all else. */
  select(choice: AdapterChoice | null, isConversation = false): Selection {
    if (choice === null) return isConversation ? this.usualInConversation : this.usual;
    const entries = Array.isArray(choice)
      ? (choice as readonly string[]).map((name) => [name, undefined] as const)
      : Object.entries(choice as Readonly<Record<string, number>>);
    const uses = entries.map(([name, scale]) => this.use(name, scale));
    const magnitudes = uses.find(({ adapter }) => adapter.hasMagnitudes);
    if (magnitudes && uses.length > 1)
      throw wrong(
        `${magnitudes.adapter.name} is a DoRA, which sets the length of every row, and cannot be joined by others`,
      );
    const used = uses.filter(({ scale }) => scale !== 0);
    if (used.length === 0) return noAdapters;
    return { key: used.map(({ adapter, scale }) => `${adapter.name}\0${scale}`).join('\0'), uses: used };
  }

  private use(name: string, given: number | undefined): AdapterUse {
    const adapter = this.byName.get(name);
    if (!adapter) {
      const names = [...this.byName.keys()];
      const near = nearestNames(name, names, 1);
      const hint = near.length > 0 ? ` Did you mean ${near[0]}?` : '';
      throw wrong(
        names.length === 0
          ? `${JSON.stringify(name)} is asked for, and the model was loaded without adapters`
          : `${JSON.stringify(name)} is none of ${names.join(', ')}.${hint}`,
      );
    }
    const scale = given ?? adapter.scale;
    if (!(typeof scale === 'number' && Number.isFinite(scale)))
      throw wrong(`the scale of ${name} is ${scale}, expected a finite number`);
    if (adapter.hasMagnitudes && scale !== adapter.scale && scale !== 0)
      throw wrong(`${name} is a DoRA, placed at scale ${adapter.scale}, expected that or 0, found ${scale}`);
    return { adapter, scale };
  }
}

/** Ops that compute one sequence with a selection. */
export function opsForAll(ops: Ops, count: number, { uses }: Selection): Ops {
  return uses.length === 0 ? ops : adaptedOps(ops, count, [{ rows: null, uses }], null);
}

/** Ops that compute each span of a batch with its own selection; `selections` in the order of the spans. */
export function opsFor(ops: Ops, batch: Batch, selections: readonly Selection[], rows_R: Uint32Array): Ops {
  if (selections.every(({ uses }) => uses.length === 0)) return ops;
  const [first] = selections;
  const count = batch.ids.length;
  if (selections.every(({ key }) => key === first!.key))
    return adaptedOps(ops, count, [{ rows: null, uses: first!.uses }], rows_R);
  const groups = new Map<string, { readonly rows: number[]; readonly uses: readonly AdapterUse[] }>();
  for (const [i, { key, uses }] of selections.entries()) {
    if (uses.length === 0) continue;
    const { firstRow, rowCount } = batch.spans[i]!;
    const group = groups.get(key) ?? { rows: [], uses };
    groups.set(key, group);
    for (let row = firstRow; row < firstRow + rowCount; row++) group.rows.push(row);
  }
  const list: RowGroup[] = [...groups.values()].map(({ rows, uses }) => ({ rows: Uint32Array.from(rows), uses }));
  return adaptedOps(ops, count, list, rows_R);
}

function wrong(problem: string): ArgumentError {
  return new ArgumentError('generate.adapters', `adapters: ${problem}.`);
}
