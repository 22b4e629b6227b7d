/** What a file is that is no model, from its beginning, in words for an error message: the mistake is usually made while downloading. */
import type { ByteSource } from '../../tensor/source.ts';

const BEGINNING_BYTES = 512;

interface Kind {
  readonly found: string;
  readonly advice: string;
}

const fromPage: Kind['advice'] =
  'The download was an error or login page: fetch the file itself (on the hub, the address with /resolve/ in it), with a token where the model is gated.';

export function whatItIs(source: ByteSource): Kind {
  const bytes = new Uint8Array(Math.min(BEGINNING_BYTES, source.byteLength));
  source.readInto(bytes, 0);
  const text = new TextDecoder('utf-8').decode(bytes).trimStart();
  const starts = (...prefix: number[]) => prefix.every((byte, i) => bytes[i] === byte);
  const unpack = (found: string): Kind => ({ found, advice: 'Unpack it, and give the file inside.' });

  if (bytes.length === 0) return { found: 'an empty file', advice: 'Fetch it again.' };
  if (text.startsWith('version https://git-lfs')) {
    return {
      found: 'the Git LFS pointer to one',
      advice: 'Fetch the file itself with `git lfs pull` in its repository.',
    };
  }
  if (/^<(!doctype|html|head|\?xml)/i.test(text)) return { found: 'a web page', advice: fromPage };
  if (/^[{[]\s*["{[\]}]/.test(text)) return { found: `JSON text, ${beginningOf(text)}`, advice: fromPage };
  if (starts(0x0a) && text.includes('<unk>')) {
    return {
      found: "a SentencePiece vocabulary, which is a model's tokenizer",
      advice: 'Give the file with the weights.',
    };
  }
  if (starts(0x1f, 0x8b)) return unpack('a gzip archive');
  if (starts(0x28, 0xb5, 0x2f, 0xfd)) return unpack('a zstd archive');
  if (starts(0x42, 0x5a, 0x68)) return unpack('a bzip2 archive');
  if (starts(0xfd, 0x37, 0x7a, 0x58)) return unpack('an xz archive');
  if (starts(0x37, 0x7a, 0xbc, 0xaf)) return unpack('a 7z archive');
  if (starts(0x93, 0x4e, 0x55, 0x4d)) return { found: 'a NumPy array', advice: 'Is this a model file?' };
  if (bytes.every((byte) => byte === 0)) {
    return { found: 'zeros only', advice: 'The download has reserved its room but not arrived: fetch it again.' };
  }
  if (!/[\x00-\x08\x0e-\x1f\ufffd]/.test(text.slice(0, -1))) {
    return { found: `text, ${beginningOf(text)}`, advice: 'Is this a model file?' };
  }
  const hex = Array.from(bytes.subarray(0, 8), (byte) => byte.toString(16).padStart(2, '0')).join(' ');
  return {
    found: `${hex} in ${source.byteLength} bytes`,
    advice: 'Is this a model file? It may be truncated, or of another kind.',
  };
}

function beginningOf(text: string): string {
  const line = text.split('\n', 1)[0]!;
  return JSON.stringify(line.length > 40 ? `${line.slice(0, 40)}…` : line);
}
