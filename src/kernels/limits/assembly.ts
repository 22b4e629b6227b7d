// What the machine can do at best from WebAssembly: the denominators of `cria bench --roofline`. Not part of any model.
//
// Written like the kernels they stand for: pairs of neighbouring vectors from load to store, which V8's revectorizer joins to 256 bits.
import { dotGrow, madd } from '../simd.assembly';

/** Reads `bytes` (a multiple of 128) from `from` on; what was read is folded into 128 bytes at `out`, so that nothing is skipped. */
export function limitRead(from: usize, bytes: usize, out: usize): void {
  let a0 = i64x2.splat(0);
  let a1 = i64x2.splat(0);
  let b0 = i64x2.splat(0);
  let b1 = i64x2.splat(0);
  let c0 = i64x2.splat(0);
  let c1 = i64x2.splat(0);
  let d0 = i64x2.splat(0);
  let d1 = i64x2.splat(0);
  const end = from + bytes;
  for (let p = from; p < end; p += 128) {
    a0 = i64x2.add(a0, v128.load(p));
    a1 = i64x2.add(a1, v128.load(p, 16));
    b0 = i64x2.add(b0, v128.load(p, 32));
    b1 = i64x2.add(b1, v128.load(p, 48));
    c0 = i64x2.add(c0, v128.load(p, 64));
    c1 = i64x2.add(c1, v128.load(p, 80));
    d0 = i64x2.add(d0, v128.load(p, 96));
    d1 = i64x2.add(d1, v128.load(p, 112));
  }
  v128.store(out, a0);
  v128.store(out, a1, 16);
  v128.store(out, b0, 32);
  v128.store(out, b1, 48);
  v128.store(out, c0, 64);
  v128.store(out, c1, 80);
  v128.store(out, d0, 96);
  v128.store(out, d1, 112);
}

/** Multiply-adds of int8 in a tile of 8 rows × 4 activations over 4 KiB that stay in the cache: 128 each step of 32 bytes. */
export function limitInt8(buffer: usize, rounds: i32, out: usize): void {
  for (let round = 0; round < rounds; round++) {
    let a0 = i16x8.splat(0);
    let a1 = i16x8.splat(0);
    let b0 = i16x8.splat(0);
    let b1 = i16x8.splat(0);
    let c0 = i16x8.splat(0);
    let c1 = i16x8.splat(0);
    let d0 = i16x8.splat(0);
    let d1 = i16x8.splat(0);
    for (let p = buffer, end = buffer + 4096; p < end; p += 32) {
      const w0 = v128.load(p);
      const w1 = v128.load(p, 16);
      const a = v128.load32_splat(p);
      const b = v128.load32_splat(p, 4);
      const c = v128.load32_splat(p, 8);
      const d = v128.load32_splat(p, 12);
      a0 = dotGrow(a, w0, a0);
      a1 = dotGrow(a, w1, a1);
      b0 = dotGrow(b, w0, b0);
      b1 = dotGrow(b, w1, b1);
      c0 = dotGrow(c, w0, c0);
      c1 = dotGrow(c, w1, c1);
      d0 = dotGrow(d, w0, d0);
      d1 = dotGrow(d, w1, d1);
    }
    v128.store(out, a0);
    v128.store(out, a1, 16);
    v128.store(out, b0, 32);
    v128.store(out, b1, 48);
    v128.store(out, c0, 64);
    v128.store(out, c1, 80);
    v128.store(out, d0, 96);
    v128.store(out, d1, 112);
  }
}

/** Multiply-adds of f32 in a tile of 4 × 16 over 4 KiB that stay in the cache: 64 each step of 64 bytes. */
export function limitF32(buffer: usize, rounds: i32, out: usize): void {
  for (let round = 0; round < rounds; round++) {
    let a0 = f32x4.splat(0);
    let a1 = f32x4.splat(0);
    let a2 = f32x4.splat(0);
    let a3 = f32x4.splat(0);
    let b0 = f32x4.splat(0);
    let b1 = f32x4.splat(0);
    let b2 = f32x4.splat(0);
    let b3 = f32x4.splat(0);
    let c0 = f32x4.splat(0);
    let c1 = f32x4.splat(0);
    let c2 = f32x4.splat(0);
    let c3 = f32x4.splat(0);
    let d0 = f32x4.splat(0);
    let d1 = f32x4.splat(0);
    let d2 = f32x4.splat(0);
    let d3 = f32x4.splat(0);
    for (let p = buffer, end = buffer + 4096; p < end; p += 64) {
      const w0 = v128.load(p);
      const w1 = v128.load(p, 16);
      const w2 = v128.load(p, 32);
      const w3 = v128.load(p, 48);
      const a = v128.load32_splat(p);
      a0 = madd(a, w0, a0);
      a1 = madd(a, w1, a1);
      a2 = madd(a, w2, a2);
      a3 = madd(a, w3, a3);
      const b = v128.load32_splat(p, 4);
      b0 = madd(b, w0, b0);
      b1 = madd(b, w1, b1);
      b2 = madd(b, w2, b2);
      b3 = madd(b, w3, b3);
      const c = v128.load32_splat(p, 8);
      c0 = madd(c, w0, c0);
      c1 = madd(c, w1, c1);
      c2 = madd(c, w2, c2);
      c3 = madd(c, w3, c3);
      const d = v128.load32_splat(p, 12);
      d0 = madd(d, w0, d0);
      d1 = madd(d, w1, d1);
      d2 = madd(d, w2, d2);
      d3 = madd(d, w3, d3);
    }
    v128.store(out, a0);
    v128.store(out, a1, 16);
    v128.store(out, a2, 32);
    v128.store(out, a3, 48);
    v128.store(out, b0, 64);
    v128.store(out, b1, 80);
    v128.store(out, b2, 96);
    v128.store(out, b3, 112);
    v128.store(out, c0, 128);
    v128.store(out, c1, 144);
    v128.store(out, c2, 160);
    v128.store(out, c3, 176);
    v128.store(out, d0, 192);
    v128.store(out, d1, 208);
    v128.store(out, d2, 224);
    v128.store(out, d3, 240);
  }
}
