/** Activations for a figure: asked for once, kept, and shown until the next ones are there. */
import type { ComponentChildren } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import type { TraceSlice } from '../../inference/observe.ts';
import { Traces } from '../../inference/remote/traces.ts';
import type { X } from './x.ts';

/** The newest traces, so that going back and forth asks nobody. */
export class TraceCache {
  private readonly kept = new Map<string, Promise<Traces>>();
  private readonly done = new Map<string, Traces>();

  /** What is there already. */
  now(key: string): Traces | undefined {
    return this.done.get(key);
  }

  get(key: string, ask: () => Promise<Traces>): Promise<Traces> {
    const found = this.kept.get(key) ?? ask();
    this.kept.delete(key);
    this.kept.set(key, found);
    found.then(
      (traces) => this.kept.get(key) === found && void this.done.set(key, traces),
      () => this.kept.get(key) === found && void this.kept.delete(key),
    );
    for (const old of [...this.kept.keys()].slice(0, Math.max(0, this.kept.size - 24))) {
      this.kept.delete(old);
      this.done.delete(old);
    }
    return found;
  }
}

export interface TracedProps {
  readonly x: X;
  readonly names: readonly string[];
  readonly slice?: TraceSlice;
  /** The rows that are shown. Of a short text all are asked for at once, so that another row asks nobody. */
  readonly rows?: readonly number[];
  readonly children: (traces: Traces, x: X, slice: TraceSlice) => ComponentChildren;
}

/** Numbers that are asked for at once, at most. */
const MOST_NUMBERS = 1 << 20;

/** About how many numbers these activations hold, of all rows. */
function sizeOf({ model, ids }: X, names: readonly string[]): number {
  const { width, ffnWidth, vocabSize, headCount, blockCount } = model.facts.config;
  const N = ids.length;
  const of = (name: string) => {
    const each = name.includes('*') ? blockCount + 1 : 1;
    if (/attention\.(scores|probabilities)/.test(name)) return each * headCount * N * N;
    if (/logits|probabilities/.test(name)) return each * N * vocabSize;
    if (/heads/.test(name)) return each * headCount * N * width;
    return each * N * Math.max(width, ffnWidth);
  };
  return names.reduce((sum, name) => sum + of(name), 0);
}

/** These rows of activations of N tokens. */
function only(traces: Traces, rows: readonly number[], N: number): Traces {
  const parts = [...traces].map(([name, { shape, data }]) => {
    const columns = shape.at(-1)!;
    const each = (shape.at(-2)! / N) * columns;
    const heads = shape.length === 3 ? shape[0]! : 1;
    const part = new Float32Array(heads * rows.length * each);
    for (let h = 0; h < heads; h++) {
      for (const [r, row] of rows.entries())
        part.set(data.subarray((h * N + row) * each, (h * N + row + 1) * each), (h * rows.length + r) * each);
    }
    const count = (rows.length * shape.at(-2)!) / N;
    return [name, { shape: [...(shape.length === 3 ? [heads] : []), count, columns], data: part }] as const;
  });
  return new Traces(parts);
}

export function Traced({ x, names, slice: given = {}, rows, children }: TracedProps) {
  const shown: TraceSlice = rows ? { ...given, rows } : given;
  const isWide = rows !== undefined && sizeOf(x, names) <= MOST_NUMBERS;
  const slice = isWide ? given : shown;
  const key = JSON.stringify([x.serial, x.ids, names, slice]);
  const [, redraw] = useState(0);
  const [trouble, setTrouble] = useState('');
  const rendered = useRef<ComponentChildren>(null);
  // The cache forgets, and what another figure asked for comes when it comes: what this one has drawn is its own.
  const held = useRef<{ readonly key: string; readonly traces: Traces } | null>(null);
  const there = held.current?.key === key ? held.current.traces : x.cache.now(key);
  if (there) {
    held.current = { key, traces: there };
    rendered.current = children(isWide ? only(there, rows, x.ids.length) : there, x, shown);
  }
  useEffect(() => {
    if (x.ids.length === 0 || held.current?.key === key) return;
    let current = true;
    setTrouble('');
    x.cache
      .get(key, () => x.model.trace(x.ids, names, slice))
      .then(
        (traces) => {
          if (!current) return;
          held.current = { key, traces };
          redraw((count) => count + 1);
        },
        (error: unknown) => current && setTrouble(error instanceof Error ? error.message : String(error)),
      );
    return () => {
      current = false;
    };
  }, [key]);
  if (trouble !== '')
    return (
      <p class="error" role="alert">
        {trouble}
      </p>
    );
  if (rendered.current === null) return <p class="waiting">…</p>;
  return <div aria-busy={!there}>{rendered.current}</div>;
}
