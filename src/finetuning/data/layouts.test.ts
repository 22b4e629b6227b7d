/** Layouts of other tools: one conversation under many field names is the same sample, pair or prompt. */
import { deepEqual, equal, match } from 'node:assert/strict';
import { test } from 'node:test';
import { chatTemplateFor } from '../../tokenizer/chat/chat-template.ts';
import { goldenSentencePiece } from '../../tokenizer/testing/golden-files.ts';
import { type CollectOptions, collectPairs, collectPrompts, collectRated, collectSft } from './collect.ts';
import type { EncodedSample, Encoder } from './encode.ts';
import { runsOf } from './proof.ts';

const tokenizer = goldenSentencePiece('tokenizers/sp-bpe-512');
function encoder(template: string): Encoder {
  return { tokenizer, template: chatTemplateFor(tokenizer, template), trainOn: 'all' };
}
/** The texts that carry loss. */
function learned(sample: EncodedSample): string[] {
  return runsOf(sample, tokenizer).flatMap(({ text, carries }) => (carries ? [text] : []));
}
const options: CollectOptions = {
  encoder: encoder('llama2'),
  format: null,
  fields: {},
  isAlpaca: false,
  asChat: true,
  tooLong: 'refuse',
  contextLength: 512,
};
const rows = (values: readonly object[]) => values.map((value, i) => ({ value, where: `row ${i + 1}` }));

const user = { role: 'user', content: 'What is up?' };
const [good, bad] = ['Not much.', 'Go away.'].map((content) => ({ role: 'assistant', content })) as [object, object];
const said = (value: string) => ({ from: 'gpt', value });

/** What pairs are, as text and as what is learned of it. */
async function pairsOf(values: readonly object[]): Promise<string[][]> {
  const { samples, census } = await collectPairs(rows(values), options);
  deepEqual(census.refused, []);
  return samples.map(({ chosen, rejected }) =>
    [chosen, rejected].map((sample) => {
      equal(sample.endedTurns, sample.turns);
      return `${tokenizer.decode(sample.ids)}|${learned(sample).join('|')}`;
    }),
  );
}

test('pairs of other tools: one answer under many layouts is the same pair', async () => {
  const pairs = await pairsOf([
    { prompt: [user], chosen: [good], rejected: [bad] },
    { prompt: 'What is up?', chosen: [user, good], rejected: [user, bad], messages: [user, good] },
    { chosen: [user, good], rejected: [user, bad] },
    { prompt: [user], chosen: [user, good], rejected: [user, bad] },
    { input: { messages: [user] }, preferred_output: [good], non_preferred_output: [bad] },
    { conversations: [{ from: 'human', value: 'What is up?' }], chosen: said('Not much.'), rejected: said('Go away.') },
    { messages: [user], chosen: good, rejected: bad },
    { instruction: 'What is up?', input: '', chosen: 'Not much.', rejected: 'Go away.' },
  ]);
  match(pairs[0]![0]!, /INST\] What is up\? \[\/INST\].*Not much\..*\|\s?Not much\. ?<\/s>$/);
  for (const pair of pairs) deepEqual(pair, pairs[0]);
  const strict = { role: 'system', content: 'Be brief.' };
  const systems = await pairsOf([
    { prompt: [strict, user], chosen: [good], rejected: [bad] },
    { system: 'Be brief.', prompt: 'What is up?', chosen: 'Not much.', rejected: 'Go away.' },
    { system: 'Be brief.', chosen: [user, good], rejected: [user, bad] },
    { system: 'Be brief.', instruction: 'What is up?', chosen: 'Not much.', rejected: 'Go away.' },
  ]);
  match(systems[0]![0]!, /Be brief\./);
  for (const pair of systems) deepEqual(pair, systems[0]);
  const other = { value: { prompt: 'Another?', chosen: [user, good], rejected: [user, bad] }, where: 'row' };
  const { census } = await collectPairs([other], options);
  match(census.refused[0]!.reason, /whole conversations, in which the prompt is not asked/);
});

test('single answers with a label, and prompts alone, are read from any layout', async () => {
  const rated = await collectRated(
    rows([
      { prompt: 'What is up?', completion: 'Not much.', label: true },
      { prompt: [user], completion: [good], label: true },
      { messages: [user, good], label: true },
      { instruction: 'What is up?', output: 'Not much.', label: true },
    ]),
    options,
  );
  deepEqual(rated.census.refused, []);
  for (const { answer, isLiked } of rated.samples) {
    equal(isLiked, true);
    deepEqual(answer.ids, rated.samples[0]!.answer.ids);
    deepEqual(answer.carries, rated.samples[0]!.answer.carries);
  }
  const prompts = await collectPrompts(
    rows([
      { prompt: 'What is up?' },
      { prompt: [user] },
      { messages: [user] },
      { messages: [user, good] },
      { instruction: 'What is up?' },
      { instruction: 'What is up?', output: 'Not much.' },
      { conversations: [{ from: 'human', value: 'What is up?' }] },
    ]),
    options,
    8,
  );
  deepEqual(prompts.census.refused, []);
  for (const { ids } of prompts.samples) deepEqual(ids, prompts.samples[0]!.ids);
  const more = await collectPrompts(rows([{ messages: [user, good, { ...user, content: 'And now?' }] }]), options, 8);
  match(tokenizer.decode(more.samples[0]!.ids), /Not much\..*And now\? \[\/INST\]$/);
});

test("rows' own fields for what stands before: system, history, functions, calls as texts, flags of other tools", async () => {
  const one = async (value: object, using = options.encoder) => {
    const { samples, census } = await collectSft([{ value, where: 'row' }], {
      ...options,
      asChat: false,
      encoder: using,
    });
    deepEqual(census.refused, []);
    return samples[0]!;
  };
  const turns = [user, good, { role: 'user', content: 'Bye.' }, { role: 'assistant', content: 'See you!' }];
  const alpaca = {
    instruction: 'Bye.',
    output: 'See you!',
    system: 'Be brief.',
    history: [['What is up?', 'Not much.']],
  };
  deepEqual(
    (await one(alpaca)).ids,
    (await one({ messages: [{ role: 'system', content: 'Be brief.' }, ...turns] })).ids,
  );
  deepEqual(
    (await one({ prompt: 'Hi', completion: 'Yes.', system: 'Be brief.' })).ids,
    (await one({ instruction: 'Hi', output: 'Yes.', system: 'Be brief.' })).ids,
  );
  const tools = [{ type: 'function', function: { name: 'sky', parameters: {} } }];
  for (const row of [
    { prompt: 'Hi', completion: 'Yes.', tools },
    { messages: [user, good], tools },
  ]) {
    const { census } = await collectSft([{ value: row, where: 'row' }], { ...options, asChat: false });
    match(census.refused[0]!.reason, /does not write the tools that a conversation has/);
  }
  for (const name of ['train', 'training', 'loss']) {
    const flagged = turns.map((message, i) => (i === 1 ? { ...message, [name]: false } : message));
    deepEqual(
      learned(await one({ messages: flagged })).map((text) => text.trim().slice(0, 3)),
      ['See'],
    );
  }
  const shown = encoder(
    `{{ bos_token }}{% for tool in tools or [] %}{{ 'T:' + tool.function.name }}{% endfor %}{% for m in messages %}{% if m.role == 'assistant' %}` +
      `{{ 'A:' + m.content }}{% for call in m.tool_calls or [] %}{{ call.function | tojson }}{% endfor %}{{ eos_token }}` +
      `{% else %}{{ m.role + ':' + m.content }}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ 'A:' }}{% endif %}`,
  );
  const call = '{"name": "sky", "arguments": {"at": "home"}}';
  const sample = await one(
    {
      functions: [{ name: 'sky', parameters: {} }],
      conversations: [
        { from: 'human', value: 'Weather?' },
        { from: 'function_call', value: call },
        { from: 'observation', value: 'rain' },
        { from: 'gpt', value: 'It rains.' },
      ],
    },
    shown,
  );
  match(tokenizer.decode(sample.ids), /T:sky/);
  deepEqual(learned(sample), [`${call}</s>`, 'It rains.</s>']);
});
