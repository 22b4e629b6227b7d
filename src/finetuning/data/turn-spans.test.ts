/** Where the assistant's turns stand, in templates of further families, and in texts that templates get in the way of. */
import { deepEqual, throws } from 'node:assert/strict';
import { test } from 'node:test';
import { builtInTemplates } from '../../tokenizer/chat/built-in-templates.ts';
import { type ChatMessage, ChatTemplate } from '../../tokenizer/chat/chat-template.ts';
import { type TraceOptions, traceChat } from './turn-spans.ts';

const endTexts = ['</s>', '<|end|>', '<|im_end|>', '<|endoftext|>', '<｜end▁of▁sentence｜>'];

/** What carries loss of each turn: what follows the prompt that the model goes on from. */
function turnsOf(source: string, messages: readonly ChatMessage[], options: Partial<TraceOptions> = {}): string[] {
  const template = new ChatTemplate(source, { bos: '<s>', eos: '</s>', all: endTexts });
  const { text, turns } = traceChat(template, messages, { endTexts, ...options });
  return turns.map(({ asked, end }) => text.slice(asked, end));
}
const user = (content: string) => ({ role: 'user', content });
const assistant = (content: string) => ({ role: 'assistant', content });

test('a text that is shorter than the names of end tokens', () => {
  deepEqual(turnsOf(builtInTemplates.plain, [user('yes'), assistant('yes'), user('yes'), assistant('yes')]), [
    'yes',
    'yes',
  ]);
});

test('what a template writes behind the end of a turn (Phi 3: the end of the text) is not the turn’s', () => {
  const phi3 =
    `{% for m in messages %}{{ '<|' + m.role + '|>\\n' + m.content + '<|end|>\\n' }}{% endfor %}` +
    `{% if add_generation_prompt %}{{ '<|assistant|>\\n' }}{% else %}{{ '<|endoftext|>' }}{% endif %}`;
  deepEqual(turnsOf(phi3, [user('Hi'), assistant('Hello.')]), ['Hello.<|end|>']);
  deepEqual(turnsOf(phi3, [user('Hi'), assistant('Say <|end|> twice'), user('a'), assistant('b')]), [
    'Say <|end|> twice<|end|>',
    'b<|end|>',
  ]);
});

test('a conversation that the assistant begins, in a template that opens its turn behind a message only (Zephyr)', () => {
  const zephyr =
    `{% for m in messages %}{{ '<|' + m.role + '|>\\n' + m.content + eos_token + '\\n' }}` +
    `{% if loop.last and add_generation_prompt %}{{ '<|assistant|>\\n' }}{% endif %}{% endfor %}`;
  deepEqual(turnsOf(zephyr, [assistant('Welcome.'), user('Hi'), assistant('Hello.')]), ['Welcome.</s>', 'Hello.</s>']);
});

test('thoughts that a template drops from earlier turns: the last turn can be trained on, all of them cannot', () => {
  const thinking =
    `{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' }}` +
    `{% if m.role == 'user' or loop.last %}{{ m.content }}{% else %}{{ m.content.split('</think>')[-1].strip() }}{% endif %}` +
    `{{ '<|im_end|>\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}`;
  const talk = [
    user('1+1'),
    assistant('<think>\none more\n</think>\n\n2'),
    user('2+2'),
    assistant('<think>\ntwice\n</think>\n\n4'),
  ];
  deepEqual(turnsOf(thinking, talk, { onlyLast: true }), ['<think>\ntwice\n</think>\n\n4<|im_end|>']);
  throws(() => turnsOf(thinking, talk), { code: 'finetune.turns', message: /data\.trainOn: last/ });
});

test('a call of a tool ends with its last end token, whatever it quotes', () => {
  const calling =
    `{% for m in messages %}{{ '<|' + m.role + '|>' + m.content }}` +
    `{% for c in m.tool_calls or [] %}{{ c.function.arguments }}{% endfor %}{{ eos_token }}{% endfor %}` +
    `{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}`;
  const call = { function: { name: 'write', arguments: 'html: </s> and more' } };
  deepEqual(turnsOf(calling, [user('Do'), { role: 'assistant', content: '', tool_calls: [call] }]), [
    'html: </s> and more</s>',
  ]);
});
