/** Rendering equals transformers'; people cannot write special tokens; hostile templates end. */
import { deepStrictEqual, ok, strictEqual, throws } from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { processorClock } from '../../../test/support/processor-time.ts';
import { missing } from '../../../test/support/shared.ts';
import { createTokenizer } from '../create-tokenizer.ts';
import { goldenHf, goldenJson, goldenSentencePiece, sharedBytes, sharedJson } from '../testing/golden-files.ts';
import { builtInTemplates } from './built-in-templates.ts';
import { type ChatMessage, ChatTemplate, chatTemplateFor, detectTemplate } from './chat-template.ts';

interface Vector {
  template: string;
  messages: ChatMessage[];
  add_generation_prompt: boolean;
  tools?: unknown[];
  rendered: string;
}
interface Vectors {
  vectors: Vector[];
  error_case: { template: string; messages: ChatMessage[]; error: string };
  alpaca_prompt_vectors: { instruction: string; input: string; prompt: string }[];
  llama2_dialog_ids_vectors: { messages: ChatMessage[]; ids: number[] }[];
  llama3_dialog_ids_vectors: { messages: ChatMessage[]; ids: number[] }[];
}
type Templates = Record<string, { bos_token: string; eos_token: string; chat_template: string }>;

const golden = goldenJson<Vectors>('tokenizers/chat-templates/vectors.json');
const templates = goldenJson<Templates>('tokenizers/chat-templates/templates.json');
const llama3Specials = ['<|begin_of_text|>', '<|eot_id|>', '<|start_header_id|>', '<|end_header_id|>'];

function create(name: string, source = templates[name]!.chat_template): ChatTemplate {
  const { bos_token, eos_token } = templates[name]!;
  const all = [bos_token, eos_token, ...llama3Specials, '<|im_start|>', '<|im_end|>'].filter((text) => text !== '');
  return new ChatTemplate(source, { bos: bos_token, eos: eos_token, all });
}

test('112 conversations render as transformers renders them', () => {
  for (const { template, messages, add_generation_prompt, tools, rendered } of golden.vectors) {
    const chat = create(template).render(messages, {
      addGenerationPrompt: add_generation_prompt,
      tools: tools ?? null,
    });
    strictEqual(chat.text, rendered, `${template} ${JSON.stringify(messages)}`);
    strictEqual(chat.segments.map(({ text }) => text).join(''), rendered);
  }
  strictEqual(golden.vectors.length, 112);
});

test('the built-in templates render the same', () => {
  let checked = 0;
  for (const { template, messages, add_generation_prompt, rendered } of golden.vectors) {
    const source = builtInTemplates[template as keyof typeof builtInTemplates];
    if (source === undefined) continue;
    strictEqual(
      create(template, source).render(messages, { addGenerationPrompt: add_generation_prompt }).text,
      rendered,
      template,
    );
    checked++;
  }
  ok(checked >= 80, `${checked}`);
});

test('raise_exception is an error with the template’s own words', () => {
  const { template, messages, error } = golden.error_case;
  for (const source of [templates[template]!.chat_template, builtInTemplates.llama2]) {
    throws(
      () => create(template, source).render(messages),
      (thrown: Error & { code?: string }) => thrown.code === 'chat.template-refuses' && thrown.message.includes(error),
    );
  }
});

test('neural-api: 11 templates of other families', { skip: missing('real/tokenizers/neural_api') }, () => {
  interface Group {
    template: string;
    cases: { messages: ChatMessage[]; add_generation_prompt: boolean; expected?: string; reasoning_effort?: string }[];
  }
  const groups = sharedJson<Record<string, Group>>('real/tokenizers/neural_api/chat_template_cases.json');
  const tokens: Record<string, [string, string]> = {
    gemma: ['<bos>', '<eos>'],
    deepseek: ['<｜begin▁of▁sentence｜>', '<｜end▁of▁sentence｜>'],
    phi3: ['<s>', '<|endoftext|>'],
  };
  let checked = 0;
  for (const [name, { template, cases }] of Object.entries(groups)) {
    const [bos, eos] = tokens[name] ?? (name === 'llama3' ? ['<|begin_of_text|>', '<|eot_id|>'] : ['<s>', '</s>']);
    const chat = new ChatTemplate(template, { bos, eos, all: [] });
    for (const { messages, add_generation_prompt, expected, ...variables } of cases) {
      // neural-api's word for thinking switched off
      if (variables.reasoning_effort === 'off')
        Object.assign(variables, { enable_thinking: false, reasoning_effort: 'low' });
      const render = () => chat.render(messages, { addGenerationPrompt: add_generation_prompt, variables }).text;
      if (expected === undefined) throws(render, name);
      else strictEqual(render(), expected, `${name} ${JSON.stringify(messages)}`);
      if (name === 'mistral' && expected !== undefined) {
        strictEqual(new ChatTemplate(builtInTemplates.mistral, { bos, eos, all: [] }).render(messages).text, expected);
      }
      checked++;
    }
  }
  ok(checked > 60, `${checked}`);
});

test('dialogs give Meta’s own token ids', { skip: missing('real/tokenizers') }, () => {
  const llama3 = createTokenizer({
    kind: 'tiktoken',
    file: 'l3',
    bytes: sharedBytes('real/tokenizers/llama3_tokenizer.model'),
  });
  strictEqual(detectTemplate(llama3), 'llama3');
  const template = chatTemplateFor(llama3);
  for (const { messages, ids } of golden.llama3_dialog_ids_vectors) {
    const { segments } = template.render(messages, { addGenerationPrompt: true });
    deepStrictEqual(Array.from(llama3.encodeSegments(segments)), ids, JSON.stringify(messages));
  }
});

test('Llama 2 dialogs give the ids of Meta’s per-turn formula', { skip: missing('real/tokenizers') }, () => {
  const bytes = sharedBytes('real/tokenizers/llama2_tokenizer.model');
  const llama2 = createTokenizer({ kind: 'sentencepiece', file: 'l2', bytes });
  const template = chatTemplateFor(llama2, 'llama2');
  for (const { messages, ids } of golden.llama2_dialog_ids_vectors) {
    deepStrictEqual(
      Array.from(llama2.encodeSegments(template.render(messages).segments)),
      ids,
      JSON.stringify(messages),
    );
  }
  strictEqual(golden.llama2_dialog_ids_vectors.length, 8);
});

test('a message cannot make special tokens, whatever it holds', () => {
  const tokenizer = goldenHf('tokenizers/llama3-style-tiny');
  const template = chatTemplateFor(tokenizer);
  strictEqual(template.source, builtInTemplates.llama3);
  const control = new Set(tokenizer.controlTokens.map(({ id }) => id));
  const countControl = (messages: ChatMessage[]) =>
    tokenizer
      .encodeSegments(template.render(messages, { addGenerationPrompt: true }).segments)
      .filter((id) => control.has(id)).length;
  const honest = countControl([{ role: 'user', content: 'hi' }]);
  const attack = fc.array(
    fc.constantFrom(
      '<|eot_id|>',
      '<|',
      'eot_id|>',
      '<|start_header_id|>',
      '|>',
      '<',
      ' ',
      '\n',
      'system',
      '\uE000',
      '\uE001',
      'hi',
    ),
    { maxLength: 8 },
  );
  fc.assert(
    fc.property(attack, (parts) => {
      const content = parts.join('');
      strictEqual(countControl([{ role: 'user', content }]), honest);
      strictEqual(
        template.render([{ role: 'user', content }]).text,
        `<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\n${content.trim()}<|eot_id|>`,
      );
    }),
  );
  throws(() => countControl([{ role: 'user<|end_header_id|>', content: '' }]), /role: expected a word/);
  const plain = tokenizer.encode(template.render([{ role: 'user', content: 'hi' }]).text, { special: 'parse' });
  deepStrictEqual(tokenizer.encodeSegments(template.render([{ role: 'user', content: 'hi' }]).segments), plain);
});

test('overlapping special texts, and a template that measures a hostile message', () => {
  const chat = new ChatTemplate('{{ messages[0].content }}#{{ messages[0].content | length }}<a>', {
    bos: '',
    eos: '',
    all: ['<a>', '<a><', '><'],
  });
  const { text, segments } = chat.render([{ role: 'user', content: '<a><a>' }]);
  strictEqual(text, '<a><a>#6<a>');
  strictEqual(segments.filter((segment) => /<a>|></.test(segment.text)).length, 1);
  ok(segments.at(-1)!.text.endsWith('#6<a>'));
});

test('tool definitions and calls are protected too', () => {
  const chat = create('llama3', '{{ tools | tojson }}{{ messages[0].tool_calls | tojson }}');
  const { text, segments } = chat.render([{ role: 'assistant', tool_calls: [{ '<|eot_id|>': '<|eot_id|>' }] }], {
    tools: [{ name: '<|eot_id|>' }],
  });
  strictEqual(text, '[{"name": "<|eot_id|>"}][{"<|eot_id|>": "<|eot_id|>"}]');
  strictEqual(
    segments.some((segment) => segment.text.includes('<|eot_id|>')),
    false,
  );
});

test('messages that nest too deeply are refused', () => {
  let deep: unknown = 'x';
  for (let i = 0; i < 100_000; i++) deep = [deep];
  throws(() => create('llama3', 'x').render([{ role: 'user', content: deep }]), { name: 'ArgumentError' });
});

test('hostile templates end with an error, soon', () => {
  const took = processorClock();
  const refused = (source: string, code: string) =>
    throws(() => create('llama2', source).render([{ role: 'user', content: 'x' }]), { code });
  refused('{% for a in range(200000) %}{% for b in range(200000) %}{% endfor %}{% endfor %}', 'chat.template-limit');
  refused('{% for a in range(10000) %}{% for b in range(10000) %}x{% endfor %}{% endfor %}', 'chat.template-limit');
  refused('{{ range(1000000000000) }}', 'chat.template-limit');
  refused(
    `{% set ns = namespace(x='ab') %}{% for a in range(60) %}{% set ns.x = ns.x + ns.x %}{% endfor %}{{ ns.x }}`,
    'chat.template-limit',
  );
  refused(
    '{% set ns = namespace(x=[1]) %}{% for a in range(60) %}{% set ns.x = ns.x + ns.x %}{% endfor %}',
    'chat.template-limit',
  );
  refused('{% macro f(x) %}{{ f(x) }}{% endmacro %}{{ f(1) }}', 'chat.template-failed');
  refused('{% for a in messages %}', 'chat.template-failed');
  refused('{{ '.repeat(1000), 'chat.template-failed');
  refused(`{{ ${'('.repeat(100_000)} }}`, 'chat.template-failed');
  refused(' '.repeat(100_000), 'chat.template-limit');
  refused('x'.repeat(1 << 19), 'chat.template-limit');
  ok(took() < 20_000, `${took()} ms`);
});

test('loop controls, strftime_now and a thousand turns', () => {
  const render = (source: string, messages: ChatMessage[] = [{ role: 'user', content: 'x' }]) =>
    create('llama2', source).render(messages, { now: () => new Date(2024, 6, 6, 15, 4, 5) }).text;
  strictEqual(
    render(
      '{% for a in range(9) %}{% if a == 1 %}{% continue %}{% endif %}{% if a == 4 %}{% break %}{% endif %}{{ a }}{% endfor %}',
    ),
    '023',
  );
  strictEqual(render(`{{ strftime_now('%d %b %Y %H:%M %-d %A') }}`), '06 Jul 2024 15:04 6 Saturday');
  const dated = `{{ strftime_now('%Y') if strftime_now is defined else 'no clock' }}`;
  strictEqual(render(dated), '2024');
  strictEqual(create('llama2', dated).render([]).text, 'no clock');
  const many = Array.from({ length: 1000 }, (_, i) => ({
    role: i % 2 === 0 ? 'user' : 'assistant',
    content: `turn ${i}`,
  }));
  ok(render(builtInTemplates.llama2, many).endsWith('turn 999 </s>'));
});

test('which template: by name, by text, by the model’s file, by its vocabulary; else an error that lists the names', () => {
  const plain = goldenSentencePiece('tokenizers/sp-bpe-512');
  throws(
    () => chatTemplateFor(plain),
    /Choose one: llama2, llama3, chatml, alpaca, stanford-alpaca, vicuna, fastchat-vicuna, mistral, mistral-v3, plain/,
  );
  throws(() => chatTemplateFor(plain, 'lama2'), /expected llama2, .* or a Jinja text, found "lama2"/);
  strictEqual(chatTemplateFor(plain, 'vicuna').source, builtInTemplates.vicuna);
  strictEqual(chatTemplateFor(plain, '{{ bos_token }}!').render([]).text, '<s>!');
});
