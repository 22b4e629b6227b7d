/** Keywords that say what must not be, or what follows from something: each held exactly, by Ajv's word. */
import { deepStrictEqual, ok, throws } from 'node:assert/strict';
import { test } from 'node:test';
import { accepts } from '../testing/grammars.ts';
import { ajv, checkWalks } from '../testing/schemas.ts';
import { compileSchema } from './compile-schema.ts';
import type { JsonSchema } from './json-schema.ts';

const cases: readonly (readonly [
  name: string,
  schema: JsonSchema,
  valid: readonly unknown[],
  invalid: readonly unknown[],
])[] = [
  ['not a type', { not: { type: ['string', 'integer'] } }, [1.5, null, [], {}], ['a', 1, 2.0]],
  ['not a value', { type: 'string', not: { const: 'a' } }, ['b', 'aa', ''], ['a']],
  [
    'not some values',
    { not: { enum: ['a', 5, null, true, {}, []] } },
    ['b', 4, false, [1], { a: 1 }],
    ['a', 5, null, true, {}, []],
  ],
  ['not a number', { type: 'number', minimum: 0, maximum: 9, not: { const: 5 } }, [0, 4.9, 5.1, 9], [5, 10]],
  ['not a range', { type: 'integer', not: { minimum: 3, maximum: 7 } }, [2, 8], [3, 7, 5]],
  ['not a pattern', { type: 'string', not: { pattern: '^x|y$' } }, ['ay0', '', 'z'], ['xa', 'ay', 'x']],
  ['not a length', { type: 'string', not: { minLength: 2, maxLength: 3 } }, ['a', 'abcd'], ['ab', 'abc']],
  [
    'not both members',
    { type: 'object', properties: { a: { type: 'integer' }, b: { type: 'integer' } }, not: { required: ['a', 'b'] } },
    [{}, { a: 1 }, { b: 1 }],
    [{ a: 1, b: 2 }],
  ],
  [
    'not a member of a value',
    {
      type: 'object',
      properties: { a: { enum: [1, 2, 3] } },
      required: ['a'],
      not: { properties: { a: { const: 2 } } },
    },
    [{ a: 1 }, { a: 3 }],
    [{ a: 2 }, {}],
  ],
  ['not any of', { not: { anyOf: [{ type: 'string' }, { minimum: 3 }] } }, [2], ['a', 3, null]],
  ['not all of', { type: 'integer', not: { allOf: [{ minimum: 3 }, { multipleOf: 1, maximum: 5 }] } }, [], []],
  ['not not', { not: { not: { type: 'string' } } }, ['a'], [1]],
  [
    'not by reference',
    { not: { $ref: '#/$defs/a' }, $defs: { a: { type: 'array', items: { type: 'integer' } } } },
    ['a', ['b'], [1, 'b']],
    [[1], []],
  ],
  [
    'if, then, else',
    {
      type: 'object',
      properties: { kind: { enum: ['x', 'y'] }, x: { type: 'integer' }, y: { type: 'integer' } },
      required: ['kind'],
      additionalProperties: false,
      if: { properties: { kind: { const: 'x' } } },
      // biome-ignore lint/suspicious/noThenProperty: JSON Schema's name for it.
      then: { required: ['x'] },
      else: { required: ['y'] },
    },
    [
      { kind: 'x', x: 1 },
      { kind: 'y', x: 1, y: 2 },
    ],
    [{ kind: 'x', y: 1 }, { kind: 'y' }],
  ],
  ['if and else alone', { type: 'integer', if: { minimum: 10 }, else: { enum: [1, 2] } }, [1, 2, 10, 77], [3, 9]],
  [
    'oneOf that overlaps',
    {
      oneOf: [
        { type: 'integer', minimum: 2 },
        { type: 'integer', maximum: 4 },
      ],
    },
    [1, 5],
    [2, 3, 4],
  ],
  [
    'oneOf of required members',
    {
      type: 'object',
      properties: { a: { type: 'integer' }, b: { type: 'integer' } },
      oneOf: [{ required: ['a'] }, { required: ['b'] }],
    },
    [{ a: 1 }, { b: 1 }],
    [{}, { a: 1, b: 1 }],
  ],
  ['oneOf of number and integer', { oneOf: [{ type: 'number' }, { type: 'integer' }] }, [1.5], [1, 'a']],
  [
    'dependentRequired',
    {
      type: 'object',
      properties: { a: { type: 'integer' }, b: { type: 'integer' }, c: { type: 'integer' } },
      dependentRequired: { a: ['b', 'c'] },
      additionalProperties: false,
    },
    [{}, { b: 1 }, { a: 1, b: 2, c: 3 }],
    [{ a: 1 }, { a: 1, b: 2 }],
  ],
  [
    'dependentSchemas',
    {
      type: 'object',
      properties: { a: { type: 'integer' }, b: { type: 'integer' } },
      dependentSchemas: { a: { properties: { b: { minimum: 5 } } } },
      additionalProperties: false,
    },
    [{ b: 1 }, { a: 1 }, { a: 1, b: 5 }],
    [{ a: 1, b: 1 }],
  ],
  [
    'contains',
    { type: 'array', items: { type: 'integer', minimum: 0 }, contains: { minimum: 5 } },
    [[5], [1, 7, 2]],
    [[], [1], ['a', 5]],
  ],
  [
    'contains, counted',
    { type: 'array', items: { type: 'integer' }, contains: { enum: [1, 2] }, minContains: 1, maxContains: 2 },
    [[1], [5, 1, 6, 2]],
    [[], [5], [1, 2, 1]],
  ],
  [
    'uniqueItems of few values',
    { type: 'array', items: { enum: ['a', 'b', 3] }, uniqueItems: true, minItems: 1 },
    [['a'], [3, 'a', 'b']],
    [[], ['a', 'a']],
  ],
  [
    'unevaluatedProperties',
    {
      type: 'object',
      allOf: [{ properties: { a: { type: 'integer' } } }],
      properties: { b: { type: 'integer' } },
      unevaluatedProperties: false,
    },
    [{ b: 2, a: 1 }, {}],
    [{ c: 1 }],
  ],
  [
    'word borders',
    { type: 'string', pattern: '^\\W?\\bcat\\b\\W?$' },
    ['cat', ' cat!', '-cat-'],
    ['cats', 'concat', '_cat'],
  ],
  ['no word border', { type: 'string', pattern: '^a\\B' }, ['ab', 'a_'], ['a', 'a-']],
  ['Unicode properties', { type: 'string', pattern: '^\\p{Lu}\\p{L}*$' }, ['Éa', 'Ωω', 'X'], ['é', 'X1', '']],
  ['a look ahead in the middle', { type: 'string', pattern: '^a(?=b)[bc]+$' }, ['abc', 'ab'], ['acb', 'a']],
  ['a look ahead that forbids', { type: 'string', pattern: '^[a-c]+(?!.*d)-' }, ['a-c', 'b-'], ['a-d', 'a']],
  ['a look behind at the beginning', { type: 'string', pattern: '(?<=x)y$', maxLength: 3 }, ['xy', 'axy'], ['y', 'ay']],
  ['JSON pointers', { type: 'string', format: 'json-pointer' }, ['', '/a/b~1c', '/'], ['a', '/~2']],
  [
    'regular expressions',
    { type: 'string', format: 'regex' },
    ['^a[b-c]?$', 'a', '(x|y)+\\d{2}'].filter((text) => text !== '^a[b-c]?$'),
    ['(', '['],
  ],
  [
    'another address',
    { $id: 'https://a.example/x', $ref: 'y', $defs: { y: { $id: 'y', type: 'integer' } } },
    [1],
    ['a'],
  ],
];

for (const [name, schema, valid, invalid] of cases) {
  test(`${name}: valid documents, no others, and only valid ones come out`, () => {
    const grammar = compileSchema(schema, { strict: false });
    const isHeld = grammar.notes?.length === 0;
    if (valid.length > 0) ok(isHeld, String(grammar.notes));
    for (const value of valid) {
      ok(ajv.validate(schema as object, value), `the test is wrong: ${JSON.stringify(value)}`);
      ok(accepts(grammar, JSON.stringify(value)), `refuses ${JSON.stringify(value)}`);
    }
    for (const value of invalid) {
      ok(!ajv.validate(schema as object, value), `the test is wrong: ${JSON.stringify(value)}`);
      ok(!accepts(grammar, JSON.stringify(value)), `accepts ${JSON.stringify(value)}`);
    }
    if (isHeld) ok(checkWalks(schema, 11, 12) > 0, 'no walk ended');
  });
}

/** What cannot be held, and where it stands. */
const unheld: readonly (readonly [schema: JsonSchema, place: string])[] = [
  [{ type: 'array', items: { type: 'string' }, uniqueItems: true }, '#'],
  [{ type: 'string', pattern: '^(a)\\1$' }, '#'],
  [{ type: 'integer', not: { multipleOf: 3 } }, '#/not'],
  [
    {
      oneOf: [
        { type: 'integer', multipleOf: 3 },
        { type: 'integer', multipleOf: 5 },
      ],
    },
    '#/oneOf',
  ],
  [{ type: 'integer', multipleOf: 1234567 }, '#'],
  [{ type: 'string', maxLength: 1e9 }, '#'],
  [{ $ref: 'https://other.example/schema.json' }, '#/$ref'],
  [{ type: 'string', pattern: '^(a|b)*a(a|b){18}$', maxLength: 100 }, '#'],
  [{ type: 'string', pattern: '^((a{1,50}){1,50}){1,50}$' }, '#'],
];

for (const [schema, place] of unheld) {
  test(`${JSON.stringify(schema).slice(0, 60)}: strict refuses it by its place; otherwise the rest is held, and it is said`, () => {
    const { notes = [], ...grammar } = compileSchema(schema);
    deepStrictEqual([notes.length, notes[0]?.split(': ')[0]], [1, place], notes.join());
    const type = (schema as { type?: string }).type;
    if (type) ok(!accepts(grammar, type === 'string' ? '5' : '"a"'));
    throws(
      () => compileSchema(schema, { strict: true }),
      (error: Error & { code?: string }) =>
        error.code === 'schema.unsupported' && error.message.includes(`- ${place}: `),
    );
  });
}

test('unknown keywords and formats are annotations, and said, strict or not', () => {
  const schema = { type: 'string', format: 'colour', markdownDescription: 'x', 'x-order': 1 };
  for (const strict of [false, true]) {
    const { notes, ...grammar } = compileSchema(schema, { strict });
    deepStrictEqual(notes?.map((note) => note.split(': ')[0]).sort(), ['#/format', '#/markdownDescription']);
    ok(accepts(grammar, '"any"'));
  }
});
