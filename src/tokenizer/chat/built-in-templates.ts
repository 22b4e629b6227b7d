/**
 * Chat formats by name, as Jinja, for models whose files hold no template. Each renders what its authors' code builds.
 *
 * llama2   Touvron et al. 2023, facebookresearch/llama generation.py: system text folded into the first turn
 * llama3   llama-models chat_format.py: header, blank line, trimmed text, eot; tools as Llama 3.1 to 3.3
 * chatml   OpenAI's format as Qwen and others use it; tools as Hermes, Qwen 2.5 and Qwen 3
 * alpaca   Alpaca's format as chat programs write it, with a line break after "Response:"
 * stanford-alpaca   the same as tatsu-lab/stanford_alpaca train.py writes it, without that line break
 * vicuna   version 1.1 as transformers' templates write it, with a space after the end of a turn
 * fastchat-vicuna   the same as lm-sys/FastChat writes it, without that space
 * mistral  mistralai, version 1
 * mistral-v3   the same with tokens for the markup, and tools: Mistral 7B v0.3, Mixtral 8x22B. Ids of calls are nine characters there: the last nine
 * plain    no format at all, for models that were trained on texts alone: what was said, one after another, to be gone on with
 */

import { chatmlSource, llama3Source, mistralV3Source } from './tool-templates.ts';

const firstIsSystem = `messages[0]['role'] == 'system'`;
const alternate = `{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}`;

function withSystem(missing: string, before: string, turns: string, after: string): string {
  return (
    `{% if ${firstIsSystem} %}{% set turns = messages[1:] %}{% set system = messages[0]['content'] %}` +
    `{% else %}{% set turns = messages %}{% set system = ${missing} %}{% endif %}` +
    `${before}{% for message in turns %}${turns}{% endfor %}${after}`
  );
}

const alpacaSystem = `'Below is an instruction that describes a task. Write a response that appropriately completes the request.'`;
const vicunaSystem = `"A chat between a curious user and an artificial intelligence assistant. The assistant gives helpful, detailed, and polite answers to the user's questions."`;

export const builtInTemplates = {
  llama2: withSystem(
    'false',
    '',
    alternate +
      `{% if loop.first and system != false %}{% set text = '<<SYS>>\\n' + system + '\\n<</SYS>>\\n\\n' + message['content'] %}` +
      `{% else %}{% set text = message['content'] %}{% endif %}` +
      `{% if message['role'] == 'user' %}{{ bos_token + '[INST] ' + text.strip() + ' [/INST]' }}` +
      `{% elif message['role'] == 'assistant' %}{{ ' ' + text.strip() + ' ' + eos_token }}{% endif %}`,
    '',
  ),
  llama3: llama3Source,
  chatml: chatmlSource,
  alpaca: withSystem(
    alpacaSystem,
    `{{ bos_token + system }}`,
    `{% if message['role'] == 'user' %}{{ '\\n\\n### Instruction:\\n' + message['content'] | trim }}` +
      `{% elif message['role'] == 'assistant' %}{{ '\\n\\n### Response:\\n' + message['content'] | trim + eos_token }}{% endif %}`,
    `{% if add_generation_prompt %}{{ '\\n\\n### Response:\\n' }}{% endif %}`,
  ),
  'stanford-alpaca': withSystem(
    alpacaSystem,
    `{{ bos_token + system }}`,
    `{% if message['role'] == 'user' %}{{ '\\n\\n### Instruction:\\n' + message['content'] + '\\n\\n### Response:' }}` +
      `{% elif message['role'] == 'assistant' %}{{ message['content'] + eos_token }}{% endif %}`,
    '',
  ),
  vicuna: withSystem(
    vicunaSystem,
    `{{ bos_token + system }}`,
    `{% if message['role'] == 'user' %}{{ ' USER: ' + message['content'].strip() }}` +
      `{% elif message['role'] == 'assistant' %}{{ ' ASSISTANT: ' + message['content'].strip() + eos_token }}{% endif %}`,
    `{% if add_generation_prompt %}{{ ' ASSISTANT:' }}{% endif %}`,
  ),
  'fastchat-vicuna': withSystem(
    vicunaSystem,
    `{{ bos_token + system + ' ' }}`,
    `{% if message['role'] == 'user' %}{{ 'USER: ' + message['content'] + ' ' }}` +
      `{% elif message['role'] == 'assistant' %}{{ 'ASSISTANT: ' + message['content'] + eos_token }}{% endif %}`,
    `{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}`,
  ),
  mistral: withSystem(
    `''`,
    `{{ bos_token }}`,
    alternate +
      `{% if message['role'] == 'user' %}{{ '[INST] ' + (system + '\\n\\n' if loop.first and system else '') + message['content'] + ' [/INST]' }}` +
      `{% elif message['role'] == 'assistant' %}{{ message['content'] + eos_token + ' ' }}{% endif %}`,
    '',
  ),
  'mistral-v3': mistralV3Source,
  plain:
    `{% for message in messages %}{{ message['content'] }}` +
    `{% if message['role'] != 'user' and not loop.last %}{{ '\\n' }}{% endif %}{% endfor %}`,
} as const;

export type TemplateName = keyof typeof builtInTemplates;

export function isTemplateName(name: string): name is TemplateName {
  return Object.hasOwn(builtInTemplates, name);
}
