/** Memory for code. Sources: mmap(2), mprotect(2). */
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
  if (protect(address, bytes.length, READ_EXECUTE) !== 0)
    throw new Error('the system does not let a program make memory executable (mprotect)');
  return address;
}
