/**
 * How byte-level BPE vocabularies cut text into words, by the names that GGUF's `tokenizer.ggml.pre` has for them: one table of
 * patterns, one of names. Each name cuts as llama.cpp does (llama-vocab.cpp, unicode.cpp), also where that differs a little from the
 * model's own tokenizer.json: Tekken's and GPT-4o's letters of either case are only told apart in ASCII, and a class never holds white space
 * beyond ASCII (`\s` does).
 */

const contractions = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";
/** A run of letters that begins like a word in capitals, and one that ends like a word in small letters. */
const upper = String.raw`(?:(?=\p{L})[^a-z])`;
const lower = String.raw`(?:(?=\p{L})[^A-Z])`;
const cased = (end: string) =>
  String.raw`[^\r\n\p{L}\p{N}]?${upper}*${lower}+${end}|[^\r\n\p{L}\p{N}]?${upper}+${lower}*${end}`;
/** What youtu's classes of letters come to. */
const marked = (end: string) => String.raw`[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]*[\p{L}\p{M}]+${end}`;
const spaces = String.raw`\s*[\r\n]+|\s+(?!\S)|\s+`;
const symbols = String.raw` ?[^\s\p{L}\p{N}]+[\r\n]*|${spaces}`;
const symbolsOrSlash = String.raw` ?[^\s\p{L}\p{N}]+[\r\n/]*|${spaces}`;
const words = String.raw`${contractions}|[^\r\n\p{L}\p{N}]?\p{L}+`;
const asciiPunctuation = String.raw`[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_\`{|}~]`.replace('\\`', '`');

export const splitPatterns = {
  'gpt-2': String.raw`'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`,
  llama3: String.raw`${words}|\p{N}{1,3}|${symbols}`,
  qwen2: String.raw`${words}|\p{N}|${symbols}`,
  qwen35: String.raw`${contractions}|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|${spaces}`,
  noContractions: String.raw`[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}|${symbols}`,
  numberRuns: String.raw`${words}|\p{N}+|${symbols}`,
  seedCoder: String.raw`${words}|\p{N}| ?[^\s\p{L}\p{N}\r\n]+|${spaces}`,
  bailing: String.raw`'(?:[sSdDmMtT]|[lL][lL]|[vV][eE]|[rR][eE])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+`,
  exaoneMoe: String.raw`${contractions}|[^\r\n\p{L}\p{N}]?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]?|\s*[\r\n]|\s+(?!\S)|\s+`,
  jais2: String.raw`${words}|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s{512}(?!\S)|\s{256}(?!\S)|\s{128}(?!\S)|\s{64}(?!\S)|\s{32}(?!\S)|\s{16}(?!\S)|\s{8}(?!\S)|\s{4}(?!\S)|\s{1,2}(?!\S)|\s{1}`,
  tekken: String.raw`${cased('')}|\p{N}|${symbolsOrSlash}`,
  'gpt-4o': String.raw`${cased(`${contractions}?`)}|\p{N}{1,3}|${symbolsOrSlash}`,
  youtu: String.raw`${marked(`${contractions}?`)}|\p{N}|${symbolsOrSlash}`,
  digits: String.raw`\p{N}`,
  numbers: String.raw`\p{N}+`,
  threeDigits: String.raw`\p{N}{1,3}`,
  threeAscii: '[0-9][0-9][0-9]',
  threesBoundary: '(?=(?:[0-9]{3})+(?![0-9]))',
  punctuation: String.raw`[\p{P}$+<=>^~|]+`,
  falconPunctuation: '[\\p{P}$+<=>^~|`]+',
  lineEnds: String.raw`[\r\n]`,
  lines: String.raw`[^\n]+|[\n]+`,
  cjk: String.raw`(?:(?!\s)[\u0800-\u9fa5\uac00-\ud7ff])+`,
  hanAndKana: '[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+',
  eastAsian:
    '[\uac00-\ud7a3\u3131-\u318e]+|[\uff01\u2026\u201c\u201d\u2018\u2019\u2014\uff1a\uff1b\uff0c\u3001-\u303f\ufe30-\ufe4f]+|[\u3105-\u312f]+|[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+',
  deepseekLetters:
    '\\s?[A-Za-z\\u00b5\\u00c0-\\u00d6\\u00d8-\\u00f6\\u00f8-\\u01ba\\u01bc-\\u01bf\\u01c4-\\u0293\\u0295-\\u02af\\u0370-\\u0373\\u0376\\u0377\\u037b-\\u037d\\u037f\\u0386\\u0388-\\u038a\\u038c\\u038e-\\u03a1\\u03a3-\\u03f5\\u03f7-\\u0481\\u048a-\\u052f\\u0531-\\u0556\\u10a0-\\u10c5\\u13a0-\\u13f5\\u13f8-\\u13fd\\u1c90-\\u1cba\\u1cbd-\\u1cbf\\u1d00-\\u1d2b\\u1d6b-\\u1d77\\u1d79-\\u1d9a\\u1e00-\\u1f15\\u1f18-\\u1f1d\\u1f20-\\u1f45\\u1f48-\\u1f4d\\u1f50-\\u1f57\\u1f59\\u1f5b\\u1f5d\\u1f5f-\\u1f7d\\u1f80-\\u1fb4\\u1fb6-\\u1fbc\\u1fbe\\u1fc2-\\u1fc4\\u1fc6-\\u1fcc\\u1fd0-\\u1fd3\\u1fd6-\\u1fdb\\u1fe0-\\u1fec\\u1ff2-\\u1ff4\\u1ff6-\\u1ffc\\u2102\\u2107\\u210a-\\u2113\\u2115\\u2119-\\u211d\\u2124\\u2126\\u2128\\u212a-\\u212d\\u212f-\\u2134\\u2139\\u213c-\\u213f\\u2145-\\u2149\\u214e\\u2183\\u2184\\u2c00-\\u2c7b\\u2c7e-\\u2ce4\\u2ceb-\\u2cee\\u2cf2\\u2cf3\\ua640-\\ua66d\\ua680-\\ua69b\\ua722-\\ua76f\\ua771-\\ua787\\ua78b-\\ua78e\\uab70-\\uabbf\\ufb00-\\ufb06\\ufb13-\\ufb17\\uff21-\\uff3a\\uff41-\\uff5a\\u{10400}-\\u{1044f}\\u{104b0}-\\u{104d3}\\u{104d8}-\\u{104fb}\\u{10c80}-\\u{10cb2}\\u{10cc0}-\\u{10cf2}\\u{118a0}-\\u{118df}\\u{1e900}-\\u{1e943}]+',
  deepseekPunctuation: '\\s?[!-/:-~\uff01-\uff0f\uff1a-\uff5e\u2018-\u201f\u3001-\u3002]+',
  trailingSpace: String.raw`\s+$`,
  coderLetters: String.raw`\s?\p{L}+`,
  coderPunctuation: String.raw`\s?\p{P}+`,
  deepseekV3: String.raw`${asciiPunctuation}[A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|${spaces}`,
  spark: String.raw`${asciiPunctuation}[A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+|[\r\n]|\s+(?!\S)|\s+`,
  sentences: ' ?[^(\\s|.,!?\u2026\u3002\uff0c\u3001\u0964\u06d4\u060c)]+',
  sentinels: '<sentinel:[0-9]+>',
  images: '(?:IMGIMG)(?:[A-I]{1,4})Z',
  tabsAndPairs: '[\\t\\n]| {4}| {2}',
  eachPunctuation: '[\\p{P}!-/:-@\\[-`{-~]',
} as const satisfies Record<string, string>;
export type SplitPattern = keyof typeof splitPatterns;

/** A way to cut text: patterns that are used one after the other, each on the words that those before left. */
export interface NamedSplit {
  readonly steps: readonly SplitPattern[];
  /** Whole words that are tokens are not merged up. */
  readonly ignoreMerges?: true;
  /** Texts begin with bos where the file does not say. */
  readonly addBos?: true;
}

interface Row extends NamedSplit {
  readonly names: readonly string[];
}

/** Names that share a row share its behaviour. */
// biome-ignore format: a table
const rows: readonly Row[] = [
  { names: ['default'], steps: ['punctuation', 'gpt-2', 'numbers', 'threeAscii'] },
  { names: ['llama-bpe', 'llama3', 'llama-v3', 'falcon3', 'falcon-h1', 'pixtral', 'midm-2.0', 'lfm2', 'jina-v5-nano'],
    steps: ['llama3'], ignoreMerges: true, addBos: true },
  { names: ['smaug-bpe', 'dbrx', 'glm4', 'chatglm-bpe'], steps: ['llama3'] },
  // Names that llama.cpp does not have, of vocabularies that it has under others: dbrx and refact.
  { names: ['phi-3', 'phi-4'], steps: ['llama3'] },
  { names: ['granite'], steps: ['digits', 'gpt-2'] },
  { names: ['qwen2', 'deepseek-r1-qwen', 'kormo', 'f2llmv2', 'megrez', 'stablelm2', 'hunyuan', 'solar-open', 'grok-2'], steps: ['qwen2'] },
  { names: ['qwen35'], steps: ['qwen35'] },
  { names: ['gpt-2', 'phi-2', 'jina-es', 'jina-de', 'gigachat', 'jina-v2-es', 'jina-v2-de', 'a.x-4.0', 'mellum', 'modern-bert', 'roberta-bpe',
    'jina-v1-en', 'jina-v2-code', 'mpt', 'olmo', 'jais', 'trillion', 'granite-docling', 'exaone4'], steps: ['gpt-2'] },
  { names: ['smollm', 'starcoder', 'refact', 'command-r', 'codeshell', 'exaone', 'minerva-7b', 'mellum2'], steps: ['digits', 'gpt-2'] },
  { names: ['tekken'], steps: ['tekken'], ignoreMerges: true, addBos: true },
  { names: ['gpt-4o', 'llama4', 'kanana2', 'talkie', 'minimax-m2'], steps: ['gpt-4o'] },
  { names: ['deepseek-llm'], steps: ['lineEnds', 'deepseekLetters', 'deepseekPunctuation', 'trailingSpace', 'cjk', 'numbers'] },
  { names: ['deepseek-coder'], steps: ['lineEnds', 'coderLetters', 'coderPunctuation', 'cjk', 'digits'] },
  { names: ['deepseek-v3', 'hunyuan-dense', 'joyai-llm', 'hy_v4'], steps: ['threeDigits', 'hanAndKana', 'deepseekV3'] },
  { names: ['spark2_5'], steps: ['threeDigits', 'hanAndKana', 'spark', 'digits'] },
  { names: ['falcon'], steps: ['falconPunctuation', 'gpt-2', 'threeAscii'] },
  { names: ['bloom', 'poro-chat', 'gpt3-finnish'], steps: ['sentences'] },
  { names: ['viking'], steps: ['sentences', 'digits'] },
  { names: ['chameleon'], steps: ['sentinels', 'images', 'tabsAndPairs', 'digits', 'eachPunctuation', 'gpt-2'], addBos: true },
  { names: ['bailingmoe', 'bailingmoe2', 'llada-moe'], steps: ['bailing'] },
  { names: ['seed-coder'], steps: ['seedCoder'] },
  { names: ['exaone-moe'], steps: ['exaoneMoe'] },
  { names: ['jais-2'], steps: ['jais2'] },
  { names: ['superbpe'], steps: ['numbers', 'threesBoundary'] },
  { names: ['youtu'], steps: ['eastAsian', 'youtu'], ignoreMerges: true },
  { names: ['minicpm5'], steps: ['threeDigits', 'numberRuns'], ignoreMerges: true },
  { names: ['laguna'], steps: ['lines', 'qwen2'] },
  { names: ['ufakzeka'], steps: ['noContractions'] },
];

/** One name of each row, for messages. */
export const splitNames: readonly string[] = rows.map(({ names }) => names[0]!);

export const namedSplits: ReadonlyMap<string, NamedSplit> = new Map(
  rows.flatMap(({ names, ...split }) => names.map((name) => [name, split] as const)),
);

/** Patterns of published tokenizer.json files that read otherwise than the table's, with the step of the table that they are closest to. */
const upperMarks = String.raw`[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]`;
const lowerMarks = String.raw`[\p{Ll}\p{Lm}\p{Lo}\p{M}]`;
const casedMarks = (end: string) =>
  String.raw`[^\r\n\p{L}\p{N}]?${upperMarks}*${lowerMarks}+${end}|[^\r\n\p{L}\p{N}]?${upperMarks}+${lowerMarks}*${end}`;
const variants: readonly (readonly [source: string, step: SplitPattern])[] = [
  [String.raw`${casedMarks('')}|\p{N}|${symbolsOrSlash}`, 'tekken'],
  [String.raw`${casedMarks(`${contractions}?`)}|\p{N}{1,3}|${symbolsOrSlash}`, 'gpt-4o'],
  // tiktoken's cl100k, as dbrx and Phi-4 spell it
  [
    String.raw`${contractions}|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+`,
    'llama3',
  ],
  [
    String.raw`'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+`,
    'llama3',
  ],
  [
    String.raw`'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+`,
    'bailing',
  ],
  [String.raw`'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`, 'gpt-2'],
  [String.raw`'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)`, 'gpt-2'],
];

/** Published patterns, as their files spell them, with the step of the table that they are. They take no time out of proportion. */
export const publishedPatterns: ReadonlyMap<string, SplitPattern> = new Map([
  ...variants,
  ...(Object.entries(splitPatterns) as [SplitPattern, string][]).map(([step, source]) => [source, step] as const),
]);

/** The name whose steps these are, for a file that must have one; null where there is none. */
export function nameOfSteps(steps: readonly SplitPattern[], ignoreMerges: boolean): string | null {
  const alike = rows.filter((row) => String(row.steps) === String(steps));
  const row = alike.find((one) => (one.ignoreMerges ?? false) === ignoreMerges) ?? alike[0];
  return row?.names[0] ?? null;
}
