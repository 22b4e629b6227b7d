/**
 * What the engine's 8-bit dot product does where the standard leaves it open: i32x4.relaxed_dot_i8x16_i7x16_add_s with a second operand
 * above 127. Processors with such an instruction (x86: AVX-VNNI) read it as 0…255 and add four products exactly; others do it in
 * steps that overflow, and are faster with 16-bit sums.
 * Source: WebAssembly relaxed SIMD, "relaxed integer dot product"; Intel's manual, VPDPBUSD.
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
  const dot = (exports as { dot(x: number, w: number): number }).dot;
  return [-128, -1, 3, 127].every((x) => [0, 1, 127, 128, 255].every((w) => dot(x, w) === 4 * x * w));
}

/** A module that exports dot(x, w): the first lane of the instruction over vectors filled with x and with w. */
function dotOfSplats(): Uint8Array<ArrayBuffer> {
  const body = [
    ...[0, 0x20, 0, 0xfd, 0x0f], // no locals; local.get 0, i8x16.splat
    ...[0x20, 1, 0xfd, 0x0f],
    ...[0x41, 0, 0xfd, 0x11], // i32.const 0, i32x4.splat
    ...[0xfd, 0x93, 0x02], // i32x4.relaxed_dot_i8x16_i7x16_add_s
    ...[0xfd, 0x1b, 0, 0x0b], // i32x4.extract_lane 0, end
  ];
  return Uint8Array.from([
    ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...[1, 7, 1, 0x60, 2, 0x7f, 0x7f, 1, 0x7f], // type (i32, i32) → i32
    ...[3, 2, 1, 0],
    ...[7, 7, 1, 3, 0x64, 0x6f, 0x74, 0, 0], // export "dot"
    ...[10, body.length + 2, 1, body.length, ...body],
  ]);
}
