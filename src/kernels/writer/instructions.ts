/**
 * The instructions of WebAssembly that kernels use: opcode, what they take and what they give.
 * Source: WebAssembly core specification 3.0, §5.4 (binary format of instructions), with relaxed SIMD and threads.
 */

export type Type = 'i32' | 'i64' | 'f32' | 'f64' | 'v128';

export interface Instruction {
  readonly name: string;
  readonly code: readonly number[];
  readonly takes: readonly Type[];
  readonly gives: Type | null;
  /** It does something beside giving a value. */
  readonly acts: boolean;
  /** Of loads and stores: log₂ of the bytes that they move, which the format wants as a hint. */
  readonly align: number | null;
}

export const typeCodes: Readonly<Record<Type, number>> = { i32: 0x7f, i64: 0x7e, f32: 0x7d, f64: 0x7c, v128: 0x7b };

/** An unsigned number in groups of seven bits (LEB128). */
export function unsigned(value: number): number[] {
  const bytes: number[] = [];
  let rest = value >>> 0;
  while (rest > 127) {
    bytes.push((rest & 127) | 128);
    rest >>>= 7;
  }
  bytes.push(rest);
  return bytes;
}

/** A signed number of 32 bits likewise. */
export function signed(value: number): number[] {
  const bytes: number[] = [];
  let rest = value | 0;
  while (rest < -64 || rest > 63) {
    bytes.push((rest & 127) | 128);
    rest >>= 7;
  }
  bytes.push(rest & 127);
  return bytes;
}

type Bytes = ArrayLike<number>;
const lengthOf = (parts: readonly Bytes[]) => parts.reduce((sum, part) => sum + part.length, 0);

/** Parts in a row. */
export function joined(...parts: readonly Bytes[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(lengthOf(parts));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** … behind the number of their bytes. */
export function sized(...parts: readonly Bytes[]): Uint8Array {
  return joined(unsigned(lengthOf(parts)), ...parts);
}

const found = new Map<string, Instruction>();

/** By the specification's name. */
export function instruction(name: string): Instruction {
  const it = found.get(name);
  if (it === undefined)
    throw new Error(`kernel writer: no instruction ${name}; instructions.ts lists those that there are`);
  return it;
}

const SIMD = 0xfd;
const ATOMIC = 0xfe;

/** A row: its first opcode, operands and result, and names with consecutive opcodes from there on ('-': one that is left out). */
function rows(prefix: number | null, acts: boolean, table: readonly (readonly [number, string, string])[]): void {
  for (const [first, signature, names] of table) {
    const [takes, gives] = signature.split('→').map((side) => side.trim().split(' ').filter(Boolean) as Type[]);
    names.split(' ').forEach((name, i) => {
      if (name === '-') return;
      const [called, align] = name.split(':');
      const opcode = first + i;
      const code = prefix === null ? [opcode] : [prefix, ...unsigned(opcode)];
      const logarithm = align === undefined ? null : Number(align);
      found.set(called!, {
        name: called!,
        code,
        takes: takes!,
        gives: gives![0] ?? null,
        acts,
        align: logarithm,
      });
    });
  }
}

rows(null, false, [
  [0x28, 'i32 → i32', 'i32.load:2'],
  [0x29, 'i32 → i64', 'i64.load:3'],
  [0x2a, 'i32 → f32', 'f32.load:2'],
  [0x2b, 'i32 → f64', 'f64.load:3'],
  [0x2c, 'i32 → i32', 'i32.load8_s:0 i32.load8_u:0 i32.load16_s:1 i32.load16_u:1'],
]);
rows(null, true, [
  [0x36, 'i32 i32 →', 'i32.store:2'],
  [0x37, 'i32 i64 →', 'i64.store:3'],
  [0x38, 'i32 f32 →', 'f32.store:2'],
  [0x39, 'i32 f64 →', 'f64.store:3'],
  [0x3a, 'i32 i32 →', 'i32.store8:0 i32.store16:1'],
]);
rows(null, false, [
  [0x1b, 'i32 i32 i32 → i32', 'select'],
  [0x45, 'i32 → i32', 'i32.eqz'],
  [0x46, 'i32 i32 → i32', 'i32.eq i32.ne i32.lt_s i32.lt_u i32.gt_s i32.gt_u i32.le_s i32.le_u i32.ge_s i32.ge_u'],
  [0x5b, 'f32 f32 → i32', 'f32.eq f32.ne f32.lt f32.gt f32.le f32.ge'],
  [0x61, 'f64 f64 → i32', 'f64.eq f64.ne f64.lt f64.gt f64.le f64.ge'],
  [0x67, 'i32 → i32', 'i32.clz i32.ctz i32.popcnt'],
  [
    0x6a,
    'i32 i32 → i32',
    'i32.add i32.sub i32.mul i32.div_s i32.div_u i32.rem_s i32.rem_u i32.and i32.or i32.xor i32.shl i32.shr_s i32.shr_u',
  ],
  [0x8b, 'f32 → f32', 'f32.abs f32.neg f32.ceil f32.floor f32.trunc f32.nearest f32.sqrt'],
  [0x92, 'f32 f32 → f32', 'f32.add f32.sub f32.mul f32.div f32.min f32.max'],
  [0x99, 'f64 → f64', 'f64.abs f64.neg f64.ceil f64.floor f64.trunc f64.nearest f64.sqrt'],
  [0xa0, 'f64 f64 → f64', 'f64.add f64.sub f64.mul f64.div f64.min f64.max'],
  [0xb2, 'i32 → f32', 'f32.convert_i32_s f32.convert_i32_u'],
  [0xb6, 'f64 → f32', 'f32.demote_f64'],
  [0xb7, 'i32 → f64', 'f64.convert_i32_s f64.convert_i32_u'],
  [0xbb, 'f32 → f64', 'f64.promote_f32'],
  [0xbc, 'f32 → i32', 'i32.reinterpret_f32'],
  [0xbe, 'i32 → f32', 'f32.reinterpret_i32'],
]);

rows(0xfc, false, [
  [0, 'f32 → i32', 'i32.trunc_sat_f32_s i32.trunc_sat_f32_u'],
  [2, 'f64 → i32', 'i32.trunc_sat_f64_s i32.trunc_sat_f64_u'],
]);
rows(SIMD, false, [
  [
    0,
    'i32 → v128',
    'v128.load:4 v128.load8x8_s:3 v128.load8x8_u:3 v128.load16x4_s:3 v128.load16x4_u:3 v128.load32x2_s:3 v128.load32x2_u:3 v128.load8_splat:0 v128.load16_splat:1 v128.load32_splat:2 v128.load64_splat:3',
  ],
  [0x5c, 'i32 → v128', 'v128.load32_zero:2 v128.load64_zero:3'],
]);
rows(SIMD, true, [[11, 'i32 v128 →', 'v128.store:4']]);
rows(SIMD, false, [
  [13, 'v128 v128 → v128', 'i8x16.shuffle i8x16.swizzle'],
  [15, 'i32 → v128', 'i8x16.splat i16x8.splat i32x4.splat'],
  [18, 'i64 → v128', 'i64x2.splat'],
  [19, 'f32 → v128', 'f32x4.splat'],
  [20, 'f64 → v128', 'f64x2.splat'],
  [21, 'v128 → i32', 'i8x16.extract_lane_s i8x16.extract_lane_u'],
  [24, 'v128 → i32', 'i16x8.extract_lane_s i16x8.extract_lane_u'],
  [27, 'v128 → i32', 'i32x4.extract_lane'],
  [31, 'v128 → f32', 'f32x4.extract_lane'],
  [33, 'v128 → f64', 'f64x2.extract_lane'],
  [28, 'v128 i32 → v128', 'i32x4.replace_lane'],
  [32, 'v128 f32 → v128', 'f32x4.replace_lane'],
  [35, 'v128 v128 → v128', 'i8x16.eq i8x16.ne i8x16.lt_s i8x16.lt_u i8x16.gt_s i8x16.gt_u'],
  [45, 'v128 v128 → v128', 'i16x8.eq i16x8.ne i16x8.lt_s i16x8.lt_u i16x8.gt_s i16x8.gt_u'],
  [
    55,
    'v128 v128 → v128',
    'i32x4.eq i32x4.ne i32x4.lt_s i32x4.lt_u i32x4.gt_s i32x4.gt_u i32x4.le_s i32x4.le_u i32x4.ge_s i32x4.ge_u',
  ],
  [65, 'v128 v128 → v128', 'f32x4.eq f32x4.ne f32x4.lt f32x4.gt f32x4.le f32x4.ge'],
  [77, 'v128 → v128', 'v128.not'],
  [78, 'v128 v128 → v128', 'v128.and v128.andnot v128.or v128.xor'],
  [82, 'v128 v128 v128 → v128', 'v128.bitselect'],
  [83, 'v128 → i32', 'v128.any_true'],
  [94, 'v128 → v128', 'f32x4.demote_f64x2_zero f64x2.promote_low_f32x4'],
  [96, 'v128 → v128', 'i8x16.abs i8x16.neg'],
  [101, 'v128 v128 → v128', 'i8x16.narrow_i16x8_s i8x16.narrow_i16x8_u'],
  [103, 'v128 → v128', 'f32x4.ceil f32x4.floor f32x4.trunc f32x4.nearest'],
  [107, 'v128 i32 → v128', 'i8x16.shl i8x16.shr_s i8x16.shr_u'],
  [110, 'v128 v128 → v128', 'i8x16.add - - i8x16.sub'],
  [118, 'v128 v128 → v128', 'i8x16.min_s i8x16.min_u i8x16.max_s i8x16.max_u'],
  [128, 'v128 → v128', 'i16x8.abs i16x8.neg'],
  [133, 'v128 v128 → v128', 'i16x8.narrow_i32x4_s i16x8.narrow_i32x4_u'],
  [
    135,
    'v128 → v128',
    'i16x8.extend_low_i8x16_s i16x8.extend_high_i8x16_s i16x8.extend_low_i8x16_u i16x8.extend_high_i8x16_u',
  ],
  [139, 'v128 i32 → v128', 'i16x8.shl i16x8.shr_s i16x8.shr_u'],
  [142, 'v128 v128 → v128', 'i16x8.add - - i16x8.sub - - - i16x8.mul i16x8.min_s i16x8.min_u i16x8.max_s i16x8.max_u'],
  [
    156,
    'v128 v128 → v128',
    'i16x8.extmul_low_i8x16_s i16x8.extmul_high_i8x16_s i16x8.extmul_low_i8x16_u i16x8.extmul_high_i8x16_u',
  ],
  [160, 'v128 → v128', 'i32x4.abs i32x4.neg'],
  [
    167,
    'v128 → v128',
    'i32x4.extend_low_i16x8_s i32x4.extend_high_i16x8_s i32x4.extend_low_i16x8_u i32x4.extend_high_i16x8_u',
  ],
  [171, 'v128 i32 → v128', 'i32x4.shl i32x4.shr_s i32x4.shr_u'],
  [174, 'v128 v128 → v128', 'i32x4.add'],
  [177, 'v128 v128 → v128', 'i32x4.sub'],
  [181, 'v128 v128 → v128', 'i32x4.mul i32x4.min_s i32x4.min_u i32x4.max_s i32x4.max_u i32x4.dot_i16x8_s'],
  [224, 'v128 → v128', 'f32x4.abs f32x4.neg - f32x4.sqrt'],
  [228, 'v128 v128 → v128', 'f32x4.add f32x4.sub f32x4.mul f32x4.div f32x4.min f32x4.max f32x4.pmin f32x4.pmax'],
  [236, 'v128 → v128', 'f64x2.abs f64x2.neg - f64x2.sqrt'],
  [240, 'v128 v128 → v128', 'f64x2.add f64x2.sub f64x2.mul f64x2.div'],
  [248, 'v128 → v128', 'i32x4.trunc_sat_f32x4_s i32x4.trunc_sat_f32x4_u f32x4.convert_i32x4_s f32x4.convert_i32x4_u'],
  [0x100, 'v128 v128 → v128', 'i8x16.relaxed_swizzle'],
  [0x105, 'v128 v128 v128 → v128', 'f32x4.relaxed_madd f32x4.relaxed_nmadd'],
  [0x112, 'v128 v128 → v128', 'i16x8.relaxed_dot_i8x16_i7x16_s'],
  [0x113, 'v128 v128 v128 → v128', 'i32x4.relaxed_dot_i8x16_i7x16_add_s'],
]);

rows(ATOMIC, true, [
  [0x00, 'i32 i32 → i32', 'memory.atomic.notify:2'],
  [0x01, 'i32 i32 i64 → i32', 'memory.atomic.wait32:2'],
  [0x10, 'i32 → i32', 'i32.atomic.load:2'],
  [0x17, 'i32 i32 →', 'i32.atomic.store:2'],
  [0x1e, 'i32 i32 → i32', 'i32.atomic.rmw.add:2'],
  [0x25, 'i32 i32 → i32', 'i32.atomic.rmw.sub:2'],
]);
