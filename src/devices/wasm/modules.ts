/**
 * The kernels, compiled: those that TypeScript writes here and now (kernels/kernels.ts), and those of AssemblyScript, embedded in the package.
 * Three builds, whose results over int8 activations agree to the bit. AssemblyScript's are all made for shared memory; for an unshared one,
 * the import's one flag is changed.
 */
import { assert } from '../../base/assert.ts';
import { UnsupportedError } from '../../base/errors.ts';
import { dot, plain, relaxed } from '../../kernels/generated/modules.ts';
import { kernelModule } from '../../kernels/kernels.ts';
import { hasExactDot, hasRelaxedSimd } from './dot-probe.ts';
import type { KernelModules } from './kernel-exports.ts';

export { instantiate, type KernelExports } from './kernel-exports.ts';

/** 'dot': relaxed SIMD, on a processor with an exact 8-bit dot product; 'relaxed': relaxed SIMD; 'plain': neither. */
export const simdBuilds = ['dot', 'relaxed', 'plain'] as const;
export type SimdBuild = (typeof simdBuilds)[number];

/** Of a clone that has only been installed, some may be empty: `npm ci` makes the one that runs on its machine. */
const texts: Readonly<Record<SimdBuild, string>> = { dot, relaxed, plain };

/** The builds that run right here, the fastest first. */
export function usableBuilds(): readonly SimdBuild[] {
  const builds = hasRelaxedSimd() ? simdBuilds.slice(hasExactDot() ? 0 : 1) : (['plain'] as const);
  return builds.filter((simd) => texts[simd] !== '');
}

/** The bytes of one build; every call makes them anew. */
export async function kernelBytes(simd: SimdBuild, shared: boolean): Promise<Uint8Array<ArrayBuffer>> {
  const packed = new Blob([decodeBase64(texts[simd])]).stream().pipeThrough(new DecompressionStream('gzip'));
  const bytes = new Uint8Array(await new Response(packed).arrayBuffer());
  if (!shared) bytes[memoryFlagsAt(bytes)] = HAS_MAXIMUM;
  return bytes;
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

/** The kernels of one build, as they are handed to the engine: AssemblyScript's, and those that TypeScript has written. */
export interface KernelBinaries {
  readonly simd: SimdBuild;
  readonly shared: boolean;
  readonly module: Uint8Array<ArrayBuffer>;
  readonly written: Uint8Array<ArrayBuffer>;
}

/** The fastest build that the engine takes, or the one asked for, compiled. */
export async function compileKernels(options: CompileOptions): Promise<CompiledKernels> {
  return compileBinaries(await kernelBinaries(options));
}

export async function compileBinaries({ module, written, ...build }: KernelBinaries): Promise<CompiledKernels> {
  const [one, two] = await Promise.all([module, written].map((each) => WebAssembly.compile(each)));
  return { ...build, module: one!, written: two! };
}

export async function kernelBinaries({ simd = 'auto', shared, isApart }: CompileOptions): Promise<KernelBinaries> {
  const usable = usableBuilds();
  const chosen = simd === 'auto' ? (usable[0] ?? 'plain') : simd;
  if (texts[chosen] === '') {
    throw new UnsupportedError(
      'wasm.simd',
      `wasm device: the ${chosen} SIMD kernels are not built in this clone. Build them: npm run kernels.`,
    );
  }
  const asWanted = (bytes: Uint8Array<ArrayBuffer>) => (isApart ? apart(bytes) : bytes);
  const bytes = asWanted(await kernelBytes(chosen, shared));
  if (!usable.includes(chosen) || !WebAssembly.validate(bytes)) {
    throw new UnsupportedError(
      'wasm.simd',
      `wasm device: this engine does not take the ${chosen} SIMD kernels. ${chosen === 'plain' ? 'Use a newer engine, or the reference device' : 'Ask for the plain ones'}.`,
    );
  }
  const target = { isRelaxed: chosen !== 'plain', hasDot: chosen === 'dot', isShared: shared };
  return { simd: chosen, shared, module: bytes, written: asWanted(kernelModule(target)) };
}

function apart(kernels: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(kernels.length + CUSTOM_SECTION.length);
  bytes.set(kernels);
  bytes.set(CUSTOM_SECTION, kernels.length);
  return bytes;
}

/** A custom section (0), two bytes long: a name of one letter. */
const CUSTOM_SECTION = [0, 2, 1, 0x63];
const IMPORT_SECTION = 2;
const MEMORY = 2;
const HAS_MAXIMUM = 1;
const SHARED = 2;

/**
 * Where a module says that the memory it imports is shared; it imports functions else.
 * Source: WebAssembly core specification §5.5 (sections, imports); threads proposal (limits).
 */
function memoryFlagsAt(bytes: Uint8Array): number {
  let at = 8;
  const number = () => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[at++]!;
      value |= (byte & 127) << shift;
      if (byte < 128) return value;
    }
  };
  while (bytes[at++] !== IMPORT_SECTION) {
    const length = number();
    at += length;
  }
  number(); // bytes of the section
  const count = number();
  for (let i = 0; ; i++) {
    assert(i < count, 'kernels: expected an imported memory');
    for (let name = 0; name < 2; name++) {
      const length = number(); // of the module's name, then of the import's
      at += length;
    }
    if (bytes[at++] === MEMORY) {
      assert(bytes[at] === (HAS_MAXIMUM | SHARED), 'kernels: expected a shared memory');
      return at;
    }
    number(); // a function's type
  }
}

const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';

/** Base64 without Node's Buffer or the DOM's atob. */
function decodeBase64(text: string): Uint8Array<ArrayBuffer> {
  const values = new Uint8Array(128);
  for (let i = 0; i < LETTERS.length; i++) values[LETTERS.charCodeAt(i)] = i;
  const padding = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0;
  const bytes = new Uint8Array((text.length / 4) * 3 - padding);
  for (let i = 0, at = 0; i < text.length; i += 4) {
    const word =
      (values[text.charCodeAt(i)]! << 18) |
      (values[text.charCodeAt(i + 1)]! << 12) |
      (values[text.charCodeAt(i + 2)]! << 6) |
      values[text.charCodeAt(i + 3)]!;
    bytes[at++] = word >> 16;
    if (at < bytes.length) bytes[at++] = word >> 8;
    if (at < bytes.length) bytes[at++] = word;
  }
  return bytes;
}
