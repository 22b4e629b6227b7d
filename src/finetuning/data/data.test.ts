/** What carries loss, for every template that ships and for templates of strangers; which rows are refused, and in which words. */
import { deepEqual, equal, match, ok, rejects, throws } from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ConfigError } from '../../base/errors.ts';
import { chatTemplateFor } from '../../tokenizer/chat/chat-template.ts';
import { createTokenizer } from '../../tokenizer/create-tokenizer.ts';
import { goldenHf, goldenHfFiles, goldenSentencePiece } from '../../tokenizer/testing/golden-files.ts';
import {
  type CollectOptions,
  collectPairs,
  collectPrompts,
  collectRated,
  collectSft,
  requireSamples,
} from './collect.ts';
import { type EncodedSample, type Encoder, encodeSample } from './encode.ts';
import { proveSamples, runsOf } from './proof.ts';
import { Refusal, type SftSample } from './sample.ts';

const sentencePiece = goldenSentencePiece('tokenizers/sp-bpe-512');
const byteLevel = goldenHf('tokenizers/llama3-style-tiny');

function encoder(template: string, tokenizer = sentencePiece, trainOn: Encoder['trainOn'] = 'all'): Encoder {
  return { tokenizer, template: chatTemplateFor(tokenizer, template), trainOn };
}
function encoded(sample: SftSample, using: Encoder): EncodedSample {
  const result = encodeSample(sample, using);
  if (result instanceof Refusal) throw new Error(result.reason);
  return result;
}
/** The texts that carry loss. */
function learned(sample: EncodedSample, { tokenizer }: Encoder): string[] {
  return runsOf(sample, tokenizer).flatMap(({ text, carries }) => (carries ? [text] : []));
}

const talk: SftSample = {
  kind: 'chat',
  messages: [
    { role: 'user', content: 'What is up?' },
    { role: 'assistant', content: 'Not much.' },
    { role: 'user', content: 'Bye.' },
    { role: 'assistant', content: 'See you!' },
  ],
};

const ends: Readonly<Record<string, string>> = {
  llama2: ' </s>',
  alpaca: '</s>',
  'stanford-alpaca': '</s>',
  vicuna: '</s>',
  'fastchat-vicuna': '</s>',
  mistral: '</s>',
  'mistral-v3': '</s>',
};
for (const [name, end] of Object.entries(ends)) {
  test(`${name}: the answers and their ends carry loss, and nothing else`, () => {
    const using = encoder(name);
    const sample = encoded(talk, using);
    deepEqual(
      learned(sample, using).map((text) => text.trimStart()),
      [`Not much.${end}`, `See you!${end}`],
    );
    deepEqual([sample.turns, sample.endedTurns], [2, 2]);
    equal(sample.ids[0], sentencePiece.bosId);
    equal(sample.carries[0], 0);
  });
}

test('llama3 on its own vocabulary: the end of turn is one token, and what stands between turns carries none', () => {
  const using = encoder('llama3', byteLevel);
  const sample = encoded(talk, using);
  deepEqual(learned(sample, using), ['Not much.<|eot_id|>', 'See you!<|eot_id|>']);
});

/** The vocabulary of `byteLevel` with more tokens of its kind. */
function withTokens(contents: readonly string[]) {
  const files = goldenHfFiles('tokenizers/llama3-style-tiny');
  const json = JSON.parse(files.json) as { added_tokens: { id: number; content: string }[] };
  const [model] = json.added_tokens;
  for (const [i, content] of contents.entries()) {
    json.added_tokens.push({ ...model!, id: byteLevel.vocabSize + i, content });
  }
  return createTokenizer({ ...files, json: JSON.stringify(json) });
}

test('chatml on a vocabulary that has its tokens: the line break behind a turn carries none', () => {
  const tokenizer = withTokens(['<|im_start|>', '<|im_end|>']);
  const using = encoder('chatml', tokenizer);
  const sample = encoded(talk, using);
  deepEqual(learned(sample, using), ['Not much.<|im_end|>', 'See you!<|im_end|>']);
  equal(sample.endedTurns, 2);
});

test('a template without an end: the last answer gets the end of the text', () => {
  const using = encoder('plain');
  const sample = encoded(talk, using);
  equal(sample.ids.at(-1), sentencePiece.eosId);
  equal(sample.carries.at(-1), 1);
  equal(sample.endedTurns, 1);
  match(learned(sample, using).at(-1)!, /See you!<\/s>$/);
});

test('markup that is no token of the vocabulary is not learned as letters', () => {
  const refused = encodeSample(talk, encoder('chatml'));
  ok(refused instanceof Refusal);
  equal(
    refused.reason,
    'the template writes <|im_start|>, which is no token of this vocabulary: choose another with model.template ' +
      '(llama2, alpaca, stanford-alpaca, vicuna, fastchat-vicuna, mistral, mistral-v3, plain)',
  );
});

test('a conversation without a template is told of the setting that gives it one', () => {
  const refused = encodeSample(talk, { ...encoder('plain'), template: null });
  ok(refused instanceof Refusal);
  match(refused.reason, /has no chat template: choose one with model\.template \(llama2, alpaca, .*plain\)/);
});

test('a template that drops thoughts from earlier turns: found by marks around the texts', () => {
  const source =
    `{% for m in messages %}{% if m.role == 'user' %}{{ 'Q: ' + m.content }}{% else %}` +
    `{{ ' A: ' + (m.content if loop.last else m.content.split('</think>')[-1]) + eos_token }}{% endif %}{% endfor %}` +
    `{% if add_generation_prompt %}{{ ' A: <think>' }}{% endif %}`;
  const using = encoder(source);
  const sample = encoded(talk, using);
  deepEqual(
    learned(sample, using).map((text) => text.trim()),
    ['Not much.</s>', 'See you!</s>'],
  );
});

test('generation blocks say themselves what was written by the assistant', () => {
  const source = `{% for m in messages %}
{%- if m.role == 'user' %}{{ 'Q: ' + m.content }}
{%- else %}
{% generation %}
{{- ' A: ' + m.content + eos_token }}
{%- endgeneration %}
{% endif %}{% endfor %}`;
  const using = encoder(source);
  const sample = encoded(talk, using);
  deepEqual(
    learned(sample, using).map((text) => text.trim()),
    ['A: Not much.</s>', 'A: See you!</s>'],
  );
});

test('train_on: all, the last turn, flags', () => {
  const flagged: SftSample = {
    kind: 'chat',
    messages: [talk.messages[0]!, { ...talk.messages[1]!, train: true }, talk.messages[2]!, talk.messages[3]!],
  };
  const words = (sample: SftSample, trainOn: Encoder['trainOn']) => {
    const using = encoder('llama2', sentencePiece, trainOn);
    return learned(encoded(sample, using), using).map((text) => text.trim().slice(0, 3));
  };
  deepEqual(words(talk, 'last'), ['See']);
  deepEqual(words(flagged, 'flags'), ['Not']);
  const unflagged = { ...talk, messages: talk.messages.map((m, i) => (i === 3 ? { ...m, train: false } : m)) } as const;
  deepEqual(words(unflagged, 'all'), ['Not']);
  const none = encodeSample(unflagged, encoder('llama2', sentencePiece, 'flags'));
  ok(none instanceof Refusal);
});

test('calls of tools are learned, their results are not', () => {
  const source =
    `{{ bos_token }}{% for m in messages %}{% if m.role == 'assistant' %}{{ 'A:' + m.content }}` +
    `{% for call in m.tool_calls or [] %}{{ '<call>' + call.function | tojson }}{% endfor %}{{ eos_token }}` +
    `{% else %}{{ m.role + ':' + m.content }}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ 'A:' }}{% endif %}`;
  const using = encoder(source);
  const sample = encoded(
    {
      kind: 'chat',
      messages: [
        { role: 'user', content: 'Weather?' },
        {
          role: 'assistant',
          content: '',
          tool_calls: [{ type: 'function', function: { name: 'sky', arguments: { at: 'home' } } }],
        },
        { role: 'tool', content: 'rain' },
        { role: 'assistant', content: 'It rains.' },
      ],
    },
    using,
  );
  const said = learned(sample, using);
  equal(said.length, 2);
  match(said[0]!, /^<call>\{"name": "sky", "arguments": \{"at": "home"\}\}<\/s>$/);
  equal(said[1], 'It rains.</s>');
});

test('built-in templates of the families: calls carry loss to their end, tools and results none, over several questions', () => {
  const call = { type: 'function', id: 'abcdefgh1', function: { name: 'sky', arguments: { at: 'home' } } };
  const result = { role: 'tool', content: '"rain"', tool_call_id: 'abcdefgh1' };
  const asked = [
    { role: 'system', content: 'Be brief.' },
    { role: 'user', content: 'Weather?' },
    { role: 'assistant', content: '', tool_calls: [call] },
    result,
    { role: 'assistant', content: 'It rains.' },
  ];
  const messages = [...asked, ...asked.slice(1)];
  const tools = [{ type: 'function', function: { name: 'sky', parameters: {} } }];
  const chatml = withTokens(['<|im_start|>', '<|im_end|>']);
  const cases = [
    [
      'chatml',
      chatml,
      '<tool_call>\n{"name": "sky", "arguments": {"at": "home"}}\n</tool_call><|im_end|>',
      'It rains.<|im_end|>',
    ],
    ['llama3', byteLevel, '{"name": "sky", "parameters": {"at": "home"}}<|eot_id|>', 'It rains.<|eot_id|>'],
    [
      'mistral-v3',
      sentencePiece,
      '[TOOL_CALLS] [{"name": "sky", "arguments": {"at": "home"}, "id": "abcdefgh1"}]</s>',
      ' It rains.</s>',
    ],
  ] as const;
  for (const [name, tokenizer, called, said] of cases) {
    const using = encoder(name, tokenizer);
    const sample = encoded({ kind: 'chat', messages, tools }, using);
    deepEqual(learned(sample, using), [called, said, called, said], name);
    deepEqual([sample.turns, sample.endedTurns], [4, 4], name);
  }
});

test('whatever people write: a user cannot get loss, and an answer keeps all of its own', () => {
  const word = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 12 }).filter((text) => text.trim() !== '');
  const special = fc.constantFrom('</s>', '<s>', '[INST]', ' USER: ', ' ASSISTANT: ', '### Response:', 'a ', '\n');
  const words = fc.array(fc.oneof(word, special), { minLength: 1, maxLength: 4 }).map((parts) => `x${parts.join('')}x`);
  fc.assert(
    fc.property(fc.constantFrom(...Object.keys(ends)), words, words, words, words, (name, a, b, c, d) => {
      const using = encoder(name);
      const messages = [a, b, c, d].map((content, i) => ({ role: i % 2 ? 'assistant' : 'user', content }));
      const sample = encoded({ kind: 'chat', messages }, using);
      const said = learned(sample, using);
      equal(said.length, 2);
      // U+2581 is how the vocabulary writes a space: both come back as one.
      const plain = (text: string) => text.replaceAll(/[ \u2581]/g, '');
      // SentencePiece's vocabulary knows every byte, so nothing is lost on the way.
      equal(plain(said[0]!), plain(`${b}${ends[name]!}`));
      equal(plain(said[1]!), plain(`${d}${ends[name]!}`));
    }),
    { numRuns: 200 },
  );
});

const options: CollectOptions = {
  encoder: encoder('llama2'),
  format: null,
  fields: {},
  isAlpaca: false,
  asChat: false,
  tooLong: 'refuse',
  contextLength: 64,
};
const rows = (values: readonly unknown[]) => values.map((value, i) => ({ value, where: `row ${i + 1}` }));
async function reasons(collect: typeof collectSft | typeof collectPairs, values: readonly unknown[]) {
  const { census, samples } = await collect(rows(values), options);
  equal(census.rows, values.length);
  equal(census.used + census.refused.length, values.length);
  return { used: samples.length, refused: census.refused.map(({ reason }) => reason) };
}

test('rows of every layout are used; what cannot be is refused by row, with the reason', async () => {
  const good = [
    { instruction: 'Say hi', input: '', output: 'hi' },
    {
      conversations: [
        { from: 'human', value: 'a' },
        { from: 'gpt', value: 'b' },
      ],
    },
    {
      messages: [
        { role: 'user', content: [{ type: 'text', text: 'a' }] },
        { role: 'assistant', content: 'b' },
      ],
    },
    { prompt: 'a', completion: ' b' },
    { prompt: [{ role: 'user', content: 'a' }], completion: [{ role: 'assistant', content: 'b' }] },
    { text: 'once' },
  ];
  deepEqual(await reasons(collectSft, good), { used: good.length, refused: [] });
  const bad = await reasons(collectSft, [
    { instruction: 'x', output: ' ' },
    { conversations: [{ from: 'gpt', value: 'b' }] },
    {
      conversations: [
        { from: 'human', value: 'a' },
        { from: 'human', value: 'b' },
        { from: 'gpt', value: 'c' },
      ],
    },
    { conversations: [{ from: 'narrator', value: 'a' }] },
    { messages: [{ role: 'user', content: 'a' }] },
    { messages: [{ role: 'user', content: [{ type: 'image_url' }] }] },
    {
      messages: [
        { role: 'user', content: 'a' },
        { role: 'assistant', content: null },
      ],
    },
    { question: 'a' },
    7,
    { text: '' },
    { prompt: 'a '.repeat(100), completion: 'b' },
    {
      messages: [
        { role: 'user', content: 'a' },
        { role: 'system', content: 's' },
        { role: 'assistant', content: 'b' },
      ],
    },
  ]);
  equal(bad.used, 0);
  deepEqual(bad.refused.slice(0, 11), [
    'output is empty',
    'begins with the assistant',
    'two user turns in a row',
    'unknown role "narrator"',
    'no turn of the assistant',
    'a content part that is no text ("image_url")',
    'an empty turn of the assistant',
    'its fields (question) are those of no layout: alpaca, sharegpt, messages, completion, gatt, text',
    'not an object with fields',
    'text is empty',
    'longer than the context of 64 tokens',
  ]);
  match(bad.refused[11]!, /^the template refuses: .*Conversation roles must alternate/);
});

test('pairs: texts, messages, HH-RLHF; margins and ratings; broken ones in words', async () => {
  const hh = (last: string) => `\n\nHuman: a\n\nAssistant: ${last}`;
  const { samples } = await collectPairs(
    rows([
      { prompt: 'a', chosen: ' b', rejected: ' c', margin: 0.5 },
      { chosen: hh('b'), rejected: hh('c'), rating: 'slightly better' },
      {
        prompt: [{ role: 'user', content: 'a' }],
        chosen: [{ role: 'assistant', content: 'b' }],
        rejected: [{ role: 'assistant', content: 'c' }],
      },
    ]),
    options,
  );
  deepEqual(
    samples.map(({ margin, rating }) => [margin, rating]),
    [
      [0.5, null],
      [null, 'slightly'],
      [null, null],
    ],
  );
  deepEqual(
    learned(samples[1]!.rejected, options.encoder).map((text) => text.trim()),
    ['c </s>'],
  );
  const { refused } = await reasons(collectPairs, [
    { chosen: hh('b') },
    { chosen: hh('b'), rejected: hh('b') },
    { chosen: hh('b'), rejected: `${hh('c')}\n\nHuman: more` },
    { chosen: hh('b'), rejected: hh('b').replace('Human: a', 'Human: z') },
    { chosen: 'b', rejected: 'c' },
    { prompt: 'a', chosen: 'b', rejected: 'c', rating: 'so-so' },
    { prompt: 'a', chosen: 'b', rejected: 'c', margin: 'big' },
  ]);
  deepEqual(refused, [
    'rejected is missing',
    'chosen and rejected are the same',
    'rejected does not end with the assistant',
    'chosen and rejected have no common beginning of whole turns, and there is no prompt',
    'chosen is a text, and there is no prompt',
    'rating is none of significantly, better, slightly, negligibly',
    'margin is not a number',
  ]);
  const rated = await collectRated(
    rows([
      { prompt: 'a', completion: 'b', label: false },
      { prompt: 'a', chosen: 'b', rejected: 'c' },
    ]),
    options,
  );
  deepEqual(
    rated.samples.map(({ isLiked }) => isLiked),
    [false, true, false],
  );
});

test('prompts leave room for the answer', async () => {
  const { samples, census } = await collectPrompts(
    rows([{ prompt: 'a', tag: 'safety' }, { instruction: 'Say hi', output: 'hi' }, { prompt: 'long '.repeat(30) }]),
    options,
    30,
  );
  deepEqual(
    samples.map(({ isSafety }) => isSafety),
    [true, false],
  );
  equal(census.refused[0]!.reason, 'the prompt leaves no room for an answer of the longest kind in the context');
});

test('a long text goes on in further samples: every token is learned once', async () => {
  const text = 'a story '.repeat(60);
  const { samples, census } = await collectSft(rows([{ text }]), options);
  const [first, ...more] = samples;
  ok(samples.every(({ ids }) => ids.length <= 64) && more.length > 0);
  const all = [...first!.ids, ...more.flatMap(({ ids }) => [...ids.slice(1)])];
  deepEqual(all, [sentencePiece.bosId, ...sentencePiece.encode(text), sentencePiece.eosId]);
  equal(census.split, 1);
});

test('cut: what is lost is counted, and a sample whose answer would go is refused', async () => {
  const long = { prompt: 'say it', completion: ` ${'b '.repeat(200)}` };
  const right = await collectSft(rows([long, { prompt: 'a '.repeat(200), completion: 'b' }]), {
    ...options,
    tooLong: 'right',
  });
  equal(right.census.cut, 1);
  equal(right.samples[0]!.ids.length, 64);
  equal(right.census.refused[0]!.reason, 'no loss within the context of 64 tokens');
  const shared = await collectSft(rows([{ prompt: 'a '.repeat(200), completion: 'b' }]), {
    ...options,
    tooLong: 'shared',
  });
  equal(shared.samples[0]!.ids.length, 64);
  equal(shared.samples[0]!.ids[0], sentencePiece.bosId);
  equal(shared.samples[0]!.ids.at(-1), sentencePiece.eosId);
});

test('the proof: what is said, and what ends the run', async () => {
  const { samples } = await collectSft(rows([{ messages: talk.messages }]), { ...options, contextLength: 256 });
  const { facts, warnings } = proveSamples('train', samples, sentencePiece);
  equal(warnings.length, 0);
  match(facts.map((fact) => fact.join(': ')).join('\n'), /1 of 1 samples begin with <s>.*2 of 2 trained turns end/s);
  const unended = samples.map((sample) => ({ ...sample, endedTurns: 0 }));
  throws(() => proveSamples('train', unended, sentencePiece), /never learn to stop/);
  const shifted = samples.map((sample) => ({ ...sample, carries: sample.carries.map((mark) => 1 - mark) }));
  throws(() => proveSamples('train', shifted, sentencePiece), /do not decode to the answers/);
  const nothing = await collectSft(rows([{ text: '' }]), options);
  await rejects(async () => requireSamples('train', nothing), ConfigError);
});

test('a space that the model has to write itself is learned: the prompt ends with "ASSISTANT:"', () => {
  for (const name of ['vicuna', 'fastchat-vicuna', 'llama2']) {
    const using = encoder(name);
    const sample = encoded(talk, using);
    const prompt = using.template!.render(talk.messages.slice(0, 1), { addGenerationPrompt: true });
    const asked = sentencePiece.encodeSegments(prompt.segments);
    const first = sample.carries.indexOf(1);
    deepEqual(
      [...sample.ids.slice(0, first)],
      [...asked],
      `${name}: what stands before the first learned token is the prompt of inference`,
    );
  }
});

test('what a template passes over in silence is a reason to refuse: roles, tools, calls', () => {
  const reason = (sample: SftSample, template = 'fastchat-vicuna') => {
    const result = encodeSample(sample, encoder(template));
    return result instanceof Refusal ? result.reason : null;
  };
  const user = { role: 'user', content: 'Weather?' };
  const answer = { role: 'assistant', content: 'Rain.' };
  const tool = { type: 'function', function: { name: 'sky' } };
  equal(reason({ kind: 'chat', messages: [user, answer] }), null);
  equal(
    reason({ kind: 'chat', messages: [user, { role: 'tool', content: 'wet' }, answer] }),
    'the template does not write a message of the role tool',
  );
  equal(
    reason({ kind: 'chat', messages: [user, { ...answer, tool_calls: [tool] }] }),
    'the template does not write calls of tools',
  );
  const called = [user, { ...answer, content: '', tool_calls: [tool] }, { role: 'tool', content: 'wet' }, answer];
  equal(reason({ kind: 'chat', messages: called }, 'plain'), 'the template does not write calls of tools');
  equal(
    reason({ kind: 'chat', messages: [user, answer], tools: [tool] }),
    'the template does not write the tools that a conversation has',
  );
});
