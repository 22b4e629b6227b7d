import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type MixModel, type MixName, type MixParameter, mixes, parseMix, planTypes } from './mixes.ts';

interface Size {
  readonly width?: number;
  readonly ffnWidth?: number;
}

/** The parameters of a LLaMA of this shape, named as src/model/parameters.ts names them. */
function llama(model: MixModel, { width = 512, ffnWidth = 1024 }: Size = {}): MixParameter[] {
  const kvWidth = (width / model.headCount) * model.kvHeadCount;
  const parameters: MixParameter[] = [{ name: 'embed_VD', key: 'embed_VD', block: null, shape: [100, width] }];
  const inBlock: [string, number[]][] = [
    ['attnNorm_D', [width]],
    ['wq_QD', [width, width]],
    ['wk_PD', [kvWidth, width]],
    ['wv_PD', [kvWidth, width]],
    ['wo_DQ', [width, width]],
    ['ffnNorm_D', [width]],
    ['wGate_FD', [ffnWidth, width]],
    ['wUp_FD', [ffnWidth, width]],
    ['wDown_DF', [width, ffnWidth]],
  ];
  for (let block = 0; block < model.blockCount; block++) {
    for (const [key, shape] of inBlock) parameters.push({ name: `blocks.${block}.${key}`, key, block, shape });
  }
  parameters.push({ name: 'norm_D', key: 'norm_D', block: null, shape: [width] });
  if (!model.tiedEmbeddings) parameters.push({ name: 'head_VD', key: 'head_VD', block: null, shape: [100, width] });
  return parameters;
}

const sevenB: MixModel = { blockCount: 32, headCount: 32, kvHeadCount: 32, tiedEmbeddings: false };

/** How many tensors of each type llama.cpp's loader reports for a Llama 2 7B file of the mix. */
const sevenBCounts: { readonly [mix in MixName]: Readonly<Record<string, number>> } = {
  F32: { f32: 291 },
  F16: { f32: 65, f16: 226 },
  BF16: { f32: 65, bf16: 226 },
  Q8_0: { f32: 65, Q8_0: 226 },
  Q4_0: { f32: 65, Q4_0: 225, Q6_K: 1 },
  Q4_1: { f32: 65, Q4_1: 225, Q6_K: 1 },
  Q5_0: { f32: 65, Q5_0: 225, Q6_K: 1 },
  Q5_1: { f32: 65, Q5_1: 225, Q6_K: 1 },
  Q2_K: { f32: 65, Q2_K: 129, Q3_K: 96, Q6_K: 1 },
  Q3_K_S: { f32: 65, Q3_K: 225, Q6_K: 1 },
  Q3_K_M: { f32: 65, Q3_K: 129, Q4_K: 92, Q5_K: 4, Q6_K: 1 },
  Q3_K_L: { f32: 65, Q3_K: 129, Q5_K: 96, Q6_K: 1 },
  Q4_K_S: { f32: 65, Q4_K: 217, Q5_K: 8, Q6_K: 1 },
  Q4_K_M: { f32: 65, Q4_K: 193, Q6_K: 33 },
  Q5_K_S: { f32: 65, Q5_K: 225, Q6_K: 1 },
  Q5_K_M: { f32: 65, Q5_K: 193, Q6_K: 33 },
  Q6_K: { f32: 65, Q6_K: 226 },
  Q2_K_S: { f32: 65, Q2_K: 129, Q3_K: 96, Q6_K: 1 },
  IQ4_NL: { f32: 65, IQ4_NL: 221, Q5_K: 4, Q6_K: 1 },
  IQ4_XS: { f32: 65, IQ4_XS: 221, Q5_K: 4, Q6_K: 1 },
};

for (const [mix, expected] of Object.entries(sevenBCounts) as [MixName, Record<string, number>][]) {
  test(`${mix}: a 7B file has the tensors of each type that llama.cpp gives it`, () => {
    const plan = planTypes(mix, llama(sevenB), sevenB);
    const counts: Record<string, number> = {};
    for (const { dtype, reason } of plan) {
      counts[dtype] = (counts[dtype] ?? 0) + 1;
      assert.equal(reason, undefined);
    }
    assert.deepEqual(counts, expected);
  });
}

function typeOf(mix: MixName, name: string, model: MixModel, size?: Size) {
  const found = planTypes(mix, llama(model, size), model).find((planned) => planned.name === name);
  assert.ok(found, name);
  return found;
}

test('Q4_K_M: the first and last eighth and every third block between get Q6_K values and down projections', () => {
  const better = planTypes('Q4_K_M', llama(sevenB), sevenB)
    .filter(({ name, dtype }) => name.endsWith('wv_PD') && dtype === 'Q6_K')
    .map(({ name }) => Number(name.split('.')[1]));
  assert.deepEqual(better, [0, 1, 2, 3, 6, 9, 12, 15, 18, 21, 24, 27, 28, 29, 30, 31]);
  assert.equal(typeOf('Q4_K_M', 'blocks.6.wDown_DF', sevenB).dtype, 'Q6_K');
  assert.equal(typeOf('Q4_K_M', 'blocks.5.wDown_DF', sevenB).dtype, 'Q4_K');
  assert.equal(typeOf('Q4_K_M', 'blocks.0.wo_DQ', sevenB).dtype, 'Q4_K');
});

test('grouped queries: Q2_K spends more on values that four heads share, 70B on those that eight do', () => {
  const grouped = { ...sevenB, kvHeadCount: 8 };
  assert.equal(typeOf('Q2_K', 'blocks.9.wv_PD', sevenB).dtype, 'Q3_K');
  assert.equal(typeOf('Q2_K', 'blocks.9.wv_PD', grouped).dtype, 'Q4_K');
  const seventyB = { ...grouped, blockCount: 80 };
  assert.equal(typeOf('Q4_K_S', 'blocks.20.wv_PD', grouped).dtype, 'Q4_K');
  assert.equal(typeOf('Q4_K_S', 'blocks.20.wv_PD', seventyB).dtype, 'Q5_K');
  assert.equal(typeOf('Q4_K_S', 'blocks.20.wv_PD', { ...sevenB, blockCount: 80 }).dtype, 'Q4_K');
});

/** Made by llama_model_quantize (llama.cpp v0.5.0) with an importance matrix of ones on 32 blocks of width 256: types of one kind of matrix. */
test('with an importance matrix, some recipes spend their bits as llama.cpp does then', () => {
  const grouped = { ...sevenB, kvHeadCount: 8 };
  const types = (mix: MixName, key: string, model: MixModel) =>
    planTypes(mix, llama(model), model, { hasImportance: true })
      .filter(({ name }) => name.endsWith(key))
      .map(({ dtype }) => dtype);
  const first4 = (better: string, base: string) => [...Array(4).fill(better), ...Array(28).fill(base)];
  for (const model of [sevenB, grouped]) {
    assert.deepEqual(types('Q4_0', 'wDown_DF', model), first4('Q4_1', 'Q4_0'));
    assert.deepEqual(types('Q5_0', 'wDown_DF', model), first4('Q5_1', 'Q5_0'));
    assert.deepEqual(types('Q2_K_S', 'wDown_DF', model), first4('Q4_K', 'Q2_K'));
    assert.deepEqual(types('Q2_K_S', 'wo_DQ', model), Array(32).fill('Q2_K'));
    assert.deepEqual(types('Q2_K_S', 'wv_PD', model), Array(32).fill(model === grouped ? 'Q4_K' : 'Q2_K'));
    for (const mix of ['IQ4_NL', 'IQ4_XS'] as const) {
      assert.deepEqual(types(mix, 'wDown_DF', model), Array(32).fill(mix));
      assert.deepEqual(types(mix, 'wv_PD', model), Array(32).fill(model === grouped ? 'Q5_K' : mix));
    }
    for (const mix of ['Q2_K', 'Q3_K_M', 'Q4_K_M', 'Q5_K_S', 'Q6_K', 'Q8_0'] as const) {
      assert.deepEqual(
        planTypes(mix, llama(model), model, { hasImportance: true }),
        planTypes(mix, llama(model), model),
      );
    }
  }
});

test('a tied embedding is the output, and gets its type', () => {
  const tied = { ...sevenB, tiedEmbeddings: true };
  assert.equal(typeOf('Q4_K_M', 'embed_VD', sevenB).dtype, 'Q4_K');
  assert.equal(typeOf('Q4_K_M', 'embed_VD', tied).dtype, 'Q6_K');
  assert.equal(typeOf('Q8_0', 'embed_VD', tied).dtype, 'Q8_0');
});

test('rows that no super-block fits fall back to the next 32-weight type, and say so', () => {
  const size = { width: 288, ffnWidth: 768 };
  const six = { ...sevenB, headCount: 6, kvHeadCount: 6 };
  const expected = {
    Q2_K: 'IQ4_NL',
    Q3_K_S: 'IQ4_NL',
    IQ4_XS: 'IQ4_NL',
    Q4_K_M: 'Q5_0',
    Q5_K_M: 'Q5_1',
    Q6_K: 'Q8_0',
  } as const;
  for (const [mix, dtype] of Object.entries(expected) as [keyof typeof expected, string][]) {
    const planned = typeOf(mix, 'blocks.5.wq_QD', six, size);
    assert.equal(planned.dtype, dtype);
    assert.match(planned.reason!, /rows of 288 do not fill I?Q\d_\w+ blocks of 256; stored as I?Q\d_\w+ instead/);
    const head = typeOf(mix, 'head_VD', six, size);
    assert.equal(head.dtype, 'Q8_0');
    assert.ok(head.reason);
  }
  assert.equal(typeOf('Q4_0', 'head_VD', six, size).dtype, 'Q8_0');
  assert.equal(typeOf('Q4_K_M', 'blocks.5.wDown_DF', six, size).dtype, 'Q4_K');
  const odd = typeOf('Q4_K_M', 'blocks.5.wq_QD', six, { width: 300, ffnWidth: 768 });
  assert.equal(odd.dtype, 'f16');
  assert.match(odd.reason!, /rows of 300/);
  assert.equal(typeOf('Q8_0', 'blocks.5.wq_QD', six, { width: 300 }).dtype, 'f16');
});

test('parseMix knows every mix in any case, and llama.cpp’s short names; others are refused with the list', () => {
  for (const mix of Object.keys(mixes)) assert.equal(parseMix(mix.toLowerCase()), mix);
  assert.equal(parseMix('q4_k'), 'Q4_K_M');
  assert.equal(parseMix('Q3_K'), 'Q3_K_M');
  for (const wrong of ['Q4', '', 'toString', 'constructor']) {
    assert.throws(() => parseMix(wrong), { code: 'quant.unknown-mix', message: /Q4_K_M/ });
  }
});
