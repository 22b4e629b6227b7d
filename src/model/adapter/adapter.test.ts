/** Adapters of peft and of our own making: read, written in both formats, read again; and what does not fit is refused. */
import { deepStrictEqual, ok, strictEqual, throws } from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { goldenPath, goldenTensors } from '../../../test/support/golden.ts';
import type { GgufField } from '../../formats/gguf-values.ts';
import { writeGguf } from '../../formats/gguf-write.ts';
import { MemoryFolder, MemorySource } from '../../formats/memory-source.ts';
import { readSafetensors } from '../../formats/safetensors.ts';
import { writeSafetensors } from '../../formats/safetensors-write.ts';
import { MemorySink } from '../../formats/sink.ts';
import { openFolder } from '../../platform/node/files.ts';
import type { FileFolder } from '../../tensor/source.ts';
import { openCheckpoint } from '../checkpoint/open.ts';
import { type LlamaConfig, paperChoices } from '../config.ts';
import { type Adapter, lowRankShapes, rankOf, targetsOf } from './adapter.ts';
import { openAdapter } from './open.ts';
import { floatSource, mergedRows, readFloats, rowNorms } from './sources.ts';
import { writeGgufAdapter } from './write-gguf-adapter.ts';
import { type WrittenAdapter, writePeft } from './write-peft.ts';

const golden = 'training/lora-qv-r4';
const base = openCheckpoint(openFolder(goldenPath(`${golden}/init`)));
const peft = () => openFolder(goldenPath(`${golden}/adapter_final`));

const tiny: LlamaConfig = {
  ...paperChoices,
  width: 8,
  blockCount: 2,
  headCount: 2,
  kvHeadCount: 1,
  headSize: 4,
  ffnWidth: 12,
  vocabSize: 10,
  contextLength: 16,
  normEps: 1e-5,
  ropeTheta: 1e4,
  ropeScaling: { kind: 'none' },
  tiedEmbeddings: false,
  attentionBias: false,
  slidingWindow: null,
};

function numbers(count: number, seed: number): Float32Array {
  return Float32Array.from({ length: count }, (_, i) => Math.sin(1 + i * 1.7 + seed * 3.1));
}

/** An adapter of every matrix of a model, each of its own rank and scale. */
function everywhere(config: LlamaConfig, { magnitudes = false, uniform = false } = {}): WrittenAdapter {
  const layers = targetsOf(config).map((target, i) => {
    const rank = uniform ? 3 : 1 + (i % 3);
    const { a, b } = lowRankShapes(target, rank);
    const source = (part: string, shape: number[], seed: number) =>
      floatSource(
        `${target.name}.${part}`,
        numbers(
          shape.reduce((x, y) => x * y, 1),
          seed,
        ),
        shape,
      );
    const magnitude = magnitudes && target.use === 'linear' ? source('m', [target.shape[0]!], 5) : null;
    const layer = {
      a: source('a', a, i),
      b: source('b', b, i + 0.5),
      magnitude,
      scale: uniform ? 2 / Math.sqrt(3) : 0.5 + i,
    };
    return [target.name, layer] as const;
  });
  return { layers: new Map(layers), replaced: new Map() };
}

function asPeft(adapter: WrittenAdapter, config: LlamaConfig, isRankStabilized = false, dropout = 0): FileFolder {
  const files = new Map<string, MemorySink>();
  const create = (file: string) => {
    const sink = new MemorySink();
    files.set(file, sink);
    return sink;
  };
  writePeft({ create }, adapter, config, { baseModel: 'somebody/model', isRankStabilized, dropout });
  return new MemoryFolder('adapter', new Map([...files].map(([name, sink]) => [name, sink.bytes()])));
}

function asGguf(adapter: WrittenAdapter, config: LlamaConfig): MemorySource {
  const sink = new MemorySink();
  writeGgufAdapter(sink, adapter, config, { name: 'adapter', baseModel: 'model' });
  return new MemorySource('adapter.gguf', sink.bytes());
}

/** The corrections of all layers, as numbers that do not depend on how scale and rank are written down. */
function corrections(adapter: WrittenAdapter, config: LlamaConfig): Map<string, Float32Array> {
  return new Map(
    targetsOf(config).flatMap((target) => {
      const layer = adapter.layers.get(target.name);
      if (!layer) return [];
      const zeros = floatSource(target.name, new Float32Array(target.shape[0]! * target.shape[1]!), target.shape);
      return [[target.name, readFloats(mergedRows(zeros, target.use, { ...layer, magnitude: null }))] as const];
    }),
  );
}

function assertSameCorrections(actual: Adapter, expected: WrittenAdapter, config: LlamaConfig): void {
  const [mine, theirs] = [corrections(actual, config), corrections(expected, config)];
  deepStrictEqual([...mine.keys()].sort(), [...theirs.keys()].sort());
  for (const [name, want] of theirs)
    for (const [i, x] of want.entries()) {
      const found = mine.get(name)![i]!;
      ok(Math.abs(found - x) <= 1e-6 * Math.max(1, Math.abs(x)), `${name}[${i}]: ${found}, expected ${x}`);
    }
}

test("peft's adapter: the weights that training ended with, rows of queries in our order", () => {
  const adapter = openAdapter(peft(), base.config);
  const file = goldenTensors(`${golden}/adapter_final/adapter_model.safetensors`);
  strictEqual(adapter.layers.size, 2 * base.config.blockCount);
  for (const [name, layer] of adapter.layers) {
    strictEqual(layer.scale, 8 / 4);
    strictEqual(rankOf(layer), 4);
    const [, block, key] = name.split('.');
    const module = key === 'wq_QD' ? 'q_proj' : 'v_proj';
    const part = (letter: string) =>
      file[`base_model.model.model.layers.${block}.self_attn.${module}.lora_${letter}.weight`]!.data;
    deepStrictEqual(readFloats(layer.a), part('A'));
    if (module === 'v_proj') deepStrictEqual(readFloats(layer.b), part('B'));
  }
});

test('both formats: what is written is read again, whatever its ranks and scales', () => {
  for (const config of [
    tiny,
    { ...tiny, tiedEmbeddings: true },
    { ...tiny, family: 'qwen2', attentionBias: true },
    { ...tiny, family: 'gemma' },
  ]) {
    const adapter = everywhere(config);
    assertSameCorrections(openAdapter(asPeft(adapter, config), config), adapter, config);
    assertSameCorrections(openAdapter(asGguf(adapter, config), config), adapter, config);
    for (const written of [asPeft, asGguf]) {
      const chatTemplate = `{{ bos_token + 'its own' }}`;
      strictEqual(openAdapter(written(adapter, config), config).chatTemplate, undefined);
      strictEqual(openAdapter(written({ ...adapter, chatTemplate }, config), config).chatTemplate, chatTemplate);
    }
  }
});

test('peft: DoRA keeps its magnitudes, rsLoRA its alpha, and every byte comes back', () => {
  for (const options of [{ magnitudes: true }, { uniform: true }]) {
    const adapter = everywhere(tiny, options);
    // PEFT has no DoRA of an embedding of this form.
    const layers = new Map([...adapter.layers].filter(([name]) => name !== 'embed_VD'));
    const folder = asPeft({ ...adapter, layers }, tiny, options.uniform === true, 0.25);
    const read = openAdapter(folder, tiny);
    for (const [name, layer] of layers) {
      const again = read.layers.get(name)!;
      deepStrictEqual(readFloats(again.a), readFloats(layer.a), name);
      deepStrictEqual(readFloats(again.b), readFloats(layer.b), name);
      deepStrictEqual(again.magnitude && readFloats(again.magnitude), layer.magnitude && readFloats(layer.magnitude));
      ok(Math.abs(again.scale / layer.scale - 1) < 1e-9);
    }
    const json = JSON.parse(new TextDecoder().decode(bytesOf(folder, 'adapter_config.json')));
    strictEqual(json.lora_dropout, 0.25);
    if (options.uniform) deepStrictEqual([json.use_rslora, json.r, json.lora_alpha], [true, 3, 2]);
  }
});

test('GGUF: one alpha for all where ranks agree, so that B is written as it is', () => {
  const adapter = everywhere(tiny, { uniform: true });
  const read = openAdapter(asGguf(adapter, tiny), tiny);
  for (const [name, layer] of adapter.layers)
    deepStrictEqual(readFloats(read.layers.get(name)!.b), readFloats(layer.b));
  strictEqual(read.metadata.get('adapter.lora.alpha'), Math.fround(2 * Math.sqrt(3)));
});

test('GGUF cannot say a DoRA, or a parameter that was trained whole: it says so', () => {
  throws(() => asGguf(everywhere(tiny, { magnitudes: true }), tiny), /magnitudes \(DoRA\).*cria merge/s);
  const replaced = new Map([['norm_D', floatSource('norm_D', numbers(8, 1), [8])]]);
  throws(() => asGguf({ ...everywhere(tiny), replaced }, tiny), /norm_D was trained whole/);
});

test('an adapter of a relative whose files hold several parameters in one matrix is refused by the writers', () => {
  const phi = { ...tiny, family: 'phi3' };
  throws(() => asPeft(everywhere(phi), phi), /wq_QD is a part of a larger matrix/);
  throws(() => asGguf(everywhere(phi), phi), /wq_QD is a part of a larger matrix/);
  throws(
    () => openAdapter(asGguf(everywhere(tiny), tiny), { ...tiny, family: 'qwen2' }),
    /expected "qwen2", found "llama"/,
  );
});

test('modules_to_save come and go whole', () => {
  const replaced = new Map([
    ['norm_D', floatSource('norm_D', numbers(8, 1), [8])],
    ['blocks.1.wk_PD', floatSource('wk', numbers(32, 2), [4, 8])],
  ]);
  const read = openAdapter(asPeft({ layers: new Map(), replaced }, tiny), tiny);
  for (const [name, source] of replaced)
    deepStrictEqual(readFloats(read.replaced.get(name)!), readFloats(source), name);
});

test('peft: the frozen embeddings that it stores below a correction are the model’s own, and must fit it', () => {
  const adapter = everywhere(tiny);
  const folder = (rows: number) => {
    const files = new Map<string, MemorySink>();
    const create = (file: string) => {
      const sink = new MemorySink();
      files.set(file, sink);
      return sink;
    };
    writePeft({ create }, adapter, tiny, { baseModel: null });
    const { tensors } = readSafetensors(new MemorySource('a', files.get('adapter_model.safetensors')!.bytes()));
    const more = ['model.embed_tokens', 'lm_head'].map((module, i) => {
      const name = `base_model.model.${module}.base_layer.weight`;
      return [name, floatSource(name, numbers(rows * tiny.width, i), [rows, tiny.width])] as const;
    });
    writeSafetensors(create('adapter_model.safetensors'), [...tensors, ...more], { format: 'pt' });
    return new MemoryFolder('adapter', new Map([...files].map(([name, sink]) => [name, sink.bytes()])));
  };
  const read = openAdapter(folder(tiny.vocabSize), tiny);
  strictEqual(read.replaced.size, 0);
  assertSameCorrections(read, adapter, tiny);
  throws(() => openAdapter(folder(tiny.vocabSize + 1), tiny), /lm_head\.base_layer\.weight .* belongs to no part/);
});

test('merging: W + s B A row by row, by use; DoRA gives each row its length', () => {
  const weight = floatSource('w', Float32Array.of(1, 2, 3, 4, 5, 6), [3, 2]);
  const a = floatSource('a', Float32Array.of(1, -1), [1, 2]);
  const b = floatSource('b', Float32Array.of(1, 0, 2), [3, 1]);
  const layer = { a, b, scale: 2, magnitude: null };
  deepStrictEqual([...readFloats(mergedRows(weight, 'linear', layer))], [3, 0, 3, 4, 9, 2]);
  deepStrictEqual([...rowNorms(weight, layer)], [3, 5, Math.sqrt(85)]);
  const dora = { ...layer, magnitude: floatSource('m', Float32Array.of(6, 10, 0), [3]) };
  deepStrictEqual([...readFloats(mergedRows(weight, 'linear', dora))], [6, 0, 6, 8, 0, 0]);
  const table = { a: b, b: floatSource('b', Float32Array.of(1, -1), [2, 1]), scale: 2, magnitude: null };
  deepStrictEqual([...readFloats(mergedRows(weight, 'embedding', table))], [3, 0, 3, 4, 9, 2]);
});

/** The folder with one of its files changed. */
function changed(folder: FileFolder, file: string, change: (text: string) => string): FileFolder {
  const files = new Map(folder.list().map((name) => [name, bytesOf(folder, name)]));
  files.set(file, new TextEncoder().encode(change(new TextDecoder().decode(files.get(file)))));
  return new MemoryFolder('adapter', files);
}

function bytesOf(folder: FileFolder, name: string): Uint8Array<ArrayBuffer> {
  const source = folder.open(name);
  const bytes = new Uint8Array(source.byteLength);
  source.readInto(bytes, 0);
  return bytes;
}

test('an adapter of another model is refused, with every shape that differs and the model that it was made for', () => {
  const folder = asPeft(everywhere(tiny), tiny);
  throws(
    () => openAdapter(folder, { ...tiny, width: 16, headSize: 8 }),
    /does not fit the model \(it was made for somebody\/model\).*q_proj: A is \[\d, 8\], expected \[\d, 16\]/s,
  );
  throws(
    () => openAdapter(folder, { ...tiny, blockCount: 1 }),
    /model\.layers\.1\.self_attn\.q_proj is no matrix of this model/,
  );
  throws(
    () => openAdapter(asGguf(everywhere(tiny), tiny), { ...tiny, blockCount: 1 }),
    /blk\.1\.attn_q\.weight is no matrix/,
  );
});

test('experts: attention and router are corrected; an adapter of the experts themselves is refused in words', () => {
  const experts = {
    count: 2,
    used: 1,
    width: 4,
    weights: 'chosen',
    weighs: 'results',
    shared: null,
    blocks: null,
    bias: false,
  } as const;
  const routed: LlamaConfig = { ...tiny, family: 'mixtral', ffnWidth: 4, experts };
  const read = openAdapter(asPeft(everywhere(routed), routed), routed);
  deepStrictEqual(
    [...read.layers.keys()],
    targetsOf(routed).map(({ name }) => name),
  );
  const [a, b] = [floatSource('a', numbers(16, 1), [2, 1, 8]), floatSource('b', numbers(8, 2), [2, 4, 1])];
  const text = (value: string) => ({ type: 'string', value }) as const;
  const sink = new MemorySink();
  const fields = new Map<string, GgufField>([
    ['general.architecture', text('llama')],
    ['general.type', text('adapter')],
    ['adapter.type', text('lora')],
    ['adapter.lora.alpha', { type: 'f32', value: 1 }],
  ]);
  const name = 'blk.0.ffn_gate_exps.weight';
  writeGguf(sink, fields, [
    [`${name}.lora_a`, a],
    [`${name}.lora_b`, b],
  ]);
  throws(
    () => openAdapter(new MemorySource('a.gguf', sink.bytes()), routed),
    /ffn_gate_exps\.weight corrects routed experts, .*; merge it into the model/,
  );
});

test('a rank that does not fit, a key that may change the mathematics, and a changed base are refused', () => {
  const folder = asPeft(everywhere(tiny, { uniform: true }), tiny);
  const config = (change: (json: Record<string, unknown>) => object) =>
    openAdapter(
      changed(folder, 'adapter_config.json', (text) => JSON.stringify(change(JSON.parse(text)))),
      tiny,
    );
  throws(() => config((json) => ({ ...json, r: 4 })), /has rank 3, expected 4, as the adapter says/);
  throws(() => config((json) => ({ ...json, r: 0 })), /r is 0, expected a whole number above 0/);
  throws(
    () => config((json) => ({ ...json, layer_replication: [[0, 2]] })),
    /layer_replication .* may change the mathematics/,
  );
  throws(() => config((json) => ({ ...json, init_lora_weights: 'pissa_niter_16' })), /changes the base model too/);
  throws(() => config((json) => ({ ...json, bias: 'all' })), /trained biases are not read/);
  throws(() => config((json) => ({ ...json, peft_type: 'IA3' })), /peft_type is "IA3", expected "LORA"/);
  throws(() => config((json) => ({ ...json, use_dora: true })), /lora_magnitude_vector is missing/);
  throws(() => config((json) => ({ ...json, rank_pattern: { '(a+)+$': 3 } })), /repeats more|is missing|has rank/);
  strictEqual(config((json) => ({ ...json, fan_in_fan_out: true })).layers.size, 2 * 7 + 2);
  strictEqual(config((json) => ({ ...json, some_new_switch: false, another: null })).layers.size, 2 * 7 + 2);
});

test('every truncation of an adapter fails cleanly, and what is no adapter says what it is', () => {
  const whole = bytesOf(asPeft(everywhere(tiny), tiny), 'adapter_model.safetensors');
  const json = readFileSync(goldenPath(`${golden}/adapter_final/adapter_config.json`));
  for (let length = 0; length < whole.length; length += 997) {
    const files = new Map([
      ['adapter_model.safetensors', whole.slice(0, length)],
      ['adapter_config.json', new Uint8Array(json)],
    ]);
    throws(() => openAdapter(new MemoryFolder('cut', files), tiny), { name: /FormatError|ConfigError/ });
  }
  throws(
    () => openAdapter(new MemoryFolder('none', new Map()), tiny),
    /expected PEFT's adapter_config.json or one .gguf/,
  );
  throws(
    () => openAdapter(openFolder(goldenPath(`${golden}/init`)), tiny),
    /a whole model. Give it as the model instead/,
  );
  throws(() => openAdapter(new MemorySource('x.txt', new TextEncoder().encode('hello there')), tiny), /found text/);
});
