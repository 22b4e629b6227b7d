/**
 * The 64-bit identity of a line or a document, as [low, high] u32 words in `hashWords`:
 * the first eight bytes of SHA-1 over UTF-8, little-endian. Source: cc_net dedup (arXiv:1911.00359 §3.1).
 */
import { normaliseForDedup, strip } from './normalise.ts';
import { sha1, sha1High, sha1Low } from './sha1.ts';

/** The result of the last hash call; two words instead of a bigint keep the hot loop free of garbage. */
export const hashWords = new Uint32Array(2);

export type LineNormalisation = 'ccnet' | 'lower' | 'exact';

const encoder = new TextEncoder();
let scratch = new Uint8Array(4096);

/**
 * Hashes one line into `hashWords`.
 * ccnet: normaliseForDedup · lower: stripped and lower case (C4's line identity) · exact: the text itself.
 */
export function hashLine(line: string, normalisation: LineNormalisation): void {
  let length: number;
  if (normalisation === 'ccnet') {
    length = normaliseAscii(line);
    if (length < 0) length = encode(normaliseForDedup(line));
  } else {
    length = encode(normalisation === 'lower' ? strip(line).toLowerCase() : line);
  }
  sha1(scratch, length);
  hashWords[0] = sha1Low();
  hashWords[1] = sha1High();
}

/** normaliseForDedup fused with encoding, for pure ASCII lines; −1 when the line is not one. */
function normaliseAscii(line: string): number {
  if (scratch.length < line.length) scratch = new Uint8Array(line.length * 2);
  const stripped = strip(line);
  let length = 0;
  for (let i = 0; i < stripped.length; i++) {
    const code = stripped.charCodeAt(i);
    if (code > 127) return -1;
    if (code < 32 || code === 127) continue;
    if (code >= 65 && code <= 90) scratch[length++] = code + 32;
    else if (code >= 48 && code <= 57) scratch[length++] = 48;
    else scratch[length++] = code;
  }
  return length;
}

function encode(text: string): number {
  if (scratch.length < text.length * 3) scratch = new Uint8Array(text.length * 3);
  return encoder.encodeInto(text, scratch).written;
}
