/**
 * Records vectors.json: how llama.cpp cuts texts into words under every name that GGUF's tokenizer.ggml.pre may have, as ids of the pair
 * vocabulary (test/support/pair-vocabulary.ts). llama.cpp comes through node-llama-cpp, which is no dependency of Cria:
 *
 *   mkdir oracle && cd oracle && npm init -y && NODE_LLAMA_CPP_SKIP_DOWNLOAD=1 npm i node-llama-cpp
 *   node ../cria/test/golden/tokenizers/pre-tokenizers/record.ts record          # writes vectors.json
 *   node ../cria/test/golden/tokenizers/pre-tokenizers/record.ts compare 5000    # random texts, nothing is written; names may follow
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { Random } from '../../../../src/base/random.ts';
import type { GgufField, GgufType } from '../../../../src/formats/gguf-values.ts';
import { writeGguf } from '../../../../src/formats/gguf-write.ts';
import { MemorySink } from '../../../../src/formats/sink.ts';
import { createTokenizer } from '../../../../src/tokenizer/create-tokenizer.ts';
import { namedSplits } from '../../../../src/tokenizer/encode/named-splits.ts';
import { pairVocabulary } from '../../../support/pair-vocabulary.ts';

interface Oracle {
  tokenize(text: string): number[];
}

const texts: readonly string[] = [
  'Hello, world! How are you?',
  "I'm you're she'll they've he'd don't it's I'D WE'LL can'T ’s '",
  "it'ſ 'S 'Re 've'll'd''s 's's",
  'x = 3.14159265 * (1234567890 + 0x1F) // 12,345.67 €99 $5 50% 1e-10',
  '1 12 123 1234 12345 123456 1234567 ①②③ ½ ⅷ ٣٤٥ ४५६ ２０２５',
  'def f(x):\n    if x > 0:\n\t\treturn "a\\tb"\n\n\n  # done\r\nclass A: pass\r\r\n',
  'for(let i=0;i<n;i++){a[i]+=b[i]&&!c||d?e:f;}//end\n/* x */ <div class="a">&amp;</div>',
  '   leading and trailing   ',
  ' \n \n\n \t\t x\n\n\n\ny \r\n\r\n z  \n',
  'a\u00a0b\u2003c\u3000d\u0085e\u2028f\u200bg\ufeffh\u2009 i',
  '안녕하세요. 오늘 날씨가 참 좋네요! 2025년 11월 29일, 서울에서.',
  '한국어와 English를 섞어 쓰는 문장이에요ㅋㅋㅋ ㅠㅠ 값은 1,234원(약 0.9달러)입니다.',
  '밝은 대낮에 갓난아이가 "엄마"라고 말했다. 『훈민정음』·가나다 \u1112\u1161\u11ab',
  '吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。',
  '我喜欢吃苹果，你呢？「真的」……一二三123四五六、《红楼梦》',
  'カタカナ ﾊﾝｶｸ ひらがな 漢字かな交じり文ー々〆',
  'Привет, мир! Съешь ещё этих мягких французских булок. ΑΒΓ αβγ Ωμέγα',
  'مرحبا بالعالم، كيف حالك؟ ١٢٣ שלום עולם',
  'नमस्ते दुनिया। क्षत्रिय ज्ञान বাংলা ภาษาไทย ไม่มี ខ្មែរ தமிழ் తెలుగు',
  'Ünïcödé ÀÉÎÕÜ ñandú Straße ŒUVRE İstanbul ǅ ﬁne Ǆungla',
  'e\u0301 a\u0308 n\u0303o Z\u0351\u036b\u0343 \u0301alone',
  'HelloWorld camelCaseXMLHttpRequest snake_case_NAME kebab-case SCREAMING aB Ab ABc',
  '😀😃 👨‍👩‍👧‍👦 🇰🇷🇺🇸 👍🏽 ❤️ ☺ ♥ ™ © ← ∑∫√ ≠ ∞',
  '😀a1 b😀 1😀2 !😀?',
  '\u0000\u0001\u0007\u001b[31mred\u001b[0m \u007f \u0080\u009f',
  '\ue000 \uf8ff \u0378 \u{1f9ff} \u{10ffff} \u{20000}\u{2a6df} \u{1d400}\u{1d7ce}',
  '\u202eRTL\u202c \u2066x\u2069 \u00ad soft',
  '<s>[INST] <<SYS>> x <</SYS>> [/INST] </s> <|im_start|>user <sentinel:12> IMGIMGABCZ',
  'https://example.com/a/b?c=d&e=f#g user@mail.org C:\\Users\\x ~/.bashrc ../..',
  '--- === *** ### ```js\n~~~ ... !!! ??? ,,, ;;; ::: ||| ^^^ +++ <<< >>> $$$ `` @@',
  '- a\n- b\n  - c\n\n1. x\n2. y\n\n| a | b |\n|---|---|\n',
  'a.b,c;d:e!f?g/h\\i|j(k)l[m]n{o}p"q\'r`s~t@u#v$w%x^y&z*a-b_c+d=e<f>g',
  ' .a ,b !c ?d -e (f "g \'h …i 。j ，k 、l ।m ۔n ،o',
  '\t\ta\t b\t\tc \t',
  '\n',
  ' ',
  '  ',
  '\r',
  '\u3000\u3000全角　スペース',
  'Mr. O’Neill’s “quoted” ‘text’ — en–dash…',
  '1st 2nd 3rd 4th v1.2.3-beta+5 3x3 10kg 5°C №5 §3 ¶',
  'aaaaaaaaaaaaaaaaaaaa BBBBBBBBBBBBBBBBBB 000000000000000000',
  'AАΑ aаα (Latin, Cyrillic, Greek) K\u212a Å\u212b',
  'ʰʲˠ ªº ƻ ǀǁ ʔ ᵃ ₐ ⁿ ² ₂',
  '्ि \u0e31\u0e47 \u200d\u200c \u034f',
  'GPT4o 日本JP한국KR中国CN\nTab\tEnd',
  'the the  the   the    the\nthe\n the\n\n the \n',
  "'tis 'twas rock'n'roll l'été d'Artagnan 'em",
  '/a//b///c /\n// \n/',
  '!\n?\r\n.\n\n;\t',
];

/** Characters that random texts are made of: every kind that some pattern treats in a way of its own. */
const pool = [
  ...'aZqK09 \n\t\r\'"!/.-_$+<^|`~@',
  ...['é', 'É', 'ß', 'ǅ', 'ʰ', 'ƻ', 'я', 'Я', 'α', 'ا', 'क', '्', 'ก', '\u0e31', '\u0301', '한', 'ㅋ', '\u1112', '日', '々', 'か', 'カ', 'ー', '、', '。'],
  ...['１', '½', 'Ⅷ', '٣', '²', '€', '∑', '😀', '\u200d', '\ufe0f', '\u00a0', '\u3000', '\u0085', '\u2028', '\ufeff', '\u200b', '\u00ad', '\u0000', '\ue000'],
  ...['  ', '   ', '\r\n', '\n\n', "'s", "'LL", "'Ve", '123', '4567', ' a', ' 1', ' !', 'ſ', '…', '，', '।', '‘', '\u{20000}', '\u{1d400}', 'the', 'IMGIMG'],
];

function randomTexts(count: number): string[] {
  const random = new Random(20_251);
  return Array.from({ length: count }, () => {
    const length = 1 + random.below(14);
    return Array.from({ length }, () => pool[random.below(pool.length)]!).join('');
  });
}

/** llama.cpp's tokenizer for the pair vocabulary, or why it has none. */
async function oracleOf(llama: LlamaCpp, folder: string, pre: string | null): Promise<Oracle | string> {
  const fields = new Map<string, GgufField>([
    ['general.architecture', { type: 'string', value: 'llama' }],
    ...[...pairVocabulary(pre)].map(([key, value]): [string, GgufField] => [key, { type: typeOf(value), value }]),
  ]);
  const sizes = { block_count: 1, context_length: 8, embedding_length: 32, feed_forward_length: 32, 'attention.head_count': 1 };
  for (const [key, value] of Object.entries(sizes)) fields.set(`llama.${key}`, { type: 'u32', value });
  fields.set('llama.attention.layer_norm_rms_epsilon', { type: 'f32', value: 1e-5 });
  const sink = new MemorySink();
  writeGguf(sink, fields, []);
  const path = join(folder, `${pre ?? 'absent'}.gguf`);
  writeFileSync(path, sink.bytes());
  try {
    const model = await llama.loadModel({ modelPath: path, vocabOnly: true });
    return { tokenize: (text) => Array.from(model._model.tokenize(text, false)) };
  } catch (error) {
    return (error as Error).message;
  } finally {
    rmSync(path);
  }
}

function typeOf(value: unknown): GgufType {
  if (typeof value === 'string') return 'string';
  return typeof value === 'number' ? 'u32' : 'array';
}

interface LlamaCpp {
  loadModel(options: object): Promise<{ readonly _model: { tokenize(text: string, special: boolean): Uint32Array } }>;
}

const [mode = 'record', count = '1000', ...only] = process.argv.slice(2);
const require = createRequire(`${process.cwd()}/`);
const { getLlama } = await import(pathToFileURL(require.resolve('node-llama-cpp')).href);
const llama: LlamaCpp & { readonly llamaCppRelease?: { readonly release: string } } = await getLlama({
  gpu: false,
  build: 'never',
  logLevel: 'error',
});
const version = require(join(require.resolve('node-llama-cpp'), '../../package.json')).version as string;
const folder = mkdtempSync(join(tmpdir(), 'pre-tokenizers-'));
const compared = mode === 'compare' ? randomTexts(Number(count)) : texts;
const ids: Record<string, number[][] | string> = {};
const owner = new Map<string, string>();
let wrong = 0;
for (const pre of only.length > 0 ? only : [null, ...namedSplits.keys()]) {
  const name = pre ?? '(absent)';
  const oracle = await oracleOf(llama, folder, pre);
  if (typeof oracle === 'string') {
    console.log(`${name}: llama.cpp does not read it: ${oracle}`);
    continue;
  }
  const ours = createTokenizer({ kind: 'gguf', file: name, metadata: pairVocabulary(pre) });
  const expected = compared.map((text) => oracle.tokenize(text));
  const different = compared.filter((text, i) => String([...ours.encode(text)]) !== String(expected[i]));
  wrong += different.length;
  console.log(`${name}: ${compared.length} texts, ${different.length} cut in another way`, different.slice(0, 3).map((text) => JSON.stringify(text)).join(' '));
  const key = JSON.stringify(expected);
  ids[name] = owner.get(key) ?? expected;
  if (!owner.has(key)) owner.set(key, name);
}
rmSync(folder, { recursive: true });
if (mode === 'record') {
  const made = `node-llama-cpp ${version}, llama.cpp ${llama.llamaCppRelease?.release ?? '?'}`;
  const facts = { case: 'tokenizers/pre-tokenizers', made, how: 'node record.ts record', texts, ids };
  const text = `${JSON.stringify(facts, null, 1).replace(/\[\s+((?:\d+,?\s*)+)\]/g, (list) => list.replace(/\s+/g, ''))}\n`;
  writeFileSync(fileURLToPath(new URL('vectors.json', import.meta.url)), text);
}
process.exit(wrong === 0 ? 0 : 1);
