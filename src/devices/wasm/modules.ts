/**
 * The kernels, which TypeScript writes here and now (kernels/kernels.ts), compiled. Three builds, whose results over int8 activations agree
 * to the bit.
 */
import { UnsupportedError } from '../../base/errors.ts';
import { kernelModule } from '../../kernels/kernels.ts';
import { teamModule } from '../../kernels/team/kernel.ts';
import type { Target } from '../../kernels/writer/body.ts';
import { hasExactDot, hasRelaxedSimd } from './dot-probe.ts';
import type { KernelModules } from './kernel-exports.ts';

export { instantiate, type KernelExports } from './kernel-exports.ts';

/** 'dot': relaxed SIMD, on a processor with an exact 8-bit dot product; 'relaxed': relaxed SIMD; 'plain': neither. */
export const simdBuilds = ['dot', 'relaxed', 'plain'] as const;
export type SimdBuild = (typeof simdBuilds)[number];

/** The builds that run right here, the fastest first. */
export function usableBuilds(): readonly SimdBuild[] {
  return hasRelaxedSimd() ? simdBuilds.slice(hasExactDot() ? 0 : 1) : ['plain'];
}

/** What the writer is told of a build, or of the fastest that runs here. */
export function targetOf(shared: boolean, simd: SimdBuild = usableBuilds()[0]!): Target {
  return { isRelaxed: simd !== 'plain', hasDot: simd === 'dot', isShared: shared };
}

export interface CompiledKernels extends KernelModules {
  readonly simd: SimdBuild;
  /** Made for a memory that threads can share. */
  readonly shared: boolean;
}

export interface CompileOptions {
  readonly simd?: SimdBuild | 'auto';
  readonly shared: boolean;
  /** Shares no compiled code with other modules of the same kernels, as engines otherwise do: the bytes differ by an empty section. */
  readonly isApart?: boolean;
}

/** The modules of one build, as they are handed to the engine. */
export interface KernelBinaries {
  readonly simd: SimdBuild;
  readonly shared: boolean;
  readonly kernels: Uint8Array<ArrayBuffer>;
  readonly team: Uint8Array<ArrayBuffer>;
}

/** The fastest build that the engine takes, or the one asked for, compiled. */
export async function compileKernels(options: CompileOptions): Promise<CompiledKernels> {
  return compileBinaries(kernelBinaries(options));
}

export async function compileBinaries({ kernels, team, ...build }: KernelBinaries): Promise<CompiledKernels> {
  const [one, two] = await Promise.all([kernels, team].map((each) => WebAssembly.compile(each)));
  return { ...build, kernels: one!, team: two! };
}

export function kernelBinaries({ simd = 'auto', shared, isApart }: CompileOptions): KernelBinaries {
  const usable = usableBuilds();
  const chosen = simd === 'auto' ? usable[0]! : simd;
  const target = targetOf(shared, chosen);
  const team = teamModule(target);
  if (!usable.includes(chosen) || !WebAssembly.validate(team)) {
    throw new UnsupportedError(
      'wasm.simd',
      `wasm device: this engine does not take the ${chosen} SIMD kernels. ${chosen === 'plain' ? 'Use a newer engine, or the reference device' : 'Ask for the plain ones'}.`,
    );
  }
  const kernels = kernelModule(target);
  return { simd: chosen, shared, kernels: isApart ? apart(kernels) : kernels, team };
}

function apart(kernels: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(kernels.length + CUSTOM_SECTION.length);
  bytes.set(kernels);
  bytes.set(CUSTOM_SECTION, kernels.length);
  return bytes;
}

/** A custom section (0), two bytes long: a name of one letter. */
const CUSTOM_SECTION = [0, 2, 1, 0x63];
