/** Activations for a figure: asked for once, kept, and shown until the next ones are there. */
import type { ComponentChildren } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import type { TraceSlice } from '../../inference/observe.ts';
import type { Traces } from '../../inference/remote/traces.ts';
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
      (traces) => void this.done.set(key, traces),
      () => void this.kept.delete(key),
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
  readonly children: (traces: Traces, x: X) => ComponentChildren;
}

export function Traced({ x, names, slice = {}, children }: TracedProps) {
  const key = JSON.stringify([x.serial, x.ids, names, slice]);
  const [, redraw] = useState(0);
  const [trouble, setTrouble] = useState('');
  const rendered = useRef<ComponentChildren>(null);
  const there = x.cache.now(key);
  if (there) rendered.current = children(there, x);
  useEffect(() => {
    if (x.ids.length === 0 || x.cache.now(key)) return;
    let current = true;
    setTrouble('');
    x.cache
      .get(key, () => x.model.trace(x.ids, names, slice))
      .then(
        () => current && redraw((count) => count + 1),
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
