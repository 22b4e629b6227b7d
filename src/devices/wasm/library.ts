/**
 * The kernels of an engine, which TypeScript writes (kernels/kernels.ts) and the engine compiles, each when it is first asked for, once in
 * a process. Three builds, whose results over int8 activations agree to the bit.
 */
import { UnsupportedError } from '../../base/errors.ts';
import { writeModule } from '../../kernels/kernels.ts';
import { teamModule } from '../../kernels/team/kernel.ts';
import type { Target } from '../../kernels/writer/body.ts';
import { hasExactDot, hasRelaxedSimd } from './dot-probe.ts';

/** 'dot': relaxed SIMD, on a processor with an exact 8-bit dot product; 'relaxed': relaxed SIMD; 'plain': neither. */
export const simdBuilds = ['dot', 'relaxed', 'plain'] as const;
export type SimdBuild = (typeof simdBuilds)[number];

let usable: readonly SimdBuild[] | null = null;

/** The builds that run right here, the fastest first. */
export function usableBuilds(): readonly SimdBuild[] {
  usable ??= hasRelaxedSimd() ? simdBuilds.slice(hasExactDot() ? 0 : 1) : ['plain'];
  return usable;
}

/** What the writer is told of a build, or of the fastest that runs here. */
export function targetOf(shared: boolean, simd: SimdBuild = usableBuilds()[0]!): Target {
  return { isRelaxed: simd !== 'plain', hasDot: simd === 'dot', isShared: shared };
}

export interface KernelLibrary {
  readonly simd: SimdBuild;
  /** Made for a memory that threads can share. */
  readonly shared: boolean;
  /** What shares tasks out among threads. */
  readonly team: WebAssembly.Module;
  /** The kernel of a task, by its number. */
  bytes(task: number): Uint8Array<ArrayBuffer>;
  module(task: number): WebAssembly.Module;
}

export interface LibraryOptions {
  readonly simd?: SimdBuild | 'auto';
  readonly shared: boolean;
}

const libraries = new Map<string, KernelLibrary>();

/** The kernels of the fastest build that the engine takes, or of the one asked for. Throws UnsupportedError `wasm.simd`. */
export function kernelLibrary({ simd = 'auto', shared }: LibraryOptions): KernelLibrary {
  const chosen = simd === 'auto' ? usableBuilds()[0]! : simd;
  const key = `${chosen} ${shared}`;
  const known = libraries.get(key);
  if (known) return known;
  const target = targetOf(shared, chosen);
  const team = teamModule(target);
  if (!usableBuilds().includes(chosen) || !WebAssembly.validate(team)) {
    throw new UnsupportedError(
      'wasm.simd',
      `wasm device: this engine does not take the ${chosen} SIMD kernels. ${chosen === 'plain' ? 'Use a newer engine, or the reference device' : 'Ask for the plain ones'}.`,
    );
  }
  const bytes = onceForEach((task) => writeModule(task, target));
  const module = onceForEach((task) => new WebAssembly.Module(bytes(task)));
  const library = { simd: chosen, shared, team: new WebAssembly.Module(team), bytes, module };
  libraries.set(key, library);
  return library;
}

/** Remembers what was made for each task. */
export function onceForEach<T>(make: (task: number) => T): (task: number) => T {
  const made: T[] = [];
  return (task) => {
    made[task] ??= make(task);
    return made[task];
  };
}
