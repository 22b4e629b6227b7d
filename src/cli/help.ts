/** Help texts for the terminal and docs/cli.md, both from the verb and option tables. */
import type { Command } from './command.ts';
import {
  environmentName,
  isRepeatable,
  longName,
  type OptionSpec,
  type OptionTable,
  valueName,
} from './option-table.ts';
import { verbs } from './verbs.ts';

export function overview(width: number): string {
  const lines = ['cria: the whole LLaMA system in TypeScript.', '', 'Usage  cria VERB [MODEL] [--options]', ''];
  const column = Math.max(...Object.keys(verbs).map((name) => name.length)) + 4;
  for (const group of new Set(Object.values(verbs).map((verb) => verb.group))) {
    lines.push(group);
    for (const [name, verb] of Object.entries(verbs)) {
      if (verb.group === group) lines.push(row(`  ${name}`, verb.summary, column, width));
    }
    lines.push('');
  }
  lines.push(...wrap('`cria VERB --help` lists the options of a verb; `cria --version` tells the version.', width));
  lines.push(...wrap('Every option can also be set in the environment: --max-tokens is CRIA_MAX_TOKENS.', width));
  return lines.join('\n');
}

export function commandHelp(verb: string, command: Command, width: number): string {
  const lines = [
    ...wrap(`cria ${verb}: ${verbs[verb]?.summary ?? ''}`, width),
    '',
    `Usage  ${usage(verb, command)}`,
    '',
  ];
  if (command.details) lines.push(...paragraphs(command.details).flatMap((text) => wrapKeeping(text, width)), '');
  lines.push('Options');
  const rows = Object.entries(command.options).map(([key, spec]) => [`  ${spelling(key, spec)}`, describe(spec)]);
  rows.push(['  -h, --help', 'this text']);
  const column = Math.min(Math.max(...rows.map(([label]) => label!.length)) + 2, Math.floor(width * 0.4));
  for (const [label, text] of rows) lines.push(row(label!, text!, column, width));
  if (command.examples?.length) {
    lines.push('', 'Examples');
    for (const [line, what] of command.examples) lines.push(`  cria ${line}`, row('', what, 6, width));
  }
  return lines.join('\n');
}

/** docs/cli.md: every verb with its options. */
export async function markdown(): Promise<string> {
  const parts = [
    '# The command line',
    '',
    'Generated from the option tables by `npm run docs`; a test keeps it current.',
    '',
    '`cria VERB [MODEL] [--options]`. Exit code 0; 1 when the work failed; 2 when the command line is wrong; 130 after Ctrl-C.',
    'Only results go to stdout. Set `CRIA_DEBUG=1` to see the stack of an error.',
    '',
    '| verb | |',
    '|---|---|',
    ...Object.entries(verbs).map(
      ([name, { summary }]) => `| [${name}](#${name.replaceAll(' ', '-')}) | ${cell(summary)} |`,
    ),
  ];
  for (const [name, verb] of Object.entries(verbs)) {
    const { command } = await verb.load();
    parts.push('', `## ${name}`, '', `${capital(verb.summary)}.`, '', '```', usage(name, command), '```');
    if (command.details) {
      // Indented lines are code in Markdown, set apart by empty lines.
      for (const text of paragraphs(command.details))
        parts.push(...(isList(text) && isList(parts.at(-1)!) ? [] : ['']), isList(text) ? `    ${text}` : text);
    }
    parts.push('', '| option | environment | |', '|---|---|---|');
    for (const [key, spec] of Object.entries(command.options)) {
      parts.push(`| \`${cell(spelling(key, spec))}\` | \`${environmentName(key)}\` | ${cell(describe(spec))} |`);
    }
    if (command.examples?.length) {
      parts.push('', '```sh', ...command.examples.flatMap(([line, what]) => [`# ${what}`, `cria ${line}`]), '```');
    }
  }
  return `${parts.join('\n')}\n`;
}

function usage(verb: string, { options, positionals }: Command): string {
  const words = positionals.map((key) => {
    const word = `${key.toUpperCase()}${isRepeatable(options[key]!) ? ' …' : ''}`;
    return options[key]!.required ? word : `[${word}]`;
  });
  return ['cria', verb, ...words, ...(hasOptions(options) ? ['[--options]'] : [])].join(' ');
}

function hasOptions(table: OptionTable): boolean {
  return Object.keys(table).length > 0;
}

function spelling(key: string, spec: OptionSpec): string {
  const onByDefault = spec.kind === 'flag' && spec.default === true;
  const long = onByDefault ? `--no-${longName(key).slice(2)}` : longName(key);
  const short = spec.short && !onByDefault ? `-${spec.short}, ` : '';
  const value = valueName(spec);
  return `${short}${long}${value && ` ${value}`}`;
}

function describe(spec: OptionSpec): string {
  const notes: string[] = [];
  if (spec.required) notes.push('required');
  const shown = showDefault(spec);
  if (shown !== null) notes.push(`default ${shown}`);
  if (spec.otherwise && !spec.required) notes.push(`without it: ${spec.otherwise}`);
  if (isRepeatable(spec)) notes.push('may be repeated');
  return notes.length === 0 ? spec.help : `${spec.help} [${notes.join('; ')}]`;
}

function showDefault(spec: OptionSpec): string | null {
  if (!('default' in spec) || spec.default === undefined || spec.kind === 'flag') return null;
  if (spec.kind === 'texts')
    return spec.default.length === 0 ? null : spec.default.map((text) => JSON.stringify(text)).join(' ');
  if (spec.kind === 'bias') return null;
  return spec.default === '' ? 'empty' : String(spec.default).replaceAll(',', ', ');
}

/** A label and its text in two columns; a label too long for its column gets a line of its own. */
function row(label: string, text: string, column: number, width: number): string {
  const lines = wrap(text, width - column);
  if (label.length >= column) lines.unshift('');
  const indent = ' '.repeat(column);
  return lines.map((line, i) => ((i === 0 ? label.padEnd(column) : indent) + line).trimEnd()).join('\n');
}

/** Lines that flow together; one that is indented stands for itself. */
function paragraphs(text: string): string[] {
  const all: string[] = [];
  for (const line of text.split('\n')) {
    const last = all.at(-1);
    if (last === undefined || isList(last) || isList(line)) all.push(line);
    else all[all.length - 1] = `${last} ${line}`;
  }
  return all;
}

function isList(line: string): boolean {
  return line.startsWith(' ');
}

/** The same, with the columns of an indented line kept: what does not fit goes below its last column. */
function wrapKeeping(text: string, width: number): string[] {
  const column = /^ .*? {2,}(?=\S)|^ +/.exec(text)?.[0].length ?? 0;
  if (column === 0) return wrap(text, width);
  const lines = wrap(text.slice(column), width - column);
  return lines.map((line, i) => (i === 0 ? text.slice(0, column) : ' '.repeat(column)) + line);
}

/** Words in lines of at most `width` characters, where the words allow it. */
function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > Math.max(20, width)) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line];
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ');
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
