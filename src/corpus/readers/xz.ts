/**
 * xz files: streams of blocks of LZMA2 chunks, each chunk at most 2 MB unpacked, so that a chunk and the dictionary are all that is held.
 * Checks of 32 and 64 bits are compared; SHA-256 is passed over. Filters for machine code are rejected: text is not packed with them.
 * Source: The .xz File Format, version 1.2.1.
 */
import { FormatError } from '../../base/errors.ts';
import { ByteQueue } from './byte-queue.ts';
import { Crc32, Crc64 } from './crc.ts';
import { LzmaDecoder } from './lzma.ts';
import type { Chunks } from './reader.ts';

const MAGIC = [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0];
const LZMA2 = 0x21;
/** `xz -9` uses 64 MB. */
const MAXIMUM_DICTIONARY = 256 * 2 ** 20;
const checkBytes = [0, 4, 4, 4, 8, 8, 8, 16, 16, 16, 32, 32, 32, 64, 64, 64];

export async function* unxz(input: Chunks, file: string): Chunks {
  const queue = new ByteQueue(input);
  const fail = (problem: string): never => {
    throw new FormatError(
      { code: 'input.xz', file, where: `byte ${queue.position}` },
      problem,
      'What came before it was kept; fetch the file again.',
    );
  };
  const take = async (count: number): Promise<Uint8Array> => (await queue.take(count)) ?? fail('the file ends here');
  for (let first = true; ; first = false) {
    // Streams may follow each other, with zeros between them.
    while ((await queue.fill(4)) && !first && queue.ready.subarray(0, 4).every((byte) => byte === 0)) queue.consume(4);
    if (!first && !(await queue.fill(1))) return;
    const header = await take(12);
    if (!MAGIC.every((byte, i) => header[i] === byte))
      fail(first ? 'no xz header' : 'bytes after the end of the xz data');
    const kind = header[7]! & 15;
    for (;;) {
      const size = (await take(1))[0]!;
      if (size === 0) break;
      yield* block(await take(size * 4 + 3), kind);
    }
    await index();
    const footer = await take(12);
    if (footer[10] !== 0x59 || footer[11] !== 0x5a) fail('no xz footer');
  }

  async function* block(header: Uint8Array, kind: number): Chunks {
    const flags = header[0]!;
    let at = 1;
    const number = (): number => {
      let value = 0;
      for (let shift = 1; ; shift *= 128) {
        const byte = header[at++] ?? fail('a number does not end in its header');
        value += (byte & 127) * shift;
        if (byte < 128) return value;
        if (shift > 2 ** 49) fail('a number of more than 56 bits');
      }
    };
    if (flags & 0x40) number();
    if (flags & 0x80) number();
    const id = number();
    const properties = number();
    if ((flags & 3) !== 0 || id !== LZMA2 || properties !== 1)
      fail('a filter other than LZMA2, which is not read here');
    const bits = header[at]! & 63;
    const dictionary = bits === 40 ? 0xffffffff : (2 | (bits & 1)) * 2 ** (Math.floor(bits / 2) + 11);
    if (bits > 40 || dictionary > MAXIMUM_DICTIONARY)
      fail(`a dictionary of ${dictionary} bytes, more than the ${MAXIMUM_DICTIONARY} that are held here`);
    const decoder = new LzmaDecoder(dictionary);
    const check = kind === 1 ? new Crc32() : kind === 4 ? new Crc64() : undefined;
    const begun = queue.position;
    for (let control = (await take(1))[0]!; control !== 0; control = (await take(1))[0]!) {
      const chunk = control >= 0x80 ? await packed(control, decoder) : await stored(control, decoder);
      check?.add(chunk);
      yield chunk;
    }
    await take((4 - ((queue.position - begun) % 4)) % 4);
    const wanted = await take(checkBytes[kind]!);
    if (check?.digest().some((byte, i) => byte !== wanted[i])) fail('the checksum of a block does not fit');
  }

  async function packed(control: number, decoder: LzmaDecoder): Promise<Uint8Array> {
    const sizes = await take(4);
    const unpackedBytes = ((control & 31) << 16) + (sizes[0]! << 8) + sizes[1]! + 1;
    const packedBytes = (sizes[2]! << 8) + sizes[3]! + 1;
    const reset = (control >> 5) & 3;
    try {
      if (reset === 3) decoder.forget();
      if (reset >= 2) decoder.setProperties((await take(1))[0]!);
      else if (reset === 1) decoder.resetState();
      return decoder.decode(await take(packedBytes), unpackedBytes);
    } catch (error) {
      if (error instanceof FormatError) throw error;
      return fail((error as Error).message);
    }
  }

  async function stored(control: number, decoder: LzmaDecoder): Promise<Uint8Array> {
    if (control > 2) fail(`a chunk of kind ${control}`);
    const [high, low] = await take(2);
    if (control === 1) decoder.forget();
    return decoder.store(await take(high! * 256 + low! + 1));
  }

  /** The sizes of the blocks, which are known by now. */
  async function index(): Promise<void> {
    const begun = queue.position - 1;
    const number = async (): Promise<number> => {
      let value = 0;
      for (let shift = 1; ; shift *= 128) {
        const byte = (await take(1))[0]!;
        value += (byte & 127) * shift;
        if (byte < 128) return value;
        if (shift > 2 ** 49) fail('a number of more than 56 bits');
      }
    };
    const blocks = await number();
    for (let i = 0; i < blocks * 2; i++) await number();
    await take((4 - ((queue.position - begun) % 4)) % 4);
    await take(4);
  }
}
