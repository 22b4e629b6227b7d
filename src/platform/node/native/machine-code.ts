/**
 * Machine code at run time: bytes that this process writes (kernels/native) are put into memory of their own, which is then made
 * executable and can no longer be written, and called through FFI. Linux on x86-64 with AVX-512 VNNI.
 * Sources: mmap(2), mprotect(2); System V ABI for x86-64; Intel SDM volume 2, CPUID and XGETBV.
 */
import { type NativeKernels, nativeCode } from '../../../kernels/native/kernels.ts';
import { at, Code, r8, rax, rbx, rcx, rdi, rdx, rsi } from '../../../kernels/native/x64/code.ts';
import { writeInt8Limit } from '../../../kernels/native/x64/limit.ts';
import { ffi, findFfi, noFfi } from './ffi.ts';
import { nativeAt } from './placed-code.ts';

const READ_WRITE = 3;
const READ_EXECUTE = 5;
const PRIVATE_ANONYMOUS = 0x22;

export interface LoadedNative extends NativeKernels {
  /** What was placed. */
  readonly code: Uint8Array;
}

/**
 * The kernels as machine code or, in words, why they are not to be had. `isFused`: multiply-adds of floats
 * round once, as in the WebAssembly beside them.
 */
export function loadNative({ isFused } = { isFused: true }): LoadedNative | string {
  if (process.platform !== 'linux' || process.arch !== 'x64')
    return `there is none for ${process.platform} on ${process.arch}`;
  if (findFfi() === null) return noFfi;
  try {
    const missing = missingFeature();
    if (missing !== null) return missing;
    const { bytes, entries } = nativeCode({ isFused });
    return { ...nativeAt({ address: Number(placeCode(bytes)), entries }), code: bytes };
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** A measure of the processor: does so many rounds of LIMIT_ROUND multiply-adds. To be called where loadNative gives kernels. */
export function nativeInt8Limit(): (rounds: number) => void {
  const code = new Code();
  writeInt8Limit(code);
  const run = ffi().decode(placeCode(code.bytes()), ffi().proto('void (int64 rounds)'));
  return (rounds) => void run(rounds);
}

/** Written first, executable afterwards, never both. Throws where the system refuses. */
function placeCode(bytes: Uint8Array): bigint {
  const system = ffi().load('libc.so.6', { global: true });
  const map = system.func('void *mmap(void *at, size_t length, int protection, int flags, int file, int64 offset)');
  const protect = system.func('int mprotect(void *at, size_t length, int protection)');
  const address = map(null, bytes.length, READ_WRITE, PRIVATE_ANONYMOUS, -1, 0) as bigint;
  if (address === null || BigInt.asIntN(64, address) === -1n)
    throw new Error('the system gives no memory for it (mmap)');
  new Uint8Array(ffi().view(address, bytes.length)).set(bytes);
  if (protect(address, bytes.length, READ_EXECUTE) !== 0)
    throw new Error('the system does not let a program make memory executable (mprotect)');
  return address;
}

/** Bits of CPUID's answers, after AVX-512's registers are known to be kept by the system. */
const leaf7Features = [
  { word: 1, bit: 16, name: 'AVX512F' },
  { word: 1, bit: 17, name: 'AVX512DQ' },
  { word: 1, bit: 30, name: 'AVX512BW' },
  { word: 1, bit: 31, name: 'AVX512VL' },
  { word: 2, bit: 11, name: 'AVX512_VNNI' },
] as const;
const OSXSAVE = 27;
/** XCR0: SSE, AVX, and the three parts of AVX-512. */
const KEPT = 0b1110_0110;

function missingFeature(): string | null {
  const { cpuid, keptRegisters } = processor();
  if (!((cpuid(1)[2]! >>> OSXSAVE) & 1)) return 'the processor does not say which registers are kept';
  if (cpuid(0)[0]! < 7) return 'the processor has no AVX-512 VNNI';
  const words = cpuid(7);
  const lacking = leaf7Features.filter(({ word, bit }) => !((words[word]! >>> bit) & 1)).map(({ name }) => name);
  if (lacking.length > 0) return `the processor has no ${lacking.join(', ')}`;
  if ((keptRegisters() & KEPT) !== KEPT) return 'the system does not keep the registers of AVX-512';
  return null;
}

/** CPUID's words (rax, rbx, rcx, rdx) of a leaf, and XCR0, by machine code that every x86-64 has. */
function processor(): { cpuid(leaf: number): readonly number[]; keptRegisters(): number } {
  const code = new Code();
  code.push(rbx);
  code.move(r8, rsi);
  code.move(rax, rdi);
  code.moveNumber(rcx, 0);
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
  const cpuid = ffi().decode(address, ffi().proto('void (int64 leaf, void *words)'));
  const xgetbv = ffi().decode(address + BigInt(xgetbvAt), ffi().proto('void (void *word)'));
  return {
    cpuid(leaf) {
      const words = new Uint32Array(8);
      cpuid(leaf, words);
      return [0, 2, 4, 6].map((i) => words[i]!);
    },
    keptRegisters() {
      const words = new Uint32Array(2);
      xgetbv(words);
      return words[0]!;
    },
  };
}
