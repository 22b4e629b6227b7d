/** Where a head's chunk of a block lies (../layout.ts), by the tile's table of blocks. */
import { at, type Code, rax, rcx, rdx, rsi } from '../../../native/x64/code.ts';
import { countDown, type Frame } from '../../../native/x64/frame.ts';
import { LINE } from './registers.ts';

/** rsi = the address of block rax's chunk. Changes rcx, rdx. */
export function chunkOf(code: Code, frame: Frame): void {
  frame.get(rdx, 'table');
  code.move(rcx, rax);
  code.shiftLeft(rcx, 2);
  code.add(rdx, rcx);
  code.load32(rdx, at(rdx));
  frame.get(rcx, 'head');
  frame.get(rsi, 'blocks');
  code.multiply(rcx, rsi);
  code.add(rcx, rdx);
  frame.get(rsi, 'chunkBytes');
  code.multiply(rcx, rsi);
  frame.get(rsi, 'base');
  code.add(rsi, rcx);
}

/**
 * `toNext`: from block `b`'s chunk to the next one's, which is prefetched while this one is computed. After the last block of a split it is the
 * chunk that most threads read next; where there is none, the address is meaningless, which is harmless: a prefetch never faults. `chunk` is kept.
 */
export function keepNext(code: Code, frame: Frame): void {
  frame.get(rax, 'b');
  code.addNumber(rax, 1);
  chunkOf(code, frame);
  frame.get(rax, 'chunk');
  code.subtract(rsi, rax);
  frame.keep('toNext', rsi);
}

/** Prefetches all of the next chunk, where no loop over what is stored does it line by line. */
export function askForNext(code: Code, frame: Frame): void {
  frame.get(rsi, 'chunk');
  frame.get(rcx, 'toNext');
  code.add(rsi, rcx);
  frame.get(rcx, 'chunkBytes');
  code.shiftRight(rcx, Math.log2(LINE));
  countDown(code, rcx, () => {
    code.prefetch(at(rsi));
    code.addNumber(rsi, LINE);
  });
}
