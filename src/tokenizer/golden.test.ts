/** Ids and texts of sentencepiece, the tokenizers library and tiktoken on tokenizers that are committed here. */
import { deepStrictEqual, strictEqual } from 'node:assert/strict';
import { test } from 'node:test';
import { createTokenizer } from './create-tokenizer.ts';
import { goldenBytes, goldenHf, goldenJson, goldenSentencePiece, metadataOf } from './testing/golden-files.ts';

interface Vector {
  text: string;
  ids: number[];
  decoded: string;
  pieces: string[];
  tokens?: string[];
  ids_with_bos?: number[];
  decoded_skip_special: string;
}
interface Vectors {
  vectors: Vector[];
  decode_vectors: { ids: number[]; decoded: string }[];
  special_vectors: Vector[];
}

for (const name of ['sp-bpe-512', 'sp-bpe-1000']) {
  const folder = `tokenizers/${name}`;
  const { vectors, decode_vectors } = goldenJson<Vectors>(`${folder}/vectors.json`);

  test(`${name}: tokenizer.model gives sentencepiece's ids, pieces and texts`, () => {
    const tokenizer = goldenSentencePiece(folder);
    for (const { text, ids, pieces, decoded } of vectors) {
      const mine = tokenizer.encode(text);
      deepStrictEqual(Array.from(mine), ids, JSON.stringify(text));
      deepStrictEqual(
        tokenizer.pieces(mine).filter((piece) => !piece.startsWith('<')),
        pieces.filter((piece) => !piece.startsWith('<')),
      );
      strictEqual(tokenizer.decode(ids), decoded);
    }
    strictEqual(vectors.length, 260);
  });

  test(`${name}: any ids decode to sentencepiece's text, at once and one at a time`, () => {
    const tokenizer = goldenSentencePiece(folder);
    for (const { ids, decoded } of decode_vectors) {
      strictEqual(tokenizer.decode(ids), decoded, JSON.stringify(ids));
      const decoder = tokenizer.decoder();
      strictEqual(ids.map((id) => decoder.push(id)).join('') + decoder.flush(), decoded);
    }
    strictEqual(decode_vectors.length, 80);
  });

  test(`${name}: tokenizer.json gives the tokenizers library's ids and texts`, () => {
    const tokenizer = goldenHf(folder);
    const hf = goldenJson<Vectors>(`${folder}/hf_vectors.json`);
    for (const { text, ids, decoded } of hf.vectors) {
      deepStrictEqual(Array.from(tokenizer.encode(text, { special: 'parse' })), ids, JSON.stringify(text));
      strictEqual(tokenizer.decode(ids), decoded);
    }
    strictEqual(hf.vectors.length, 260);
    strictEqual(tokenizer.bosId, 1);
    strictEqual(tokenizer.eosId, 2);
    strictEqual(tokenizer.addBos, true);
  });

  test(`${name}: the same vocabulary as GGUF and as llama2.c's tokenizer.bin gives the same ids`, () => {
    type Entry = { piece: string; score: number; type: string };
    const entries = goldenJson<{ vectors: Entry[] }>(`${folder}/vocab.json`).vectors;
    const types: Record<string, number> = { NORMAL: 1, UNKNOWN: 2, CONTROL: 3, USER_DEFINED: 4, UNUSED: 5, BYTE: 6 };
    const metadata = metadataOf(
      entries.map(({ piece }) => piece),
      entries.map(({ score }) => score),
      entries.map(({ type }) => types[type.toUpperCase()]!),
    );
    const gguf = createTokenizer({ kind: 'gguf', file: 'model.gguf', metadata });
    const bin = createTokenizer({ kind: 'llama2c', file: 'tokenizer.bin', bytes: llama2cBytes(entries) });
    for (const { text, ids, decoded } of vectors) {
      deepStrictEqual(Array.from(gguf.encode(text)), ids, JSON.stringify(text));
      deepStrictEqual(Array.from(bin.encode(text)), ids, JSON.stringify(text));
      strictEqual(gguf.decode(ids), decoded);
      strictEqual(bin.decode(ids), decoded);
    }
  });
}

/** As llama2.c's exporter writes it. */
function llama2cBytes(entries: { piece: string; score: number }[]): Uint8Array {
  const encoder = new TextEncoder();
  const texts = entries.map(({ piece }, id) =>
    encoder.encode(id === 1 ? '\n<s>\n' : id === 2 ? '\n</s>\n' : piece.replaceAll('▁', ' ')),
  );
  const bytes = new Uint8Array(4 + texts.reduce((sum, text) => sum + 8 + text.length, 0));
  const view = new DataView(bytes.buffer);
  view.setInt32(0, Math.max(...texts.map(({ length }) => length)), true);
  let at = 4;
  for (const [id, text] of texts.entries()) {
    view.setFloat32(at, entries[id]!.score, true);
    view.setInt32(at + 4, text.length, true);
    bytes.set(text, at + 8);
    at += 8 + text.length;
  }
  return bytes;
}

test('llama3-style-tiny: byte-level BPE gives the tokenizers library’s ids, tokens and texts', () => {
  const folder = 'tokenizers/llama3-style-tiny';
  const { vectors, special_vectors, decode_vectors } = goldenJson<Vectors>(`${folder}/vectors.json`);
  const tokenizer = goldenHf(folder);
  const tiktoken = createTokenizer(
    { kind: 'tiktoken', file: 'tokenizer.model', bytes: goldenBytes(`${folder}/tokenizer.model`) },
    { vocabSize: 645 },
  );
  for (const { text, ids, tokens, ids_with_bos } of vectors) {
    deepStrictEqual(Array.from(tokenizer.encode(text, { special: 'parse' })), ids, JSON.stringify(text));
    if (tokens !== undefined) deepStrictEqual(tokenizer.pieces(ids), tokens);
    if (ids_with_bos !== undefined) {
      deepStrictEqual(Array.from(tokenizer.encode(text, { special: 'parse', bos: true })), ids_with_bos);
    }
    if (!text.includes('<|')) deepStrictEqual(Array.from(tiktoken.encode(text)), ids, JSON.stringify(text));
    if (ids.every((id) => id < 640)) strictEqual(tiktoken.decode(ids), text);
    strictEqual(tokenizer.decode(ids, { special: 'text' }), text);
  }
  for (const { text, ids, decoded_skip_special } of special_vectors) {
    deepStrictEqual(Array.from(tokenizer.encode(text, { special: 'parse' })), ids, text);
    strictEqual(tokenizer.decode(ids), decoded_skip_special);
    strictEqual(
      tokenizer.encode(text).some((id) => id >= 640),
      false,
      `${text} as plain text`,
    );
  }
  for (const { ids, decoded } of decode_vectors) strictEqual(tokenizer.decode(ids), decoded, JSON.stringify(ids));
  deepStrictEqual([vectors.length, special_vectors.length, decode_vectors.length], [240, 7, 60]);
  strictEqual(tokenizer.idOf('<|eot_id|>'), 644);
  deepStrictEqual([...tokenizer.eogIds].sort(), [641, 644]);
});
