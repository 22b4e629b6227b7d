/** One test for each way that a file lies: the error names file, place, expected and found, and says what to do. */
import { deepStrictEqual, match, ok, strictEqual, throws } from 'node:assert/strict';
import { test } from 'node:test';
import { processorClock } from '../../test/support/processor-time.ts';
import { ConfigError, FormatError } from '../base/errors.ts';
import { parseHfConfig } from '../model/spelling/hf.ts';
import type { ByteSource } from '../tensor/source.ts';
import { readGguf } from './gguf.ts';
import { MemorySource } from './memory-source.ts';
import { readSafetensors } from './safetensors.ts';
import { readTorch } from './torch/torch.ts';

/** Runs `read`; it must fail with this code and message, quickly. */
function refuses(read: () => unknown, code: string, message: RegExp): void {
  const took = processorClock();
  throws(read, (error: unknown) => {
    ok(error instanceof FormatError, String(error));
    strictEqual(error.code, code, error.message);
    match(error.message, message);
    return true;
  });
  ok(took() < 5000, `${code} took too long`); // milliseconds of one core
}

const bytes = (...parts: (string | number[] | Uint8Array)[]) =>
  Uint8Array.from(
    parts.flatMap((part) => (typeof part === 'string' ? [...new TextEncoder().encode(part)] : [...part])),
  );
const u32 = (value: number) => [...new Uint8Array(Uint32Array.of(value).buffer)];
const u64 = (value: bigint | number) => [...new Uint8Array(BigUint64Array.of(BigInt(value)).buffer)];

// safetensors

const safetensors = (header: string, data: number, length = BigInt(new TextEncoder().encode(header).length)) =>
  new MemorySource('m.safetensors', bytes(u64(length), header, new Uint8Array(data)));
const entry = (name: string, dtype: string, shape: string, offsets: string) =>
  `"${name}":{"dtype":"${dtype}","shape":${shape},"data_offsets":${offsets}}`;

test('safetensors: lies in the header', () => {
  const a = entry('a', 'F32', '[2]', '[0,8]');
  const cases: [MemorySource, string, RegExp][] = [
    [
      safetensors('{}', 0, 1n << 60n),
      'safetensors.header-length',
      /at most the 2 that follow bytes, found length 1152921504606846976/,
    ],
    [
      new MemorySource('m.safetensors', new Uint8Array(3)),
      'safetensors.too-short',
      /at least 8 bytes, found 3\. Is this a Git LFS/,
    ],
    [safetensors(`{${a}`, 8), 'json.syntax', /syntax error/],
    [safetensors('[]', 0), 'json.not-an-object', /expected a JSON object, found an array/],
    [safetensors(`{${a},${a}}`, 8), 'json.duplicate-key', /each key once, found "a" twice/],
    [safetensors(`{${a},${entry('b', 'F32', '[2]', '[4,12]')}}`, 12), 'safetensors.overlap', /"a" and "b" overlap/],
    [safetensors(`{${a}}`, 9), 'safetensors.gap', /fill the 9 bytes after the header, found 8/],
    [safetensors(`{${a}}`, 7), 'safetensors.truncated', /end at \d+, but the file ends at/],
    [
      safetensors(`{${entry('a', 'F32', '[3]', '[0,8]')}}`, 8),
      'safetensors.tensor-length',
      /expected 12 bytes for F32 \[3\]/,
    ],
    [safetensors(`{${entry('a', 'Q4', '[2]', '[0,8]')}}`, 8), 'safetensors.dtype', /found "Q4"/],
    [safetensors(`{${entry('a', 'F32', '[-2]', '[0,8]')}}`, 8), 'safetensors.shape', /found \[-2\]/],
    [safetensors(`{${entry('a', 'F32', '[1e300]', '[0,8]')}}`, 8), 'safetensors.shape', /found \[1e\+300\]/],
    [
      safetensors(`{${entry('a', 'F32', '[4294967296,4294967296]', '[0,8]')}}`, 8),
      'safetensors.shape',
      /more numbers than any file/,
    ],
    [safetensors(`{${entry('a', 'F32', '[2]', '[8,0]')}}`, 8), 'safetensors.offsets', /found \[8,0\]/],
    [safetensors('{"__metadata__":{"k":1}}', 0), 'safetensors.metadata', /__metadata__\.k: expected a text, found 1/],
    [safetensors('{"a":7}', 0), 'safetensors.entry', /expected an object, found 7/],
  ];
  for (const [source, code, message] of cases) refuses(() => readSafetensors(source), code, message);
});

// GGUF

const text = (value: string) => [...u64(new TextEncoder().encode(value).length), ...new TextEncoder().encode(value)];
const head = (tensors: bigint | number, fields: bigint | number, version = 3) => [
  ...u32(0x46554747),
  ...u32(version),
  ...u64(tensors),
  ...u64(fields),
];
const tensorInfo = (name: string, dims: (number | bigint)[], type: number, offset: number) => [
  ...text(name),
  ...u32(dims.length),
  ...dims.flatMap((n) => u64(n)),
  ...u32(type),
  ...u64(offset),
];
const gguf = (...parts: number[][]) => new MemorySource('m.gguf', bytes(...parts, new Uint8Array(256)));
const field = (key: string, type: number, ...value: number[][]) => [...text(key), ...u32(type), ...value.flat()];

test('GGUF: lies in the head', () => {
  const nested = (depth: number): number[] =>
    depth === 0 ? [...u32(0), ...u64(0)] : [...u32(9), ...u64(1), ...nested(depth - 1)];
  const cases: [MemorySource, string, RegExp][] = [
    [gguf([1, 2, 3, 4]), 'gguf.magic', /found 0x04030201/],
    [gguf(head(0, 0, 1)), 'gguf.version', /version 2 or 3, found 1\. Convert it again/],
    [gguf(head(0, 0, 3 << 24)), 'gguf.big-endian', /big-endian one\. Convert it with/],
    [gguf(head(1n << 60n, 0)), 'gguf.count', /at most \d+ tensors in a file of this size, found 115292150460684\d+/],
    [gguf(head(0, 1n << 60n)), 'gguf.count', /metadata fields/],
    [gguf(head(0, 1), u64(1n << 40n)), 'gguf.name-length', /the key of field 0 in at most 1024 bytes/],
    [gguf(head(0, 1), field('k', 99)), 'gguf.value-type', /a value type in 0…12 for "k", found 99/],
    [gguf(head(0, 1), field('k', 8, u64(1n << 60n))), 'gguf.string-length', /a string of at most \d+ bytes for "k"/],
    [gguf(head(0, 1), field('k', 9, u32(4), u64(1n << 60n))), 'gguf.array-length', /at most \d+ values in "k"/],
    [gguf(head(0, 1), field('k', 9, nested(6))), 'gguf.array-depth', /nested at most 4 deep in "k"/],
    [gguf(head(0, 1), field('k', 7, [2])), 'gguf.bool', /expected 0 or 1 for "k", found 2/],
    [gguf(head(0, 1), field('k', 8, u64(1), [0xff])), 'bytes.utf8', /expected k, 1 bytes, to be UTF-8 text/],
    [gguf(head(0, 2), field('k', 0, [1]), field('k', 0, [1])), 'gguf.duplicate-key', /"k" is there twice/],
    [gguf(head(0, 1), field('general.alignment', 4, u32(3))), 'gguf.alignment', /a power of two up to 65536, found 3/],
    [gguf(head(0, 1), field('general.alignment', 4, u32(0))), 'gguf.alignment', /found 0/],
    [gguf(head(1, 0), tensorInfo('t', [4], 40, 0)), 'gguf.tensor-type', /found NVFP4 \(type number 40\)\. Use another/],
    [gguf(head(1, 0), tensorInfo('t', [4], 1000, 0)), 'gguf.tensor-type', /found type number 1000/],
    [gguf(head(1, 0), tensorInfo('t', [1n << 60n, 4], 0, 0)), 'gguf.shape', /is no list of whole numbers/],
    [gguf(head(1, 0), tensorInfo('t', [1 << 30, 1 << 30], 0, 0)), 'gguf.shape', /more numbers than any file/],
    [gguf(head(1, 0), tensorInfo('t', [33], 2, 0)), 'gguf.shape', /33 numbers do not fill blocks of 32 \(Q4_0\)/],
    [gguf(head(1, 0), tensorInfo('t', [1, 1, 1, 1, 1], 0, 0)), 'gguf.rank', /at most 4 dimensions, found 5/],
    [gguf(head(1, 0), tensorInfo('t', [4], 0, 8)), 'gguf.misaligned', /a multiple of 32, found 8/],
    [gguf(head(1, 0), tensorInfo('t', [4096], 0, 0)), 'gguf.truncated', /16384 bytes to end at \d+, but the file ends/],
    [
      gguf(head(2, 0), tensorInfo('t', [4], 0, 0), tensorInfo('t', [4], 0, 32)),
      'gguf.duplicate-tensor',
      /"t": it is in the table twice/,
    ],
    [gguf(head(2, 0), tensorInfo('t', [16], 0, 0), tensorInfo('u', [4], 0, 32)), 'gguf.overlap', /"t" and "u" overlap/],
  ];
  for (const [source, code, message] of cases) refuses(() => readGguf(source), code, message);
});

test('GGUF: a sparse file of a terabyte that claims a large array is refused without reading it', () => {
  const start = bytes(head(0, 1), field('k', 9, u32(8), u64(1n << 30n)));
  const huge: ByteSource = {
    name: 'huge.gguf',
    byteLength: 2 ** 40,
    readInto: (target, offset) => {
      ok(target.length < 1 << 20, `${target.length} bytes at once`);
      target.fill(0);
      if (offset < start.length) target.set(start.subarray(offset, offset + target.length));
    },
    close: () => {},
  };
  refuses(() => readGguf(huge), 'gguf.array-length', /found length 1073741824/);
});

test('GGUF: 128,000 pieces are read in milliseconds', () => {
  const pieces = Array.from({ length: 128_000 }, (_, i) => text(i % 3 ? `piece${i}` : `ķ한${i}`));
  const file = gguf(head(0, 1), [...text('tokens'), ...u32(9), ...u32(8), ...u64(pieces.length)], pieces.flat());
  const took = processorClock();
  strictEqual((readGguf(file).fields.get('tokens')!.value as string[]).length, 128_000);
  const ms = took();
  ok(ms < 2000, `${ms} ms`); // it takes tens of milliseconds; the bound only catches a change of kind
});

// PyTorch

/** A file in the old format: magic, version and machine as they should be, then `pickle`. */
const legacy = (...pickle: (string | number[])[]) =>
  new MemorySource(
    'm.pt',
    bytes(
      [0x80, 2, 0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, 0x2e],
      [0x80, 2, 0x4d, 0xe9, 3, 0x2e],
      [0x80, 2, 0x7d, 0x58, ...u32(13)],
      'little_endian',
      [0x88, 0x73, 0x2e],
      ...pickle,
      [0x80, 2, 0x5d, 0x2e],
    ),
  );
const P = { mark: '(', stop: '.', emptyTuple: ')', reduce: 'R', persistent: 'Q', tuple: 't' };
const unicode = (value: string) => [0x58, ...u32(value.length), ...new TextEncoder().encode(value)];
const storage = (count: number[]) => [
  P.mark,
  unicode('storage'),
  'ctorch\nFloatStorage\n',
  unicode('0'),
  unicode('cpu'),
  count,
  'N',
  P.tuple,
  P.persistent,
];
const rebuild = 'ctorch._utils\n_rebuild_tensor_v2\n';

test('PyTorch: nothing but tensors is built, and nothing is executed', () => {
  const cases: [MemorySource, string, RegExp][] = [
    [
      legacy('cos\nsystem\n', P.mark, unicode('echo pwned'), P.tuple, P.reduce, P.stop),
      'pickle.global',
      /found "os\.system"\. Nothing in this file was executed/,
    ],
    [legacy('c__builtin__\neval\n', P.stop), 'pickle.global', /found "__builtin__\.eval"/],
    [legacy(unicode('builtins'), unicode('exec'), [0x93], P.stop), 'pickle.global', /found "builtins\.exec"/],
    [legacy('ctorch\nload\n', P.stop), 'pickle.global', /found "torch\.load"/],
    [legacy('cnumpy.core.multiarray\n_reconstruct\n', P.stop), 'pickle.global', /numpy\.core\.multiarray/],
    [legacy([0x81], P.stop), 'pickle.opcode', /found 0x81 \(NEWOBJ\)/],
    [legacy('i', P.stop), 'pickle.opcode', /found 0x69 \(INST\)/],
    [legacy([0x84, 1, 0, 0, 0], P.stop), 'pickle.opcode', /EXT4/],
    [legacy([0xff], P.stop), 'pickle.opcode', /no opcode/],
    [legacy(P.reduce), 'pickle.stack', /found it empty/],
    [legacy(P.tuple), 'pickle.stack', /expected a mark on the stack/],
    [legacy(P.mark, P.reduce), 'pickle.stack', /found a mark/],
    [legacy('NN', P.stop), 'pickle.stack', /an empty stack at the end, found 1/],
    [legacy(['h'.charCodeAt(0), 5], P.stop), 'pickle.memo', /memo entry 5 to be set/],
    [legacy('N', P.emptyTuple, P.reduce, P.stop), 'pickle.call', /expected a function to call/],
    [legacy('ctorch\nFloatStorage\n', P.emptyTuple, P.reduce, P.stop), 'pickle.call', /found "torch FloatStorage"/],
    [legacy([0x58, ...u32(0xffffffff)], P.stop), 'pickle.length', /at most 16777216 bytes, found length 4294967295/],
    [legacy([0x8b, ...u32(0x7fffffff)], P.stop), 'pickle.length', /an integer of at most 64 bytes/],
    [legacy([0x8d, ...u64(1n << 60n)], P.stop), 'pickle.length', /found length 115292150460684\d+/],
    [
      legacy(']', ['q'.charCodeAt(0), 0], ['h'.charCodeAt(0), 0], 'a', P.stop),
      'torch.nesting',
      /nested at most 16 deep/,
    ],
    [legacy(...storage([0x8a, 8, 0, 0, 0, 0, 0, 0, 0, 0x10]), P.stop), 'pickle.storage', /another persistent id/],
    [legacy(P.mark, unicode('module'), P.tuple, P.persistent, P.stop), 'pickle.storage', /another persistent id/],
    [
      legacy(
        rebuild,
        P.mark,
        ...storage(['K'.charCodeAt(0), 4]),
        ['K'.charCodeAt(0), 2],
        ['K'.charCodeAt(0), 3, 0x85],
        ['K'.charCodeAt(0), 1, 0x85],
        P.tuple,
        P.reduce,
        P.stop,
      ),
      'pickle.tensor',
      /its storage of 4 numbers, found one that reaches number 4/,
    ],
    [legacy(rebuild, P.mark, 'N', P.tuple, P.reduce, P.stop), 'pickle.tensor', /expected a storage/],
    [legacy('N}b', P.stop), 'pickle.build', /only dictionaries/],
  ];
  for (const [source, code, message] of cases) refuses(() => readTorch(source), code, message);
});

test('PyTorch: containers that share each other a billion times are not walked', () => {
  // l₀ = []; lₙ = [lₙ₋₁, lₙ₋₁, …]: 2⁴⁰ paths in 200 bytes
  const bomb = [
    ']',
    ...Array.from({ length: 12 }, (_, i) => [
      0x71,
      i,
      0x30,
      0x5d,
      0x28,
      ...Array.from({ length: 16 }, () => [0x68, i]).flat(),
      0x65,
    ]),
  ];
  refuses(() => readTorch(legacy(...bomb, P.stop)), 'torch.nesting', /of at most 131072 values, found more/);
});

// config.json

const llama = {
  model_type: 'llama',
  hidden_size: 64,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  intermediate_size: 128,
  vocab_size: 100,
};
const problemsOf = (changes: object): readonly string[] => {
  try {
    parseHfConfig('config.json', JSON.stringify({ ...llama, ...changes }));
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
};

test('config.json: whatever changes the mathematics is refused, by name', () => {
  deepStrictEqual(problemsOf({}), []);
  deepStrictEqual(problemsOf({ initializer_range: 0.1, use_cache: false, pretraining_tp: 2, rope_scaling: null }), []);
  const cases: [object, RegExp][] = [
    [{ qk_norm: true }, /qk_norm is true, expected false: queries and keys are not normalised/],
    [{ quantization_config: { bits: 4 } }, /quantization_config has quant_method null, expected fp8, /],
    [{ hidden_act: 'gelu' }, /hidden_act is "gelu", expected "silu" or "swish"/],
    [{ attention_multiplier: 0.5 }, /attention_multiplier is 0\.5/],
    [{ partial_rotary_factor: 0.5 }, /partial_rotary_factor is 0\.5/],
    [
      { rope_scaling: { type: 'spiral', factor: 2 } },
      /rope_scaling\.rope_type is "spiral", expected default, linear, dynamic, llama3, yarn or longrope/,
    ],
    [
      { rope_scaling: { type: 'yarn', factor: 2, beta_fast: 1, beta_slow: 8 } },
      /ramps from 8 to 1, expected the first to be smaller/,
    ],
    [{ rope_scaling: { type: 'linear' } }, /rope_scaling\.factor is missing/],
    [
      { rope_scaling: { type: 'linear', factor: 2, mystery: 1 } },
      /rope_scaling\.mystery is 1, a key that this reader does not know/,
    ],
    [
      { rope_parameters: { rope_theta: 5 }, rope_theta: 6 },
      /rope_parameters\.rope_theta is 5, but the rope_theta outside is 6/,
    ],
    [{ model_type: 'gpt2' }, /model_type is "gpt2"/],
    [{ use_sliding_window: true, sliding_window: 8 }, /use_sliding_window is true, expected false/],
    [{ model_type: 'qwen2', attention_bias: false }, /attention_bias is false, expected true/],
    [{ layer_types: ['full_attention', 'sliding_attention'] }, /layer_types has sliding_attention, but this model/],
    [{ vocab_size: '512' }, /vocab_size is "512", expected a number/],
    [{ hidden_size: 1e99 }, /hidden_size is 1e\+99, expected a whole number/],
    [{ hidden_size: 65 }, /not a multiple of num_attention_heads 4/],
    [
      { brand_new_norm: 3 },
      /brand_new_norm is 3, a key that this reader does not know; by its name or value it may change what is computed/,
    ],
  ];
  for (const [changes, message] of cases) match(problemsOf(changes).join('\n'), message);
  strictEqual(problemsOf({ qk_norm: true, vocab_size: '512', mystery_norm: 1 }).length, 3);
});
