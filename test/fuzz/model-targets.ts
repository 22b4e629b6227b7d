/** Readers of model files and of texts that come with them. */
import { readFileSync } from 'node:fs';
import { parseMetaParams } from '../../src/formats/config/meta-params.ts';
import { readTensor } from '../../src/formats/file-tensor.ts';
import { readGguf } from '../../src/formats/gguf.ts';
import { parseJsonObject } from '../../src/formats/json.ts';
import { readLlama2c } from '../../src/formats/llama2c/llama2c.ts';
import { MemorySource } from '../../src/formats/memory-source.ts';
import { readSafetensors } from '../../src/formats/safetensors.ts';
import { parseIndex } from '../../src/formats/safetensors-index.ts';
import { MemorySink } from '../../src/formats/sink.ts';
import { readTorch } from '../../src/formats/torch/torch.ts';
import { parseGbnf } from '../../src/inference/grammar/gbnf.ts';
import { compilePossibleSchema } from '../../src/inference/grammar/schema/compile-schema.ts';
import { parseSchema } from '../../src/inference/grammar/schema/json-schema.ts';
import { noGeneration } from '../../src/model/checkpoint/checkpoint.ts';
import { openCheckpoint } from '../../src/model/checkpoint/open.ts';
import { ggufTokenizerFields } from '../../src/model/checkpoint/write/gguf-tokenizer.ts';
import { writeGgufCheckpoint } from '../../src/model/checkpoint/write/write-gguf.ts';
import { parseHfConfig } from '../../src/model/spelling/hf.ts';
import { byteVocabulary } from '../../src/tokenizer/byte-vocabulary.ts';
import { builtInTemplates } from '../../src/tokenizer/chat/built-in-templates.ts';
import { ChatTemplate } from '../../src/tokenizer/chat/chat-template.ts';
import { createTokenizer } from '../../src/tokenizer/create-tokenizer.ts';
import { splitPatterns } from '../../src/tokenizer/encode/named-splits.ts';
import { compileSplitPattern, splitBy } from '../../src/tokenizer/encode/split-pattern.ts';
import { goldenPath } from '../support/golden.ts';
import { writeLlama2c } from '../support/llama2c.ts';
import { tinyConfig, tinyWeights } from '../support/tiny-model.ts';
import type { Target } from './targets.ts';

const read = (path: string) => new Uint8Array(readFileSync(path));
const golden = (path: string) => read(goldenPath(path));
const bytes = (text: string) => new TextEncoder().encode(text);
const text = (data: Uint8Array) => new TextDecoder().decode(data);

/** A whole model of one block, with a vocabulary. */
function tinyGguf(): Uint8Array {
  const config = {
    ...tinyConfig,
    blockCount: 1,
    vocabSize: 272,
    width: 8,
    headCount: 2,
    kvHeadCount: 1,
    headSize: 4,
    ffnWidth: 8,
  };
  const vocabulary = byteVocabulary(272);
  const tokenizer = ggufTokenizerFields(vocabulary, 272);
  const sink = new MemorySink();
  const model = {
    name: 'tiny',
    config,
    tensors: tinyWeights(config),
    tokenizer: vocabulary,
    chatTemplate: null,
    generation: noGeneration,
  };
  const encode = (_: unknown, weights: Float32Array, target: Uint8Array) =>
    target.set(new Uint8Array(weights.buffer, weights.byteOffset, weights.byteLength));
  writeGgufCheckpoint(sink, model, { typeOf: () => 'f32', encode, fileType: 0, tokenizer });
  return sink.bytes();
}

const jsonWords = [
  'null',
  'true',
  '-1',
  '1e999',
  '{}',
  '[]',
  '""',
  '{"',
  '":',
  ',',
  '\\ud800',
  '9007199254740993',
  '0.5',
];
const configWords = [
  '"rope_scaling"',
  '"rope_parameters"',
  '"quantization_config"',
  '"layer_types"',
  '"head_dim"',
  '"yarn"',
  '"llama3"',
  '"linear"',
  '"factor"',
  '"qwen3"',
  '"gemma3_text"',
  '"phi3"',
];
const patternWords = [
  '\\p{L}',
  '\\p{N}',
  '(?!',
  '(?=',
  '(?<!',
  '(?i:',
  '(?>',
  '[^',
  '{1,3}',
  '{2,}',
  '*',
  '+?',
  '++',
  '|',
  '\\s',
  '$',
  '^',
  '\\b',
  '\\x{41}',
  '-',
  '&&',
  '[:alpha:]',
];
const jinjaWords = [
  '{% for m in messages %}',
  '{% endfor %}',
  '{% if ',
  '{% endif %}',
  '{{ ',
  ' }}',
  '{% set x = x ~ x %}',
  'range(99999)',
  'loop.index',
  '|tojson',
  'namespace(',
  'raise_exception(',
  '{% macro a() %}',
  '{% endmacro %}',
];
const schemaWords = [
  '"type":"object"',
  '"properties":{',
  '"pattern":"',
  '"anyOf":[',
  '"allOf":[',
  '"not":{',
  '"$ref":"#"',
  '"minimum":',
  '"maxLength":',
  '"items":{',
  '"enum":[',
  '"if":{',
  '"then":{',
  '"additionalProperties":false',
  '"required":["a"]',
];
const gbnfWords = ['::=', 'root', ' | ', '"a"', '[a-z]', '*', '+', '{1,9}', '(', ')', '\n', '#', '\\x41', '[^"]'];

function useTokenizer(files: Parameters<typeof createTokenizer>[0]): void {
  const tokenizer = createTokenizer(files);
  tokenizer.decode(tokenizer.encode('Hello, 세상! <s> 123\n\n x', { special: 'parse' }));
}

export const modelTargets: readonly Target[] = [
  {
    name: 'gguf',
    what: 'GGUF: metadata, table, configuration, tensors, vocabulary',
    seeds: () => [tinyGguf()],
    words: ['GGUF', 'llama.', 'tokenizer.ggml.', 'general.alignment', 'split.count', 'blk.0.', '.weight'],
    run: (data) => {
      for (const tensor of readGguf(new MemorySource('m.gguf', data)).tensors.values()) readTensor(tensor);
      const { tokenizer } = openCheckpoint(new MemorySource('m.gguf', data));
      if (tokenizer) useTokenizer(tokenizer);
    },
  },
  {
    name: 'gguf-tensors',
    what: 'GGUF: tensors of every type',
    seeds: () => [golden('formats/gguf-types/types.gguf')],
    words: ['GGUF', 'general.alignment'],
    run: (data) => {
      for (const tensor of readGguf(new MemorySource('m.gguf', data)).tensors.values()) readTensor(tensor);
    },
  },
  {
    name: 'safetensors',
    what: 'safetensors: header and tensors',
    seeds: () => [golden('formats/safetensors-dtypes/all.safetensors')],
    words: ['"dtype":"F32"', '"BF16"', '"shape":[', '"data_offsets":[', '__metadata__', ...jsonWords],
    run: (data) => {
      for (const tensor of readSafetensors(new MemorySource('m.safetensors', data)).tensors.values())
        readTensor(tensor);
    },
  },
  {
    name: 'safetensors-index',
    what: 'model.safetensors.index.json',
    seeds: () => [
      golden('formats/safetensors-sharded/model.safetensors.index.json').slice(0, 2000),
      bytes('{"weight_map":{"a":"m.safetensors"}}'),
    ],
    words: ['"weight_map"', '"metadata"', '../', ...jsonWords],
    run: (data) => void parseIndex('i.json', text(data)),
  },
  {
    name: 'torch',
    what: 'PyTorch files: zip of pickle and the older form, opcodes, storages',
    seeds: () => [golden('formats/torch-bin/views.pt')],
    words: [
      'PK\x03\x04',
      'PK\x01\x02',
      'PK\x05\x06',
      'ctorch._utils\n_rebuild_tensor_v2\n',
      'cos\nsystem\n',
      '\x80\x02',
      'R',
      'Q',
      '}',
      '(',
    ],
    run: (data) => {
      for (const tensor of readTorch(new MemorySource('m.bin', data)).tensors.values()) readTensor(tensor);
    },
  },
  {
    name: 'torch-legacy',
    what: 'PyTorch files of before 1.6',
    seeds: () => [golden('formats/torch-bin/legacy_nonzip_fp16.bin')],
    words: ['ctorch._utils\n_rebuild_tensor_v2\n', 'cos\nsystem\n', '\x80\x02', 'R', 'Q', '}', '('],
    run: (data) => {
      for (const tensor of readTorch(new MemorySource('m.bin', data)).tensors.values()) readTensor(tensor);
    },
  },
  {
    name: 'llama2c',
    what: 'llama2.c model files, three versions',
    seeds: () => [0, 1, 2].map((version) => writeLlama2c(version as 0 | 1 | 2)),
    words: [],
    run: (data) => {
      for (const tensor of readLlama2c(new MemorySource('m.bin', data)).tensors.values()) readTensor(tensor);
    },
  },
  {
    name: 'config',
    what: "config.json of Hugging Face folders, every model's",
    seeds: () =>
      ['llama', 'mistral', 'qwen2'].map((type) =>
        bytes(
          JSON.stringify({
            model_type: type,
            hidden_size: 64,
            intermediate_size: 96,
            num_hidden_layers: 2,
            num_attention_heads: 4,
            num_key_value_heads: 2,
            vocab_size: 512,
            rms_norm_eps: 1e-5,
            rope_theta: 1e4,
            rope_scaling: {
              rope_type: 'llama3',
              factor: 8,
              low_freq_factor: 1,
              high_freq_factor: 4,
              original_max_position_embeddings: 8192,
            },
            tie_word_embeddings: false,
            torch_dtype: 'float16',
          }),
        ),
      ),
    words: [...configWords, ...jsonWords],
    run: (data) => void parseHfConfig('config.json', text(data)),
  },
  {
    name: 'params',
    what: "params.json of Meta's folders",
    seeds: () => [
      bytes(
        '{"dim":64,"n_layers":2,"n_heads":4,"n_kv_heads":2,"multiple_of":32,"norm_eps":1e-5,"vocab_size":-1,"rope_theta":500000.0,"use_scaled_rope":true}',
      ),
    ],
    words: ['"ffn_dim_multiplier"', '"moe_args"', ...jsonWords],
    run: (data) => void parseMetaParams('params.json', text(data)),
  },
  {
    name: 'tokenizer-json',
    what: 'tokenizer.json, used on a text',
    seeds: () => [smallTokenizerJson('ByteLevel'), smallTokenizerJson('Metaspace')],
    words: [
      '"Regex":"',
      '"String":"',
      '"Split"',
      '"Digits"',
      '"Sequence"',
      '"pretokenizers":[',
      '"normalizer":',
      '"Isolated"',
      '"Removed"',
      '"special":true',
      '"ignore_merges":true',
      ...patternWords.map((word) => JSON.stringify(word).slice(1, -1)),
      ...jsonWords,
    ],
    run: (data) => useTokenizer({ kind: 'hf', file: 't.json', json: text(data), config: null, specialTokens: null }),
  },
  {
    name: 'sentencepiece',
    what: 'tokenizer.model of SentencePiece, used on a text',
    // The second is the same as a unigram model, with a normalisation table of one unit.
    seeds: () => {
      const bpe = golden('tokenizers/sp-bpe-512/tokenizer.model');
      return [bpe, Buffer.concat([bpe, Uint8Array.of(0x12, 2, 0x18, 1, 0x1a, 11, 0x12, 9, 4, 0, 0, 0, 0, 1, 0, 0, 0)])];
    },
    words: ['\u2581', '<0x41>', '\x0a', '\x15', '\x18\x03'],
    run: (data) => useTokenizer({ kind: 'sentencepiece', file: 't.model', bytes: data }),
  },
  {
    name: 'tiktoken',
    what: 'tokenizer.model of Llama 3 (ranks), used on a text',
    seeds: () => [
      bytes(`${text(golden('tokenizers/llama3-style-tiny/tokenizer.model')).split('\n').slice(0, 400).join('\n')}\n`),
    ],
    words: ['IQ== 0\n', '==', ' ', '\n', 'AAAA'],
    run: (data) => useTokenizer({ kind: 'tiktoken', file: 't.model', bytes: data }),
  },
  {
    name: 'llama2c-tokenizer',
    what: "llama2.c's tokenizer.bin, used on a text",
    seeds: () => [llama2cTokenizer()],
    words: [],
    run: (data) => useTokenizer({ kind: 'llama2c', file: 't.bin', bytes: data }),
  },
  {
    name: 'template',
    what: 'chat templates in Jinja, rendered',
    seeds: () => Object.values(builtInTemplates).map(bytes),
    words: jinjaWords,
    run: (data) => {
      const template = new ChatTemplate(text(data), { bos: '<s>', eos: '</s>', all: ['<s>', '</s>', '<|im_start|>'] });
      template.render(
        [
          { role: 'system', content: 'a <s>' },
          { role: 'user', content: 'b' },
        ],
        { addGenerationPrompt: true },
      );
    },
  },
  {
    name: 'pattern',
    what: 'splitting patterns of tokenizer.json, used on a text of 4,000 characters',
    seeds: () =>
      [
        ...Object.values(splitPatterns).filter((pattern) => pattern.length < 400),
        '(a|a)*b',
        '(\\w|a)*!',
        'a*a*a*b',
      ].map(bytes),
    words: patternWords,
    run: (data) => splitBy(compileSplitPattern('t.json', text(data)), 'keep')(awkward, () => {}),
  },
  {
    name: 'gbnf',
    what: 'grammars',
    seeds: () => [
      bytes('root ::= "a" | [b-d]{1,3} x*\nx ::= "\\n" | "(" root ")"\n# end\n'),
      bytes(
        'root ::= object\nobject ::= "{" (string ":" value ("," string ":" value)*)? "}"\nvalue ::= object | string\nstring ::= "\\"" [^"\\\\]* "\\""\n',
      ),
    ],
    words: gbnfWords,
    run: (data) => void parseGbnf(text(data)),
  },
  {
    name: 'schema',
    what: 'JSON Schemas, compiled',
    seeds: () => [
      bytes(
        '{"type":"object","properties":{"a":{"type":"integer","minimum":1,"maximum":99},"b":{"type":"string","pattern":"^[a-z]{1,4}$"}},"required":["a"]}',
      ),
      bytes('{"anyOf":[{"enum":[1,"x",null]},{"type":"array","items":{"$ref":"#"},"maxItems":2}]}'),
    ],
    words: [...schemaWords, ...jsonWords],
    run: (data) => void compilePossibleSchema(parseSchema(text(data))),
  },
  {
    name: 'json',
    what: 'JSON of any file: syntax and keys given twice',
    seeds: () => [bytes('{"a":{"b":[1,2,{"c":"d\\"e"}]},"f":null}')],
    words: jsonWords,
    run: (data) => void parseJsonObject('f.json', text(data)),
  },
];

const awkward = 'aaaa bbb  가나 12345 !!\n\n\tx '.repeat(150);

function smallTokenizerJson(kind: 'ByteLevel' | 'Metaspace'): Uint8Array {
  const letters = [...'abcdeĠ▁H'];
  const vocab = Object.fromEntries([...letters, 'ab', 'abc', '<unk>'].map((piece, id) => [piece, id]));
  const split = { type: 'Split', pattern: { Regex: '\\p{L}+|\\s+(?!\\S)' }, behavior: 'Isolated', invert: false };
  return bytes(
    JSON.stringify({
      added_tokens: [
        { id: 11, content: '<s>', special: true, normalized: false, lstrip: false, rstrip: true, single_word: false },
      ],
      normalizer: kind === 'ByteLevel' ? { type: 'NFC' } : { type: 'Replace', pattern: { String: ' ' }, content: '▁' },
      pre_tokenizer:
        kind === 'ByteLevel'
          ? {
              type: 'Sequence',
              pretokenizers: [
                split,
                { type: 'Digits', individual_digits: true },
                { type: 'ByteLevel', add_prefix_space: false, use_regex: false },
              ],
            }
          : { type: 'Metaspace', replacement: '▁', prepend_scheme: 'first', split: true },
      model: {
        type: 'BPE',
        unk_token: '<unk>',
        fuse_unk: true,
        byte_fallback: false,
        vocab,
        merges: [['a', 'b'], 'ab c'],
      },
    }),
  );
}

function llama2cTokenizer(): Uint8Array {
  const pieces = ['<unk>', '<s>', '</s>', 'a', 'b', 'ab', ' '];
  const parts: number[] = [5, 0, 0, 0];
  for (const [i, piece] of pieces.entries()) {
    parts.push(...new Uint8Array(Float32Array.of(-i).buffer), piece.length, 0, 0, 0, ...bytes(piece));
  }
  return Uint8Array.from(parts);
}
