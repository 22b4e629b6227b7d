/**
 * The compiled kernels, embedded in the package: four builds of one source (relaxed or plain SIMD × shared memory or not).
 */
import { UnsupportedError } from '../../base/errors.ts';
import { plainShared, plainSolo, relaxedShared, relaxedSolo } from '../../kernels/generated/modules.ts';

export { instantiate, type KernelExports } from './kernel-exports.ts';

export type SimdBuild = 'relaxed' | 'plain';

/** Whether this engine has relaxed SIMD: it validates a function that uses it. */
export function hasRelaxedSimd(): boolean {
  return WebAssembly.validate(kernelBytes('relaxed', false));
}

/** The bytes of one build; every call decodes them anew. */
export function kernelBytes(simd: SimdBuild, shared: boolean): Uint8Array<ArrayBuffer> {
  if (simd === 'relaxed') return decodeBase64(shared ? relaxedShared : relaxedSolo);
  return decodeBase64(shared ? plainShared : plainSolo);
}

/** Compiles the fastest build that the engine takes, or the one asked for. */
export async function compileKernels(
  simd: SimdBuild | 'auto',
  shared: boolean,
): Promise<{ module: WebAssembly.Module; simd: SimdBuild }> {
  const chosen = simd === 'auto' ? (hasRelaxedSimd() ? 'relaxed' : 'plain') : simd;
  const bytes = kernelBytes(chosen, shared);
  if (!WebAssembly.validate(bytes)) {
    throw new UnsupportedError(
      'wasm.simd',
      `wasm device: this engine does not take the ${chosen} SIMD kernels. ${chosen === 'relaxed' ? 'Ask for the plain ones' : 'Use a newer engine, or the reference device'}.`,
    );
  }
  return { module: await WebAssembly.compile(bytes), simd: chosen };
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
      (values[text.charCodeAt(i + 2) & 127]! << 6) |
      values[text.charCodeAt(i + 3) & 127]!;
    bytes[at++] = word >> 16;
    if (at < bytes.length) bytes[at++] = word >> 8;
    if (at < bytes.length) bytes[at++] = word;
  }
  return bytes;
}
