/** Tools in built-in templates: the texts that the families' own templates give (Qwen 3, Llama 3.1 Instruct, Mistral 7B Instruct v0.3, by Jinja2 3.1). */
import { strictEqual, throws } from 'node:assert/strict';
import { test } from 'node:test';
import { builtInTemplates, type TemplateName } from './built-in-templates.ts';
import { type ChatMessage, ChatTemplate, type RenderOptions } from './chat-template.ts';

/** With something that the guard has to protect, and without. */
function rendered(name: TemplateName, messages: readonly ChatMessage[], options: RenderOptions = {}): string {
  const [plain, guarded] = [[], ['<|im_end|>', '[INST]', '<s>']].map(
    (all) => new ChatTemplate(builtInTemplates[name], { bos: '<s>', eos: '</s>', all }).render(messages, options).text,
  );
  strictEqual(guarded, plain);
  return plain!;
}

const sky = { type: 'function', function: { name: 'sky', parameters: { type: 'object', properties: { of: {} } } } };
const now = { type: 'function', function: { name: 'now', description: 'It is "now" [INST]' } };
const skyText =
  '{"type": "function", "function": {"name": "sky", "parameters": {"type": "object", "properties": {"of": {}}}}}';
const nowText = '{"type": "function", "function": {"name": "now", "description": "It is \\"now\\" [INST]"}}';

const call = (id: string, name: string, given: object) => ({
  type: 'function',
  id,
  function: { name, arguments: given },
});
const system = { role: 'system', content: 'Be brief.' };
const asked = { role: 'user', content: 'Rain in Köln?' };
const one = { role: 'assistant', content: '', tool_calls: [call('abcdefgh1', 'sky', { of: 'Köln', days: [1, null] })] };
const two = { ...one, tool_calls: [...one.tool_calls, call('call_abcdefgh2', 'now', {})] };
const wet = { role: 'tool', content: '{"rain": 1}', tool_call_id: 'abcdefgh1' };
const noon = { role: 'tool', content: '12', tool_call_id: 'call_abcdefgh2' };
const answer = { role: 'assistant', content: 'Yes.' };
const thanks = { role: 'user', content: 'Thanks.' };

const hermes = (tools: string) =>
  '# Tools\n\nYou may call one or more functions to assist with the user query.\n\n' +
  `You are provided with function signatures within <tools></tools> XML tags:\n<tools>\n${tools}\n</tools>\n\n` +
  'For each function call, return a json object with function name and arguments within <tool_call></tool_call> XML tags:\n' +
  '<tool_call>\n{"name": <function-name>, "arguments": <args-json-object>}\n</tool_call>';
const skyCall = '<tool_call>\n{"name": "sky", "arguments": {"of": "Köln", "days": [1, null]}}\n</tool_call>';
const nowCall = '<tool_call>\n{"name": "now", "arguments": {}}\n</tool_call>';

test('chatml: tools in the system message, calls in tags, results that follow each other in one turn', () => {
  const turn = (role: string, text: string) => `<|im_start|>${role}\n${text}<|im_end|>\n`;
  strictEqual(
    rendered('chatml', [system, asked, two, wet, noon, answer, thanks], {
      tools: [sky, now],
      addGenerationPrompt: true,
    }),
    turn('system', `Be brief.\n\n${hermes(`${skyText}\n${nowText}`)}`) +
      turn('user', 'Rain in Köln?') +
      turn('assistant', `${skyCall}\n${nowCall}`) +
      turn('user', '<tool_response>\n{"rain": 1}\n</tool_response>\n<tool_response>\n12\n</tool_response>') +
      `${turn('assistant', 'Yes.')}${turn('user', 'Thanks.')}<|im_start|>assistant\n`,
  );
  strictEqual(
    rendered('chatml', [asked, { ...one, content: 'I look.' }, wet], { tools: [sky] }),
    turn('system', hermes(skyText)) +
      turn('user', 'Rain in Köln?') +
      turn('assistant', `I look.\n${skyCall}`) +
      turn('user', '<tool_response>\n{"rain": 1}\n</tool_response>'),
  );
});

test('llama3: tools in the first message of the user, one call a turn, results quoted', () => {
  const turn = (role: string, text: string) => `<|start_header_id|>${role}<|end_header_id|>\n\n${text}<|eot_id|>`;
  const indented = JSON.stringify(now, null, 4);
  const told =
    'Given the following functions, please respond with a JSON for a function call with its proper arguments that best answers the given prompt.\n\n' +
    'Respond in the format {"name": function name, "parameters": dictionary of argument name and its value}.Do not use variables.\n\n';
  strictEqual(
    rendered('llama3', [system, asked, one, wet, answer, thanks], { tools: [now], addGenerationPrompt: true }),
    `<s>${turn('system', 'Environment: ipython\nCutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024\n\nBe brief.')}` +
      turn('user', `${told}${indented}\n\nRain in Köln?`) +
      turn('assistant', '{"name": "sky", "parameters": {"of": "Köln", "days": [1, null]}}') +
      turn('ipython', '"{\\"rain\\": 1}"') +
      `${turn('assistant', 'Yes.')}${turn('user', 'Thanks.')}<|start_header_id|>assistant<|end_header_id|>\n\n`,
  );
  strictEqual(rendered('llama3', [system, asked]), `<s>${turn('system', 'Be brief.')}${turn('user', 'Rain in Köln?')}`);
  throws(() => rendered('llama3', [asked, two], { tools: [sky] }), /calls one tool at a time/);
  throws(() => rendered('llama3', [answer], { tools: [sky] }), /Tools are told in the first message of the user/);
});

test('mistral-v3: tools before the last message of the user, calls in a list, ids of nine characters', () => {
  const tools = `[AVAILABLE_TOOLS] [${skyText}, ${nowText}][/AVAILABLE_TOOLS]`;
  strictEqual(
    rendered('mistral-v3', [system, asked, two, wet, noon, answer], { tools: [sky, now.function] }),
    `<s>${tools}[INST] Be brief.\n\nRain in Köln?[/INST]` +
      '[TOOL_CALLS] [{"name": "sky", "arguments": {"of": "Köln", "days": [1, null]}, "id": "abcdefgh1"}, ' +
      '{"name": "now", "arguments": {}, "id": "abcdefgh2"}]</s>' +
      '[TOOL_RESULTS] {"content": {"rain": 1}, "call_id": "abcdefgh1"}[/TOOL_RESULTS]' +
      '[TOOL_RESULTS] {"content": 12, "call_id": "abcdefgh2"}[/TOOL_RESULTS] Yes.</s>',
  );
  strictEqual(
    rendered('mistral-v3', [asked, answer, thanks], { tools: [sky, now] }),
    `<s>[INST] Rain in Köln?[/INST] Yes.</s>${tools}[INST] Thanks.[/INST]`,
  );
  const withoutIds = [
    asked,
    { ...one, tool_calls: [{ function: { name: 'now', arguments: {} } }] },
    { role: 'tool', content: '12' },
  ];
  strictEqual(
    rendered('mistral-v3', withoutIds),
    '<s>[INST] Rain in Köln?[/INST][TOOL_CALLS] [{"name": "now", "arguments": {}}]</s>[TOOL_RESULTS] {"content": 12}[/TOOL_RESULTS]',
  );
  throws(() => rendered('mistral-v3', [asked, { ...one, tool_calls: [call('short', 'now', {})] }]), /nine characters/);
});
