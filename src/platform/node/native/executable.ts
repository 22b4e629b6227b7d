/** Memory for code. Sources: mmap(2), mprotect(2); Arm Architecture Reference Manual, B2.4 (caches of instructions and of data). */
import { ffi } from './ffi.ts';

const READ_WRITE = 3;
const READ_EXECUTE = 5;
const PRIVATE_ANONYMOUS = 0x22;

/** Written first, executable afterwards, never both. Throws where the system refuses. */
export function placeCode(bytes: Uint8Array): bigint {
  const system = ffi().load('libc.so.6', { global: true });
  const map = system.func('void *mmap(void *at, size_t length, int protection, int flags, int file, int64 offset)');
  const protect = system.func('int mprotect(void *at, size_t length, int protection)');
  const address = map(null, bytes.length, READ_WRITE, PRIVATE_ANONYMOUS, -1, 0) as bigint;
  if (address === null || BigInt.asIntN(64, address) === -1n)
    throw new Error('the system gives no memory for it (mmap)');
  new Uint8Array(ffi().view(address, bytes.length)).set(bytes);
  if (process.arch === 'arm64') synchronizeCaches(address, bytes.length);
  if (protect(address, bytes.length, READ_EXECUTE) !== 0)
    throw new Error('the system does not let a program make memory executable (mprotect)');
  return address;
}

/**
 * What was written may be in the cache of data yet, and what lay there before in that of instructions: an AArch64 processor takes code from
 * memory only after the program has cleaned one and emptied the other. The compiler's library does it, which Node itself is linked with.
 */
function synchronizeCaches(address: bigint, length: number): void {
  const clear = ffi().load('libgcc_s.so.1', { global: true }).func('void __clear_cache(void *begin, void *end)');
  clear(address, address + BigInt(length));
}
