/**
 * What the engine does where the standard leaves it open. Multiply-adds of floats round once or twice; the 8-bit dot product is i32x4.relaxed_dot_i8x16_i7x16_add_s with a second operand
 * above 127. Processors with such an instruction (x86: AVX-VNNI) read it as 0…255 and add four products exactly; others do it in
 * steps that overflow, and are faster with 16-bit sums.
 * Source: WebAssembly relaxed SIMD, "relaxed integer dot product" and "relaxed multiply-add"; Intel's manual, VPDPBUSD.
 */

/** Whether the engine has relaxed SIMD. */
export function hasRelaxedSimd(): boolean {
  return WebAssembly.validate(dotOfSplats());
}

/** Whether relaxed SIMD multiplies i8 by 0…255 and sums exactly, as the 'dot' build of the kernels needs. */
export function hasExactDot(): boolean {
  const bytes = dotOfSplats();
  if (!WebAssembly.validate(bytes)) return false;
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes));
  const dot = (exports as { of(x: number, w: number): number }).of;
  return [-128, -1, 3, 127].every((x) => [0, 1, 127, 128, 255].every((w) => dot(x, w) === 4 * x * w));
}

/** Whether f32x4.relaxed_madd rounds once: V8's does on processors that can, JavaScriptCore's never. */
export function hasFusedMultiplyAdd(): boolean {
  const bytes = moduleOf(0x7d, [
    ...[0, 0x20, 0, 0xfd, 0x13], // no locals; local.get 0, f32x4.splat
    ...[0x20, 0, 0xfd, 0x13],
    ...[0x20, 1, 0xfd, 0x13],
    ...[0xfd, 0x85, 0x02], // f32x4.relaxed_madd
    ...[0xfd, 0x1f, 0, 0x0b], // f32x4.extract_lane 0, end
  ]);
  if (!WebAssembly.validate(bytes)) return false;
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes));
  const squareAnd = (exports as { of(x: number, y: number): number }).of;
  // (1 + 2⁻¹²)² = 1 + 2⁻¹¹ + 2⁻²⁴, whose last bit a product that is rounded loses
  return squareAnd(1 + 2 ** -12, -(1 + 2 ** -11)) === 2 ** -24;
}

/** A module that exports of(x, w): the first lane of the instruction over vectors filled with x and with w. */
function dotOfSplats(): Uint8Array<ArrayBuffer> {
  return moduleOf(0x7f, [
    ...[0, 0x20, 0, 0xfd, 0x0f], // no locals; local.get 0, i8x16.splat
    ...[0x20, 1, 0xfd, 0x0f],
    ...[0x41, 0, 0xfd, 0x11], // i32.const 0, i32x4.splat
    ...[0xfd, 0x93, 0x02], // i32x4.relaxed_dot_i8x16_i7x16_add_s
    ...[0xfd, 0x1b, 0, 0x0b], // i32x4.extract_lane 0, end
  ]);
}

/** A module that exports `of`, a function of two numbers of a type (0x7f: i32, 0x7d: f32) that gives one. */
function moduleOf(type: number, body: readonly number[]): Uint8Array<ArrayBuffer> {
  return Uint8Array.from([
    ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...[1, 7, 1, 0x60, 2, type, type, 1, type],
    ...[3, 2, 1, 0],
    ...[7, 6, 1, 2, 0x6f, 0x66, 0, 0], // export "of"
    ...[10, body.length + 2, 1, body.length, ...body],
  ]);
}
