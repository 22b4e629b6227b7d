/**
 * What a checkpoint holds of its tokenizer, unread: the loader finds it, src/tokenizer makes sense of it.
 */
export type TokenizerFiles =
  /** `tokenizer.model`: a SentencePiece protobuf. */
  | { readonly kind: 'sentencepiece'; readonly file: string; readonly bytes: Uint8Array }
  /** `tokenizer.model` of Llama 3: lines of base64 bytes, a space and a rank. */
  | { readonly kind: 'tiktoken'; readonly file: string; readonly bytes: Uint8Array }
  /** llama2.c's `tokenizer.bin`: scores and texts, without a count. */
  | { readonly kind: 'llama2c'; readonly file: string; readonly bytes: Uint8Array }
  /** `tokenizer.json`, with `tokenizer_config.json` and `special_tokens_map.json` where present; JSON texts. */
  | {
      readonly kind: 'hf';
      readonly file: string;
      readonly json: string;
      readonly config: string | null;
      readonly specialTokens: string | null;
    }
  /** The `tokenizer.*` entries of a GGUF file, values as ggufValue. */
  | { readonly kind: 'gguf'; readonly file: string; readonly metadata: ReadonlyMap<string, GgufValue> };

/**
 * A metadata value of a GGUF file. 64-bit integers are numbers where they are exact and bigints beyond. Arrays of numbers
 * are typed arrays, arrays of strings are string[], so that a vocabulary of 128,000 pieces is read in milliseconds.
 */
export type GgufValue = number | bigint | boolean | string | GgufArray;
export type GgufArray =
  | readonly string[]
  | readonly boolean[]
  | Uint8Array
  | Int8Array
  | Uint16Array
  | Int16Array
  | Uint32Array
  | Int32Array
  | Float32Array
  | Float64Array
  | BigUint64Array
  | BigInt64Array
  | readonly GgufArray[];
