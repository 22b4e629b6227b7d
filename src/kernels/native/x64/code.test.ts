import { strictEqual } from 'node:assert/strict';
import { test } from 'node:test';
import { at, Code, eachOf, r8, r9, r10, r13, r15, rax, rcx, rdi, rsi, rsp } from './code.ts';

/** Read back by GNU objdump 2.40 as the line says. */
const encodings: readonly (readonly [line: string, write: (code: Code) => void, bytes: string])[] = [
  [
    'vpdpbusd zmm8, zmm0, dword bcst [r9+124]',
    (code) => code.three('dotBytes', 8, 0, eachOf(r9, 124)),
    '62527d5850411f',
  ],
  [
    'vpdpwssd zmm24, zmm29, dword bcst [r13+144]',
    (code) => code.three('dotPairs', 24, 29, eachOf(r13, 144)),
    '62421550524524',
  ],
  ['vaddps zmm20, zmm20, zmm15', (code) => code.three('addFloats', 20, 20, 15), '62c15c4058e7'],
  ['vmovdqu32 zmm20, [rax+64]', (code) => code.loadVector(20, at(rax, 64)), '62e17e486f6001'],
  ['vmovdqu32 [rax+100]{k1}, zmm20', (code) => code.storeMasked(at(rax, 100), 20), '62e17e497fa064000000'],
  ['vmovdqu32 zmm20{k1}{z}, [rsp+64]', (code) => code.loadMasked(20, at(rsp, 64)), '62e17ec96f642401'],
  ['vmovdqu32 [rax+64]{k2}, zmm3', (code) => code.storeMasked(at(rax, 64), 3, 2), '62f17e4a7f5801'],
  ['vfmadd231ps zmm3, zmm24, zmm28', (code) => code.three('multiplyAdd', 3, 24, 28), '62923d40b8dc'],
  ['vcvtph2ps zmm25, [rsi+32]', (code) => code.two('widenHalves', 25, at(rsi, 32)), '62627d48134e01'],
  [
    'vbroadcastss zmm28, [r10+r8*2+4]',
    (code) => code.loadEach(28, { ...at(r10, 4), index: r8, times: 2 }),
    '62027d4818644201',
  ],
  ['vbroadcastss zmm24{k1}, [rcx+16]', (code) => code.loadEach(24, at(rcx, 16), 1), '62627d49184104'],
  ['kmovw k2, eax', (code) => code.mask(rax, 2), 'c5f892d0'],
  ['vpsrlw zmm7, zmm22, 4', (code) => code.shift('wordsRight', 7, 22, 4), '62b1454871d604'],
  ['vpternlogd zmm3, zmm20, zmm30, 0xf8', (code) => code.orAnd(3, 20, 30), '62935d4025def8'],
  [
    'vmovdqu32 ymm16, [rcx+32]; vinserti64x4 zmm16, zmm16, [rcx+304], 1',
    (code) => code.loadHalves(16, at(rcx, 32), at(rcx, 304)),
    '62e17e286f410162e3fd403a813001000001',
  ],
  [
    'vmovdqu32 xmm17, [rcx+128]; vinserti32x4 ymm17, ymm17, [rcx+272], 1',
    (code) => code.loadQuarters(17, at(rcx, 128), at(rcx, 272)),
    '62e17e086f490862e3752038491101',
  ],
  ['vcvtph2ps zmm16, ymm16', (code) => code.two('widenHalves', 16, 16), '62a27d4813c0'],
  ['vpmovsxbw zmm21, ymm21', (code) => code.two('widenSigned', 21, 21), '62a27d4820ed'],
  ['vpbroadcastd zmm31, eax', (code) => code.fill(31, rax), '62627d487cf8'],
  ['vbroadcasti32x4 zmm25, [rcx]', (code) => code.loadRepeated(25, at(rcx)), '62627d485a4900'],
  ['kmovw k1, eax', (code) => code.mask(rax), 'c5f892c8'],
  ['imul r9, r13, 160', (code) => code.multiplyNumber(r9, r13, 160), '4d69cda0000000'],
  ['mov [rsp+8], r13', (code) => code.store(at(rsp, 8), r13), '4c896c2408'],
  ['prefetcht0 [r9+2048]', (code) => code.prefetch(at(r9, 2048)), '410f188900080000'],
  ['prefetcht0 [r10+r15*1+0]', (code) => code.prefetch({ ...at(r10), index: r15 }), '430f184c3a00'],
];

/** The same with vectors of 256 bits (VEX). */
const encodings256: typeof encodings = [
  ['vpdpbusd ymm1, ymm4, ymm6', (code) => code.three('dotBytes', 1, 4, 6), 'c4e25d50ce'],
  ['vpmaddubsw ymm7, ymm12, ymm6', (code) => code.three('pairsOfBytes', 7, 12, 6), 'c4e21d04fe'],
  ['vpmaddwd ymm0, ymm2, [r8+384]', (code) => code.three('pairsOfWords', 0, 2, at(r8, 384)), 'c4c16df58080010000'],
  ['vpaddw ymm2, ymm2, ymm14', (code) => code.three('addWords', 2, 2, 14), 'c4c16dfdd6'],
  ['vpandn ymm4, ymm13, ymm5', (code) => code.three('andNot', 4, 13, 5), 'c4e115dfe5'],
  ['vpor ymm4, ymm4, ymm7', (code) => code.three('or', 4, 4, 7), 'c4e15debe7'],
  ['vpshufb ymm4, ymm14, ymm4', (code) => code.three('pick', 4, 14, 4), 'c4e20d00e4'],
  ['vmulps ymm8, ymm8, [r13+64]', (code) => code.three('multiply', 8, 8, at(r13, 64)), 'c4413c594540'],
  ['vfmadd231ps ymm3, ymm12, ymm13', (code) => code.three('multiplyAdd', 3, 12, 13), 'c4c21db8dd'],
  ['vmovdqu ymm5, [rsi+96]', (code) => code.loadVector(5, at(rsi, 96)), 'c4e17e6f6e60'],
  ['vmovdqu [r8+224], ymm2', (code) => code.storeVector(at(r8, 224), 2), 'c4c17e7f90e0000000'],
  ['vbroadcastss ymm6, [rdi+28]', (code) => code.loadEach(6, at(rdi, 28)), 'c4e27d18771c'],
  [
    'vbroadcastss ymm6, [r10+r9*2+4]',
    (code) => code.loadEach(6, { ...at(r10, 4), index: r9, times: 2 }),
    'c4827d18744a04',
  ],
  ['vbroadcasti128 ymm4, [rcx]', (code) => code.loadRepeated(4, at(rcx)), 'c4e27d5a6100'],
  ['vcvtph2ps ymm8, [rsi+128]', (code) => code.two('widenHalves', 8, at(rsi, 128)), 'c4627d138680000000'],
  ['vpmovsxbw ymm4, [rsi+128]', (code) => code.two('widenSigned', 4, at(rsi, 128)), 'c4e27d20a680000000'],
  ['vcvtdq2ps ymm9, ymm9', (code) => code.two('toFloats', 9, 9), 'c4417c5bc9'],
  ['vpsrlw ymm12, ymm5, 4', (code) => code.shift('wordsRight', 12, 5, 4), 'c4e11d71d504'],
  ['vpsrad ymm1, ymm11, 16', (code) => code.shift('intsRightSigned', 1, 11, 16), 'c4c17572e310'],
  ['vmovd xmm13, eax; vpbroadcastd ymm13, xmm13', (code) => code.fill(13, rax), 'c461796ee8c4427d58ed'],
  ['vmovq xmm6, rax; vpmovsxbd ymm6, xmm6', (code) => code.lanesOf(6, rax), 'c4e1f96ef0c4e27d21f6'],
  ['vmaskmovps ymm7, ymm6, [rcx+96]', (code) => code.loadLanes(7, at(rcx, 96), 6), 'c4e24d2c7960'],
  ['vmaskmovps [rax+96], ymm6, ymm2', (code) => code.storeLanes(at(rax, 96), 2, 6), 'c4e24d2e5060'],
  ['vmaskmovps [rsp+32], ymm6, ymm12', (code) => code.storeLanes(at(rsp, 32), 12, 6), 'c4624d2e642420'],
  ['shr rax, cl', (code) => code.shiftRightByRcx(rax), '48d3e8'],
  ['vmovdqu ymm14, [r13]', (code) => code.loadVector(14, at(r13)), 'c4417e6f7500'],
];

test('instructions are encoded as an assembler does', () => {
  for (const [width, table] of [
    [512, encodings],
    [256, encodings256],
  ] as const) {
    for (const [line, write, bytes] of table) {
      const code = new Code(width);
      write(code);
      strictEqual(Buffer.from(code.bytes()).toString('hex'), bytes, line);
    }
  }
});
