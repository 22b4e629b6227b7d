/**
 * File-level recipes, as llama.cpp composes them: which type every parameter of a model gets. A mix is named after the type of most
 * weights; the output matrix, attention values and the down projection are the most sensitive and often get more bits.
 *
 * Source  llama.cpp, llama_tensor_get_type and tensor_type_fallback of src/llama-quant.cpp; the numbers are enum llama_ftype.
 */
import { ArgumentError } from '../base/errors.ts';
import { dtypes, type WritableType } from '../tensor/dtype.ts';

/** What the recipes need of a model; a LlamaConfig is one. */
export interface MixModel {
  readonly blockCount: number;
  readonly headCount: number;
  readonly kvHeadCount: number;
  /** The embedding is the output matrix too. */
  readonly tiedEmbeddings: boolean;
}

/** What is known of the activations: some recipes spend their bits otherwise when an importance matrix steers the errors. */
export interface Knowledge {
  readonly hasImportance: boolean;
}

/** What they need of a parameter; a Parameter of src/model/parameters.ts is one. */
export interface MixParameter {
  readonly name: string;
  /** 'wv_PD', 'embed_VD' …: the table key, without the block. */
  readonly key: string;
  readonly block: number | null;
  readonly shape: readonly number[];
}

export interface PlannedType {
  readonly name: string;
  readonly dtype: WritableType;
  /** Why this parameter could not have the type that its mix wants; show it to the user. */
  readonly reason?: string;
}

type Rule = (block: number, model: MixModel, knowledge: Knowledge) => WritableType;

interface Mix {
  /** GGUF's general.file_type. */
  readonly fileType: number;
  readonly base: WritableType;
  /** Exceptions by parameter key. */
  readonly rules?: Readonly<Record<string, Rule>>;
}

/** `better` in the first and last eighth of the blocks and in every third between, where errors cost most. */
const someBlocks =
  (better: WritableType, base: WritableType): Rule =>
  (block, { blockCount }) => {
    const eighth = Math.floor(blockCount / 8);
    const many = block < eighth || block >= Math.floor((7 * blockCount) / 8) || (block - eighth) % 3 === 2;
    return many ? better : base;
  };

/** `better` in the first blocks: a fixed number of them, or a fraction of all. */
const firstBlocks =
  (blocks: number | { readonly oneIn: number }, better: WritableType, base: WritableType): Rule =>
  (block, { blockCount }) =>
    block < (typeof blocks === 'number' ? blocks : Math.floor(blockCount / blocks.oneIn)) ? better : base;

/** `known` with an importance matrix, `unknown` without one. */
const byKnowledge =
  (known: Rule, unknown: Rule): Rule =>
  (block, model, knowledge) =>
    (knowledge.hasImportance ? known : unknown)(block, model, knowledge);

const always =
  (type: WritableType): Rule =>
  () =>
    type;

/** A value matrix that four or more query heads share is small, so that good bits cost little. */
const sharedBy =
  (better: WritableType, base: WritableType): Rule =>
  (_, { headCount, kvHeadCount }) =>
    headCount / kvHeadCount >= 4 ? better : base;

const firstEighth = (better: WritableType, base: WritableType) => firstBlocks({ oneIn: 8 }, better, base);

export const mixes = {
  F32: { fileType: 0, base: 'f32' },
  F16: { fileType: 1, base: 'f16' },
  BF16: { fileType: 32, base: 'bf16' },
  Q8_0: { fileType: 7, base: 'Q8_0' },
  Q4_0: {
    fileType: 2,
    base: 'Q4_0',
    rules: { wDown_DF: byKnowledge(firstEighth('Q4_1', 'Q4_0'), always('Q4_0')) },
  },
  Q4_1: { fileType: 3, base: 'Q4_1' },
  Q5_0: {
    fileType: 8,
    base: 'Q5_0',
    rules: { wDown_DF: byKnowledge(firstEighth('Q5_1', 'Q5_0'), always('Q5_0')) },
  },
  Q5_1: { fileType: 9, base: 'Q5_1' },
  Q2_K: {
    fileType: 10,
    base: 'Q2_K',
    rules: { wv_PD: sharedBy('Q4_K', 'Q3_K'), wo_DQ: always('Q3_K'), wDown_DF: always('Q3_K') },
  },
  Q2_K_S: {
    fileType: 21,
    base: 'Q2_K',
    rules: {
      wv_PD: byKnowledge(sharedBy('Q4_K', 'Q2_K'), sharedBy('Q4_K', 'Q3_K')),
      wo_DQ: byKnowledge(always('Q2_K'), always('Q3_K')),
      wDown_DF: byKnowledge(firstEighth('Q4_K', 'Q2_K'), always('Q3_K')),
    },
  },
  Q3_K_S: { fileType: 11, base: 'Q3_K' },
  Q3_K_M: {
    fileType: 12,
    base: 'Q3_K',
    rules: {
      wv_PD: firstBlocks(2, 'Q5_K', 'Q4_K'),
      wo_DQ: always('Q4_K'),
      wDown_DF: firstBlocks({ oneIn: 16 }, 'Q5_K', 'Q4_K'),
    },
  },
  Q3_K_L: {
    fileType: 13,
    base: 'Q3_K',
    rules: { wv_PD: always('Q5_K'), wo_DQ: always('Q5_K'), wDown_DF: always('Q5_K') },
  },
  Q4_K_S: {
    fileType: 14,
    base: 'Q4_K',
    rules: { wv_PD: firstBlocks(4, 'Q5_K', 'Q4_K'), wDown_DF: firstEighth('Q5_K', 'Q4_K') },
  },
  Q4_K_M: {
    fileType: 15,
    base: 'Q4_K',
    rules: { wv_PD: someBlocks('Q6_K', 'Q4_K'), wDown_DF: someBlocks('Q6_K', 'Q4_K') },
  },
  Q5_K_S: { fileType: 16, base: 'Q5_K' },
  Q5_K_M: {
    fileType: 17,
    base: 'Q5_K',
    rules: { wv_PD: someBlocks('Q6_K', 'Q5_K'), wDown_DF: someBlocks('Q6_K', 'Q5_K') },
  },
  Q6_K: { fileType: 18, base: 'Q6_K' },
  IQ4_NL: {
    fileType: 25,
    base: 'IQ4_NL',
    rules: {
      wv_PD: sharedBy('Q5_K', 'IQ4_NL'),
      wDown_DF: byKnowledge(always('IQ4_NL'), firstEighth('Q5_K', 'IQ4_NL')),
    },
  },
  IQ4_XS: {
    fileType: 30,
    base: 'IQ4_XS',
    rules: {
      wv_PD: sharedBy('Q5_K', 'IQ4_XS'),
      wDown_DF: byKnowledge(always('IQ4_XS'), firstEighth('Q5_K', 'IQ4_XS')),
    },
  },
} as const satisfies Record<string, Mix>;

export type MixName = keyof typeof mixes;

/** llama.cpp's short names for the middle recipes. */
const aliases: Readonly<Record<string, MixName>> = { Q3_K: 'Q3_K_M', Q4_K: 'Q4_K_M', Q5_K: 'Q5_K_M' };

/** 'q4_k_m' → 'Q4_K_M'; in any case, and with the short names. */
export function parseMix(text: string): MixName {
  const name = text.toUpperCase();
  if (Object.hasOwn(mixes, name)) return name as MixName;
  const alias = Object.hasOwn(aliases, name) ? aliases[name] : undefined;
  if (alias) return alias;
  throw new ArgumentError(
    'quant.unknown-mix',
    `mix: expected one of ${Object.keys(mixes).join(', ')}, found '${text}'. Choose one of these`,
  );
}

/** Types that are asked for whatever the mix says: of the table of embeddings, and of the output matrix where it is another. */
export interface AskedTypes {
  readonly embedding?: WritableType | undefined;
  readonly output?: WritableType | undefined;
}

/** The type of every parameter under a mix. Vectors stay f32; a shape that a type cannot hold falls back, with the reason. */
export function planTypes(
  mix: MixName,
  parameters: readonly MixParameter[],
  model: MixModel,
  knowledge: Knowledge = { hasImportance: false },
  asked: AskedTypes = {},
): PlannedType[] {
  return parameters.map((parameter) => {
    const type =
      parameter.key === 'embed_VD' ? asked.embedding : parameter.key === 'head_VD' ? asked.output : undefined;
    return type
      ? fitted(parameter.name, parameter.shape.at(-1) ?? 1, type)
      : planType(mixes[mix], parameter, model, knowledge);
  });
}

function planType({ base, rules }: Mix, parameter: MixParameter, model: MixModel, knowledge: Knowledge): PlannedType {
  const { name, key, shape } = parameter;
  const columns = shape.at(-1) ?? 1;
  // A router decides between experts: it is small, and its rounding would change which.
  if (shape.length < 2 || key === 'positions_CD' || key === 'wRouter_XD') return { name, dtype: 'f32' };
  if (dtypes[base].blockWeights === 1) return { name, dtype: base };

  if (key === 'head_VD' || (key === 'embed_VD' && model.tiedEmbeddings)) {
    if (fits('Q8_0', columns) && !fits(base, columns)) {
      return { name, dtype: 'Q8_0', reason: misfit(columns, base, 'Q8_0') };
    }
    return fitted(name, columns, base === 'Q8_0' ? 'Q8_0' : 'Q6_K');
  }
  const rule = parameter.block === null ? undefined : rules?.[key === 'wDown_XDG' ? 'wDown_DF' : key];
  let dtype = rule && parameter.block !== null ? rule(parameter.block, model, knowledge) : base;
  // The 70B models' value matrices are an eighth of the query's: a little more costs next to nothing.
  const is70B = model.blockCount === 80 && model.headCount !== model.kvHeadCount;
  if (is70B && key === 'wv_PD' && (dtype === 'Q3_K' || dtype === 'Q4_K')) dtype = 'Q5_K';
  return fitted(name, columns, dtype);
}

/**
 * What stands in where the columns are no multiple of 256: the 32-weight type with at least as many bits. For the smallest types
 * llama.cpp of 2024 took IQ4_NL, and today's takes Q4_0, which is as large and less exact.
 */
const fallbacks: Partial<Record<WritableType, WritableType>> = {
  Q2_K: 'IQ4_NL',
  Q3_K: 'IQ4_NL',
  IQ4_XS: 'IQ4_NL',
  Q4_K: 'Q5_0',
  Q5_K: 'Q5_1',
  Q6_K: 'Q8_0',
};

function fitted(name: string, columns: number, wanted: WritableType): PlannedType {
  if (fits(wanted, columns)) return { name, dtype: wanted };
  const second = fallbacks[wanted] ?? 'f16';
  const dtype = fits(second, columns) ? second : 'f16';
  return { name, dtype, reason: misfit(columns, wanted, dtype) };
}

function fits(dtype: WritableType, columns: number): boolean {
  return columns % dtypes[dtype].blockWeights === 0;
}

function misfit(columns: number, wanted: WritableType, dtype: WritableType): string {
  return `rows of ${columns} do not fill ${wanted} blocks of ${dtypes[wanted].blockWeights}; stored as ${dtype} instead`;
}
