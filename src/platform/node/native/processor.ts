/**
 * What a processor can do for our machine code, by its own words and by the system's: an x86-64 answers itself, and the system has to keep
 * its registers; of an AArch64 the system says it.
 * Sources: Intel SDM volume 2, CPUID and XGETBV; getauxval(3) and Linux's arch/arm64/include/uapi/asm/hwcap.h.
 */
import { UnsupportedError } from '../../../base/errors.ts';
import type { NativeWay } from '../../../kernels/native/kernels.ts';
import { at, Code, r8, rax, rbx, rcx, rdi, rdx, rsi } from '../../../kernels/native/x64/code.ts';
import { placeCode } from './executable.ts';
import { ffi } from './ffi.ts';

/** Where CPUID says so: leaf and part of it, word (eax, ebx, ecx, edx) and bit. */
const ofX64 = {
  F16C: { leaf: 1, part: 0, word: 2, bit: 29 },
  AVX2: { leaf: 7, part: 0, word: 1, bit: 5 },
  AVX512F: { leaf: 7, part: 0, word: 1, bit: 16 },
  AVX512DQ: { leaf: 7, part: 0, word: 1, bit: 17 },
  AVX512BW: { leaf: 7, part: 0, word: 1, bit: 30 },
  AVX512VL: { leaf: 7, part: 0, word: 1, bit: 31 },
  AVX512_VNNI: { leaf: 7, part: 0, word: 2, bit: 11 },
  AVX_VNNI: { leaf: 7, part: 1, word: 0, bit: 4 },
} as const;
const AT_HWCAP = 16;
const AT_HWCAP2 = 26;
/** The entry and bit of the auxiliary vector that say so, under the kernel's name for it. */
const ofArm64 = { ASIMDDP: { entry: AT_HWCAP, bit: 20 }, I8MM: { entry: AT_HWCAP2, bit: 13 } } as const;

export type Feature = keyof typeof ofX64 | keyof typeof ofArm64;

/** The processor says which registers the system keeps. */
const OSXSAVE = { leaf: 1, part: 0, word: 2, bit: 27 };
/** XCR0: SSE and AVX, and the three parts of AVX-512. */
const KEPT_256 = 0b110;
const KEPT_512 = 0b1110_0110;

const needs = {
  'AVX-512': { kept: KEPT_512, features: ['AVX512F', 'AVX512DQ', 'AVX512BW', 'AVX512VL', 'AVX512_VNNI'] },
  'AVX-VNNI': { kept: KEPT_256, features: ['AVX2', 'F16C', 'AVX_VNNI'] },
  AVX2: { kept: KEPT_256, features: ['AVX2', 'F16C'] },
  I8MM: { kept: 0, features: ['ASIMDDP', 'I8MM'] },
  DotProd: { kept: 0, features: ['ASIMDDP'] },
} as const satisfies Record<NativeWay, { readonly kept: number; readonly features: readonly Feature[] }>;

/**
 * What the machine lacks for a way of writing kernels, in words; null where it lacks nothing. `without`: features that it is taken
 * not to have.
 */
export function lackingFor(way: NativeWay, without: ReadonlySet<Feature>): string | null {
  here ??= process.arch === 'arm64' ? arm64() : x64();
  if (!here.saysWhatIsKept) return 'the processor does not say which registers are kept';
  const { has, keptRegisters } = here;
  const { kept, features: wanted } = needs[way];
  const lacking = wanted.filter((name) => !has(name));
  if (lacking.length > 0) return `the processor has no ${lacking.join(', ')}`;
  const hidden = wanted.filter((name) => without.has(name));
  if (hidden.length > 0) return `CRIA_CPU_WITHOUT names ${hidden.join(', ')}`;
  if ((keptRegisters() & kept) !== kept) return `the system does not keep the registers of ${way}`;
  return null;
}

/** Features that are not to be used, for tests and measurements: CRIA_CPU_WITHOUT names them, with commas. Throws UnsupportedError `native.feature`. */
export function featuresWithout(env: Readonly<Record<string, string | undefined>>): ReadonlySet<Feature> {
  const known = Object.keys(process.arch === 'arm64' ? ofArm64 : ofX64);
  const names = (env.CRIA_CPU_WITHOUT ?? '').split(',').filter((name) => name !== '');
  const unknown = names.filter((name) => !known.includes(name));
  if (unknown.length > 0) {
    throw new UnsupportedError(
      'native.feature',
      `CRIA_CPU_WITHOUT: expected names with commas, of ${known.join(', ')}; found ${unknown.map((name) => JSON.stringify(name)).join(', ')}. Leave them out.`,
    );
  }
  return new Set(names as Feature[]);
}

interface Processor {
  /** Where it does not, whatever it has is of no use. */
  readonly saysWhatIsKept: boolean;
  has(feature: Feature): boolean;
  /** XCR0. */
  keptRegisters(): number;
}
let here: Processor | undefined;

function arm64(): Processor {
  const getauxval = ffi().load('libc.so.6', { global: true }).func('uint64 getauxval(uint64 type)');
  const says = ({ entry, bit }: (typeof ofArm64)[keyof typeof ofArm64]): boolean =>
    ((BigInt(getauxval(entry) as number | bigint) >> BigInt(bit)) & 1n) === 1n;
  return {
    saysWhatIsKept: true,
    has: (name) => name in ofArm64 && says(ofArm64[name as keyof typeof ofArm64]),
    keptRegisters: () => 0,
  };
}

/** By machine code that every x86-64 has. */
function x64(): Processor {
  const code = new Code();
  code.push(rbx);
  code.move(r8, rdx);
  code.move(rax, rdi);
  code.move(rcx, rsi);
  code.cpuid();
  [rax, rbx, rcx, rdx].forEach((register, i) => {
    code.store(at(r8, 8 * i), register);
  });
  code.pop(rbx);
  code.return();
  const xgetbvAt = code.length;
  code.moveNumber(rcx, 0);
  code.xgetbv();
  code.store(at(rdi), rax);
  code.return();
  const address = placeCode(code.bytes());
  const call = ffi().decode(address, ffi().proto('void (int64 leaf, int64 part, void *words)'));
  const xgetbv = ffi().decode(address + BigInt(xgetbvAt), ffi().proto('void (void *word)'));
  const cpuid = (leaf: number, part: number): readonly number[] => {
    const words = new Uint32Array(8);
    call(leaf, part, words);
    return [0, 2, 4, 6].map((i) => words[i]!);
  };
  const says = ({ leaf, part, word, bit }: (typeof ofX64)[keyof typeof ofX64] | typeof OSXSAVE): boolean =>
    cpuid(0, 0)[0]! >= leaf && ((cpuid(leaf, part)[word]! >>> bit) & 1) === 1;
  return {
    saysWhatIsKept: says(OSXSAVE),
    has: (name) => name in ofX64 && says(ofX64[name as keyof typeof ofX64]),
    keptRegisters() {
      const words = new Uint32Array(2);
      xgetbv(words);
      return words[0]!;
    },
  };
}
