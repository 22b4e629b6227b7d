import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { commandHelp, markdown, overview } from './help.ts';
import { environmentName, longName } from './option-table.ts';
import { verbs } from './verbs.ts';

const commands = await Promise.all(
  Object.entries(verbs).map(async ([name, verb]) => [name, (await verb.load()).command] as const),
);

test('docs/cli.md is what the option tables say', async () => {
  const written = readFileSync(new URL('../../docs/cli.md', import.meta.url), 'utf8');
  assert.equal(written, await markdown(), 'run `npm run docs`');
});

test('the overview names every verb and fits the width', () => {
  const text = overview(60);
  for (const name of Object.keys(verbs)) assert.match(text, new RegExp(`^  ${name} `, 'm'));
  for (const line of text.split('\n')) assert.ok(line.length <= 60, line);
});

for (const [name, command] of commands) {
  test(`cria ${name} --help names every option`, () => {
    const text = commandHelp(name, command, 80);
    for (const key of Object.keys(command.options))
      assert.match(text, new RegExp(`--(no-)?${longName(key).slice(2)}\\b`));
  });

  test(`cria ${name}: no two options share a name, and every positional is an option`, () => {
    const shorts = Object.values(command.options).flatMap((spec) => spec.short ?? []);
    assert.equal(new Set(shorts).size, shorts.length, shorts.join(' '));
    const variables = Object.keys(command.options).map(environmentName);
    assert.equal(new Set(variables).size, variables.length);
    for (const key of command.positionals) assert.ok(Object.hasOwn(command.options, key), key);
  });
}
