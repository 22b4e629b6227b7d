import type { NativeKernels, NativePlace, Perform } from '../../../kernels/native/kernels.ts';
import { ffi } from './ffi.ts';

/** The kernels in a thread, by what another one has placed. */
export function nativeAt(place: NativePlace): NativeKernels {
  const type = ffi().proto('void (int64 memory, uint32 first, uint32 last, uint32 thread)');
  const functions = place.entries.map(
    ([task, offset]) => [task, ffi().decode(BigInt(place.address + offset), type)] as const,
  );
  return {
    place,
    bind(memory) {
      let buffer: ArrayBufferLike | null = null;
      let address = 0;
      const bound = functions.map(([task, call]) => {
        const perform: Perform = (first, last, thread) => {
          if (memory.buffer !== buffer) {
            buffer = memory.buffer; // the memory has grown, and may have moved
            address = Number(ffi().address(new Uint8Array(buffer)));
          }
          call(address, first, last, thread);
        };
        return [task, perform] as const;
      });
      return new Map(bound);
    },
  };
}
