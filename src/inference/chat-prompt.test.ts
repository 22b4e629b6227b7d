import { strictEqual, throws } from 'node:assert/strict';
import { test } from 'node:test';
import { pairVocabulary } from '../../test/support/pair-vocabulary.ts';
import { createTokenizer } from '../tokenizer/create-tokenizer.ts';
import { encodeChat, renderChat } from './chat-prompt.ts';

const tokenizer = createTokenizer({ kind: 'gguf', file: 'f', metadata: pairVocabulary('llama-bpe') });
const user = { role: 'user', content: 'Hello' };
const system = { role: 'system', content: 'Be kind.' };
const each = '{% for m in messages %}{{ m.role }}:{{ m.content }}\n{% endfor %}';
const refusing = `{% if messages[0].role == 'system' %}{{ raise_exception('No system') }}{% endif %}${each}`;

test('a template that refuses a system message gets its text before the first user message', () => {
  const rendered = renderChat(tokenizer, { messages: [system, user], template: refusing });
  strictEqual(rendered.text, 'user:Be kind.\n\nHello\n');
  strictEqual(rendered.systemFolded, true);
  strictEqual(renderChat(tokenizer, { messages: [system, user], template: each }).systemFolded, false);
});

test('what else a template refuses stays refused, in its own words', () => {
  const never = "{{ raise_exception('No more') }}";
  throws(
    () => renderChat(tokenizer, { messages: [system, user], template: never }),
    /refuses this conversation: No more/,
  );
  throws(() => renderChat(tokenizer, { messages: [system], template: refusing }), /No system.*choose another template/);
});

test('strftime_now reads the clock that is passed in', () => {
  const template = "{{ strftime_now('%d %b %Y') }}{% for m in messages %}{{ m.content }}{% endfor %}";
  const ids = encodeChat(tokenizer, { messages: [user], template }, () => new Date(2025, 10, 29));
  strictEqual(tokenizer.decode(ids), '29 Nov 2025Hello');
});
