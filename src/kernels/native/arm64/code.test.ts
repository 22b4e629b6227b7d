import { deepStrictEqual, throws } from 'node:assert/strict';
import { test } from 'node:test';
import { at, Code, sp, x0, x1, x2, x7, x8, x9, x13, x15 } from './code.ts';

/** As GNU as 2.40 writes the line: one word an instruction. */
const encodings: readonly (readonly [line: string, write: (code: Code) => void, ...words: number[]])[] = [
  ['mov x8, x13', (code) => code.move(x8, x13), 0xaa0d03e8],
  ['mov x9, #42', (code) => code.moveNumber(x9, 42), 0xd2800549],
  ['mov x9, #0x5678; movk x9, #0x1234, lsl #16', (code) => code.moveNumber(x9, 0x12345678), 0xd28acf09, 0xf2a24689],
  ['mov x9, #-8', (code) => code.moveNumber(x9, -8), 0x928000e9],
  ['mov x9, #-26506; movk x9, #0xfffe, lsl #16', (code) => code.moveNumber(x9, -0x1678a), 0x928cf129, 0xf2bfffc9],
  ['add x1, x2, x9', (code) => code.add(x1, x2, x9), 0x8b090041],
  ['sub x9, x9, x8', (code) => code.subtract(x9, x9, x8), 0xcb080129],
  ['mul x3, x7, x8', (code) => code.multiply(3, x7, x8), 0x9b087ce3],
  ['add x15, x1, #160', (code) => code.addNumber(x15, x1, 160), 0x9102802f],
  ['sub sp, sp, #256', (code) => code.addNumber(sp, sp, -256), 0xd10403ff],
  ['lsl x8, x9, #3', (code) => code.shiftLeft(x8, x9, 3), 0xd37df128],
  ['lsr x8, x9, #5', (code) => code.shiftRight(x8, x9, 5), 0xd345fd28],
  ['and x8, x2, #7', (code) => code.lowBits(x8, x2, 3), 0x92400848],
  ['and x1, x1, #0xffffffff', (code) => code.lowBits(x1, x1, 32), 0x92407c21],
  ['cmp x8, x9', (code) => code.compare(x8, x9), 0xeb09011f],
  ['cmp x9, #48', (code) => code.compareNumber(x9, 48), 0xf100c13f],
  ['ret', (code) => code.return(), 0xd65f03c0],
  ['ldr x8, [sp, #72]', (code) => code.moveBytes('load', x8, at(sp, 72)), 0xf94027e8],
  ['str x8, [sp, #248]', (code) => code.moveBytes('store', x8, at(sp, 248)), 0xf9007fe8],
  ['ldr w9, [x0, #1536]', (code) => code.moveBytes('load32', x9, at(x0, 1536)), 0xb9460009],
  ['ldrsh w8, [x2, #38]', (code) => code.moveBytes('loadSigned16', x8, at(x2, 38)), 0x79c04c48],
  ['ldr q31, [x13, #272]', (code) => code.moveBytes('loadVector', 31, at(x13, 272)), 0x3dc045bf],
  ['str q10, [x15, #496]', (code) => code.moveBytes('storeVector', 10, at(x15, 496)), 0x3d807dea],
  ['ldr d12, [x1, #136]', (code) => code.moveBytes('loadLowerHalf', 12, at(x1, 136)), 0xfd40442c],
  ['str d15, [sp, #56]', (code) => code.moveBytes('storeLowerHalf', 15, at(sp, 56)), 0xfd001fef],
  ['ldr s18, [x7, #32]', (code) => code.moveBytes('loadQuarter', 18, at(x7, 32)), 0xbd4020f2],
  ['str s0, [x8, #4]', (code) => code.moveBytes('storeQuarter', 0, at(x8, 4)), 0xbd000500],
  ['and v16.16b, v10.16b, v6.16b', (code) => code.three('and', 16, 10, 6), 0x4e261d50],
  ['orr v16.16b, v16.16b, v11.16b', (code) => code.three('or', 16, 16, 11), 0x4eab1e10],
  ['eor v31.16b, v30.16b, v7.16b', (code) => code.three('xor', 31, 30, 7), 0x6e271fdf],
  ['add v0.4s, v0.4s, v17.4s', (code) => code.three('addInts', 0, 0, 17), 0x4eb18400],
  ['fadd v24.4s, v24.4s, v0.4s', (code) => code.three('addFloats', 24, 24, 0), 0x4e20d718],
  ['fsub v0.4s, v1.4s, v14.4s', (code) => code.three('subtract', 0, 1, 14), 0x4eaed420],
  ['fmul v14.4s, v14.4s, v19.4s', (code) => code.three('multiply', 14, 14, 19), 0x6e33ddce],
  ['tbl v17.16b, {v7.16b}, v18.16b', (code) => code.three('pick', 17, 7, 18), 0x4e1200f1],
  ['smmla v5.4s, v31.16b, v10.16b', (code) => code.three('matrixOfBytes', 5, 31, 10), 0x4e8aa7e5],
  ['zip1 v16.4s, v16.4s, v18.4s', (code) => code.three('zipLower', 16, 16, 18), 0x4e923a10],
  ['zip2 v12.4s, v16.4s, v18.4s', (code) => code.three('zipUpper', 12, 16, 18), 0x4e927a0c],
  ['uzp1 v0.4s, v0.4s, v1.4s', (code) => code.three('even', 0, 0, 1), 0x4e811800],
  ['uzp2 v12.4s, v0.4s, v1.4s', (code) => code.three('odd', 12, 0, 1), 0x4e81580c],
  ['zip1 v8.2d, v8.2d, v9.2d', (code) => code.three('lowerHalves', 8, 8, 9), 0x4ec93908],
  ['zip2 v12.2d, v8.2d, v9.2d', (code) => code.three('upperHalves', 12, 8, 9), 0x4ec9790c],
  ['scvtf v20.4s, v2.4s', (code) => code.two('toFloats', 20, 2), 0x4e21d854],
  ['fcvtl v12.4s, v13.4h', (code) => code.two('widenHalves', 12, 13), 0x0e2179ac],
  ['shll v12.4s, v13.4h, #16', (code) => code.two('widenToUpper', 12, 13), 0x2e6139ac],
  ['sxtl v13.8h, v14.8b', (code) => code.two('widenSigned', 13, 14), 0x0f08a5cd],
  ['uxtl v13.8h, v14.8b', (code) => code.two('widenUnsigned', 13, 14), 0x2f08a5cd],
  ['shl v11.16b, v8.16b, #4', (code) => code.shift('bytesLeft', 11, 8, 4), 0x4f0c550b],
  ['ushr v11.16b, v9.16b, #3', (code) => code.shift('bytesRight', 11, 9, 3), 0x6f0d052b],
  ['shl v13.4s, v14.4s, #16', (code) => code.shift('intsLeft', 13, 14, 16), 0x4f3055cd],
  ['sshr v13.4s, v14.4s, #16', (code) => code.shift('intsRightSigned', 13, 14, 16), 0x4f3005cd],
  ['mov v1.16b, v19.16b', (code) => code.moveVector(1, 19), 0x4eb31e61],
  ['sdot v3.4s, v17.16b, v5.4b[2]', (code) => code.dotBytes(3, 17, 5, 2), 0x4f85ea23],
  ['sdot v0.4s, v31.16b, v11.4b[1]', (code) => code.dotBytes(0, 31, 11, 1), 0x4fabe3e0],
  ['fmul v2.4s, v2.4s, v18.s[0]', (code) => code.multiplyByLane(2, 2, 18, 0), 0x4f929042],
  ['fmul v2.4s, v3.4s, v18.s[3]', (code) => code.multiplyByLane(2, 3, 18, 3), 0x4fb29862],
  ['movi v7.16b, #0x80', (code) => code.fillBytes(7, 0x80), 0x4f04e407],
  ['movi v6.16b, #0x0f', (code) => code.fillBytes(6, 0x0f), 0x4f00e5e6],
  ['dup v19.4s, w8', (code) => code.fill(19, x8), 0x4e040d13],
  [
    'cmp x8, x9; b.hs 8f; b.ls 8f; b 8f; cbnz x9, 8f; cmp x8, x9; 8: ret',
    (code) => {
      const end = { at: null };
      code.compare(x8, x9);
      code.jumpIf('aboveOrEqual', end);
      code.jumpIf('belowOrEqual', end);
      code.jump(end);
      code.jumpUnlessZero(x9, end);
      code.compare(x8, x9);
      code.place(end);
      code.return();
    },
    0xeb09011f,
    0x540000a2,
    0x54000089,
    0x14000003,
    0xb5000049,
    0xeb09011f,
    0xd65f03c0,
  ],
  [
    '8: ret; b.eq 8b; b.ne 8b; b.lo 8b; b 8b; cbnz x15, 8b',
    (code) => {
      const start = { at: null };
      code.place(start);
      code.return();
      for (const condition of ['equal', 'notEqual', 'below'] as const) code.jumpIf(condition, start);
      code.jump(start);
      code.jumpUnlessZero(x15, start);
    },
    0xd65f03c0,
    0x54ffffe0,
    0x54ffffc1,
    0x54ffffa3,
    0x17fffffc,
    0xb5ffff6f,
  ],
];

test('instructions are encoded as an assembler does', () => {
  for (const [line, write, ...words] of encodings) {
    const code = new Code();
    write(code);
    deepStrictEqual(hex(new Uint32Array(code.bytes().buffer)), hex(words), line);
  }
});
const hex = (words: Iterable<number>) => Array.from(words, (word) => word.toString(16));

test('what an instruction has no room for is refused', () => {
  const code = new Code();
  throws(() => code.addNumber(x1, x1, 4096), /12 bits to add/);
  throws(() => code.compareNumber(x1, -1), /12 bits to compare/);
  throws(() => code.moveBytes('loadVector', 0, at(x1, 24)), /loadVector from an offset of 24/);
  throws(() => code.moveBytes('load', x8, at(sp, -8)), /load from an offset of -8/);
  code.jump({ at: null });
  throws(() => code.bytes(), /not placed/);
});
