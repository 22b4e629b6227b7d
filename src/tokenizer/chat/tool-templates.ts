/**
 * The built-in templates that show tools and write calls and their results, each in the words that the family's models were trained on.
 * Without tools they are the family's plain format.
 */

/** `messages` without a system message at their beginning, which is `system` then, else ''. */
const withoutSystem =
  `{% if messages and messages[0]['role'] == 'system' %}{% set hasSystem = true %}{% set system = messages[0]['content'] %}{% set turns = messages[1:] %}` +
  `{% else %}{% set hasSystem = false %}{% set system = '' %}{% set turns = messages %}{% endif %}`;

/** The call itself, or the object around it. */
const callFunction = `{% set call = call.function if call.function is defined else call %}`;

const hermesTools =
  `{{ '# Tools\\n\\nYou may call one or more functions to assist with the user query.\\n\\n' }}` +
  `{{ 'You are provided with function signatures within <tools></tools> XML tags:\\n<tools>' }}` +
  `{% for tool in tools %}{{ '\\n' + tool | tojson }}{% endfor %}` +
  `{{ '\\n</tools>\\n\\nFor each function call, return a json object with function name and arguments within <tool_call></tool_call> XML tags:\\n' }}` +
  `{{ '<tool_call>\\n{"name": <function-name>, "arguments": <args-json-object>}\\n</tool_call>' }}`;

/** Results that follow each other are one turn. Source: Qwen 3's own template; without a system message it has none of its own, unlike Qwen 2.5's. */
export const chatmlSource =
  withoutSystem +
  `{% if tools %}{{ '<|im_start|>system\\n' + (system + '\\n\\n' if system else '') }}${hermesTools}{{ '<|im_end|>\\n' }}` +
  `{% elif hasSystem %}{{ '<|im_start|>system\\n' + system + '<|im_end|>\\n' }}{% endif %}` +
  `{% for message in turns %}` +
  `{% if message['role'] == 'tool' %}` +
  `{% if loop.first or turns[loop.index0 - 1]['role'] != 'tool' %}{{ '<|im_start|>user' }}{% endif %}` +
  `{{ '\\n<tool_response>\\n' + message['content'] + '\\n</tool_response>' }}` +
  `{% if loop.last or turns[loop.index0 + 1]['role'] != 'tool' %}{{ '<|im_end|>\\n' }}{% endif %}` +
  `{% elif message.tool_calls %}` +
  `{% set said = message['content'] or '' %}{{ '<|im_start|>assistant\\n' + said }}` +
  `{% for call in message.tool_calls %}${callFunction}` +
  `{{ ('\\n' if said or not loop.first else '') + '<tool_call>\\n{"name": "' + call.name + '", "arguments": ' + call.arguments | tojson + '}\\n</tool_call>' }}` +
  `{% endfor %}{{ '<|im_end|>\\n' }}` +
  `{% else %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}{% endif %}{% endfor %}` +
  `{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}`;

const header = (role: string) => `'<|start_header_id|>${role}<|end_header_id|>\\n\\n'`;

/**
 * One call a turn, and nothing said beside it; results are quoted as JSON. The system message is Llama 3's own but where there are tools:
 * then Llama 3.1's with the date that its template has without a clock.
 * Source: the template of Llama 3.1 Instruct.
 */
export const llama3Source =
  `{{ bos_token }}${withoutSystem}` +
  `{% if tools %}` +
  `{{ ${header('system')} + 'Environment: ipython\\nCutting Knowledge Date: December 2023\\nToday Date: 26 Jul 2024\\n\\n' + system | trim + '<|eot_id|>' }}` +
  `{% if not turns or turns[0]['role'] != 'user' %}{{ raise_exception("Tools are told in the first message of the user, and there is none") }}{% endif %}` +
  `{% elif hasSystem %}{{ ${header('system')} + system | trim + '<|eot_id|>' }}{% endif %}` +
  `{% for message in turns %}` +
  `{% if message['role'] == 'tool' or message['role'] == 'ipython' %}{{ ${header('ipython')} + message['content'] | tojson + '<|eot_id|>' }}` +
  `{% elif message.tool_calls %}` +
  `{% if message.tool_calls | length != 1 %}{{ raise_exception("Llama 3 calls one tool at a time") }}{% endif %}` +
  `{% for call in message.tool_calls %}${callFunction}` +
  `{{ ${header('assistant')} + '{"name": "' + call.name + '", "parameters": ' + call.arguments | tojson + '}' + '<|eot_id|>' }}{% endfor %}` +
  `{% else %}{{ '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n' }}` +
  `{% if tools and loop.first %}` +
  `{{ 'Given the following functions, please respond with a JSON for a function call with its proper arguments that best answers the given prompt.\\n\\n' }}` +
  `{{ 'Respond in the format {"name": function name, "parameters": dictionary of argument name and its value}.Do not use variables.\\n\\n' }}` +
  `{% for tool in tools %}{{ tool | tojson(indent=4) + '\\n\\n' }}{% endfor %}{% endif %}` +
  `{{ message['content'] | trim + '<|eot_id|>' }}{% endif %}{% endfor %}` +
  `{% if add_generation_prompt %}{{ ${header('assistant')} }}{% endif %}`;

const nineOf = (id: string) =>
  `{% if ${id} | length < 9 %}{{ raise_exception("A call's id has nine characters here") }}{% endif %}`;

/**
 * Tools and the system message stand in the last message of the user, as the models were trained; so a longer conversation is not its
 * beginning and more, and the template says itself where the assistant's words are. A call without an id is written without one.
 * Source: the template of Mistral 7B Instruct v0.3.
 */
export const mistralV3Source =
  withoutSystem +
  `{{ bos_token }}{% set place = namespace(last=-1) %}` +
  `{% for message in turns %}{% if message['role'] == 'user' %}{% set place.last = loop.index0 %}{% endif %}{% endfor %}` +
  `{% for message in turns %}` +
  `{% if message['role'] == 'user' %}` +
  `{% if tools and loop.index0 == place.last %}{{ '[AVAILABLE_TOOLS] [' }}` +
  `{% for tool in tools %}{% set shown = tool.function if tool.function is defined else tool %}` +
  `{{ '{"type": "function", "function": ' + shown | tojson + '}' + ('' if loop.last else ', ') }}{% endfor %}{{ '][/AVAILABLE_TOOLS]' }}{% endif %}` +
  `{{ '[INST] ' + (system + '\\n\\n' if system and loop.index0 == place.last else '') + message['content'] + '[/INST]' }}` +
  `{% elif message['role'] == 'tool' %}{{ '[TOOL_RESULTS] {"content": ' + message['content'] }}` +
  `{% if message.tool_call_id is defined %}${nineOf('message.tool_call_id')}{{ ', "call_id": "' + message.tool_call_id[-9:] + '"' }}{% endif %}` +
  `{{ '}[/TOOL_RESULTS]' }}` +
  `{% elif message.tool_calls %}{% generation %}{{ '[TOOL_CALLS] [' }}` +
  `{% for call in message.tool_calls %}{% set id = call.id if call.id is defined else '' %}${callFunction}` +
  `{{ '{"name": "' + call.name + '", "arguments": ' + call.arguments | tojson }}` +
  `{% if id %}${nineOf('id')}{{ ', "id": "' + id[-9:] + '"' }}{% endif %}{{ '}' + ('' if loop.last else ', ') }}{% endfor %}{{ ']' + eos_token }}{% endgeneration %}` +
  `{% elif message['role'] == 'assistant' %}{% generation %}{{ ' ' + message['content'] | trim + eos_token }}{% endgeneration %}` +
  `{% else %}{{ raise_exception('Mistral knows user, assistant, tool, and a system message at the beginning') }}{% endif %}{% endfor %}`;
