/**
 * The text that `cria lab` trains on where no other is named: stories that the bundled model writes, packed.
 *
 *   node recipes/lab-stories.ts lab-stories.txt.br --stories 1000
 */

import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { brotliCompressSync, constants } from 'node:zlib';
import { Llama } from 'cria';

const beginnings = ['Once upon a time', 'One day', 'There was', 'One sunny day', 'Long ago', 'In a', 'A little'];
const together = 16;

const { values, positionals } = parseArgs({
  options: { stories: { type: 'string', default: '1000' }, threads: { type: 'string', default: '2' } },
  allowPositionals: true,
});
const [output] = positionals;
if (output === undefined) throw new Error('expected the file to write');
await using model = await Llama.load(undefined, { maxSequences: together, threads: Number(values.threads) });
const stories: string[] = [];
let seed = 0;
const write = async (): Promise<void> => {
  while (stories.length < Number(values.stories)) {
    const own = seed++;
    const prompt = beginnings[own % beginnings.length]!;
    const { text, finishReason } = await model.generate(prompt, { seed: own, temperature: 0.9, maxTokens: 400 }).result;
    const story = (prompt + text).trim();
    if (finishReason === 'stop' && story.length > 200) stories.push(story);
    if (stories.length % 100 === 0) console.log(`${stories.length} stories`);
  }
};
await Promise.all(Array.from({ length: together }, write));
stories.sort();
const text = Buffer.from(stories.join('\n<|endoftext|>\n'));
const packed = brotliCompressSync(text, {
  params: {
    [constants.BROTLI_PARAM_QUALITY]: 11,
    [constants.BROTLI_PARAM_LGWIN]: 24,
    [constants.BROTLI_PARAM_MODE]: 1,
  },
});
writeFileSync(output, packed);
console.log(`${output}: ${stories.length} stories, ${text.length} bytes, packed ${packed.length}`);
