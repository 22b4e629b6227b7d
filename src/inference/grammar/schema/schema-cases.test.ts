import { ok } from 'node:assert/strict';
import { test } from 'node:test';
import { accepts } from '../testing/grammars.ts';
import { ajv, checkWalks, draft7 } from '../testing/schemas.ts';
import { compileSchema } from './compile-schema.ts';
import type { JsonSchema } from './json-schema.ts';

const cases: readonly (readonly [
  name: string,
  schema: JsonSchema,
  valid: readonly unknown[],
  invalid: readonly unknown[],
])[] = [
  [
    'a tree by $ref',
    {
      $ref: '#/$defs/node',
      $defs: {
        node: {
          type: 'object',
          properties: { v: { type: 'integer' }, next: { anyOf: [{ $ref: '#/$defs/node' }, { type: 'null' }] } },
          required: ['v', 'next'],
          additionalProperties: false,
        },
      },
    },
    [{ v: 1, next: { v: 2, next: null } }],
    [{ v: 1 }, { v: 1, next: 3 }],
  ],
  ['the root by $ref', { type: 'array', items: { $ref: '#' } }, [[], [[], [[]]]], [[1]]],
  [
    'a $ref with siblings',
    { $ref: '#/$defs/name', maxLength: 3, $defs: { name: { type: 'string', minLength: 2 } } },
    ['ab', 'abc'],
    ['a', 'abcd'],
  ],
  [
    'allOf',
    {
      allOf: [
        { type: 'object', properties: { a: { type: 'string' } }, required: ['a'] },
        { properties: { a: { minLength: 1 }, b: { type: 'number' } } },
      ],
      additionalProperties: true,
    },
    [
      { a: 'x', b: 1 },
      { a: 'x', c: null },
    ],
    [{ a: '' }, { b: 1 }],
  ],
  [
    'allOf with alternatives',
    {
      allOf: [
        { anyOf: [{ type: 'string' }, { type: 'integer' }] },
        {
          anyOf: [
            { minLength: 2, type: 'string' },
            { type: 'number', maximum: 5 },
          ],
        },
      ],
    },
    ['ab', 5, -1],
    ['a', 6, 0.5],
  ],
  [
    'required by alternatives',
    {
      type: 'object',
      properties: { a: { type: 'integer' }, b: { type: 'integer' } },
      additionalProperties: false,
      anyOf: [{ required: ['a'] }, { required: ['b'] }],
    },
    [{ a: 1 }, { b: 1 }, { a: 1, b: 2 }],
    [{}],
  ],
  [
    'oneOf by a tag',
    {
      oneOf: ['x', 'y'].map((kind) => ({
        type: 'object',
        properties: { kind: { const: kind }, [kind]: { type: 'boolean' } },
        required: ['kind', kind],
        additionalProperties: false,
      })),
    },
    [
      { kind: 'x', x: true },
      { kind: 'y', y: false },
    ],
    [{ kind: 'x', y: true }],
  ],
  [
    'required without a declaration',
    { type: 'object', required: ['z'], additionalProperties: { type: 'integer' } },
    [{ z: 1 }, { z: 1, a: 2 }],
    [{}, { z: 'a' }],
  ],
  [
    'patternProperties',
    {
      type: 'object',
      properties: { id: { type: 'integer' } },
      patternProperties: { '^x-': { type: 'string' }, n$: { minLength: 2 } },
      additionalProperties: false,
    },
    [{ id: 1, 'x-a': 's' }, { 'x-n': 'ab' }, { an: 'ab' }],
    [{ 'x-n': 'a' }, { other: 1 }, { 'x-a': 1 }],
  ],
  [
    'propertyNames',
    { type: 'object', propertyNames: { pattern: '^[a-z]{1,3}$' }, additionalProperties: { type: 'integer' } },
    [{ ab: 1 }, {}],
    [{ abcd: 1 }, { A: 1 }],
  ],
  [
    'minProperties, maxProperties',
    {
      type: 'object',
      properties: { a: true, b: true, c: true },
      additionalProperties: false,
      minProperties: 1,
      maxProperties: 2,
    },
    [{ a: 1 }, { b: 1, c: 2 }],
    [{}, { a: 1, b: 2, c: 3 }],
  ],
  [
    'maxProperties of a record',
    { type: 'object', additionalProperties: { type: 'integer' }, maxProperties: 2 },
    [{}, { a: 1, b: 2 }],
    [{ a: 1, b: 2, c: 3 }],
  ],
  [
    'a tuple',
    { type: 'array', prefixItems: [{ type: 'string' }, { type: 'integer' }], items: false, minItems: 1 },
    [['a'], ['a', 1]],
    [[], ['a', 'b'], ['a', 1, 2]],
  ],
  [
    'a tuple of draft 7',
    { type: 'array', items: [{ type: 'string' }], additionalItems: { type: 'integer' } },
    [['a', 1, 2], []],
    [[1]],
  ],
  ['const objects', { const: { a: [1, 'x'], b: {} } }, [{ a: [1, 'x'], b: {} }], [{ a: [1], b: {} }]],
  [
    'enum with siblings',
    { enum: ['a', 'bcd', 1, 5], type: ['string', 'integer'], minLength: 2, maximum: 3 },
    ['bcd', 1],
    ['a', 5],
  ],
  [
    'formats together',
    { type: 'string', format: 'date', pattern: '^20' },
    ['2024-02-29', '2001-01-01'],
    ['1999-01-01', '2023-02-29', '2100-02-29'],
  ],
  [
    'integers by tens',
    { type: 'integer', multipleOf: 10, minimum: -20, exclusiveMaximum: 1000 },
    [-20, 0, 10, 990],
    [-30, 5, 1000],
  ],
  ['integers by thousands', { type: 'number', multipleOf: 1000, minimum: -5000 }, [-5000, 0, 7000], [-6000, 500, 7]],
  ['no bound above', { type: 'number', exclusiveMinimum: 0.25 }, [0.26, 1, 1e20], [0.25, 0.2, -1]],
  ['below zero', { type: 'number', maximum: -1.5 }, [-1.5, -1.51, -20], [-1.4, 0, 1]],
  ['only types', { minimum: 5, minLength: 2 }, [5, 'ab', null, [], {}, true], [4, 'a']],
  ['false within', { type: 'object', properties: { a: false, b: true } }, [{ b: 1 }, { c: 1 }], [{ a: 1 }]],
  [
    'references of references',
    {
      $ref: '#/$defs/a',
      $defs: {
        a: { $ref: '#/$defs/b' },
        b: { $anchor: 'bb', type: 'object', properties: { c: { $ref: '#bb' } }, additionalProperties: false },
      },
    },
    [{ c: { c: {} } }],
    [{ d: 1 }],
  ],
  ['hosts', { type: 'string', format: 'hostname' }, ['a.example', 'x'], ['-a', 'a..b']],
  [
    'addresses',
    {
      anyOf: [
        { type: 'string', format: 'ipv6' },
        { type: 'string', format: 'uri' },
      ],
    },
    ['::1', '1:2:3:4:5:6:7:8', 'fe80::1:2', 'https://example.com/a?b#c', 'urn:isbn:12'],
    ['1::2::3', 'x y'],
  ],
  ['durations', { type: 'string', format: 'duration' }, ['P1D', 'PT1H30M', 'P2W', 'P1Y2M3DT4H'], ['P', '1D', 'PT']],
];

for (const [name, schema, valid, invalid] of cases) {
  test(`${name}: valid documents, no others, and only valid ones come out`, () => {
    const grammar = compileSchema(schema);
    const validator = name.includes('draft 7') ? draft7 : ajv;
    for (const value of valid) {
      ok(validator.validate(schema as object, value), `the test is wrong: ${JSON.stringify(value)}`);
      for (const indent of [undefined, 2]) {
        const document = JSON.stringify(value, null, indent);
        ok(accepts(grammar, document), `refuses ${document}`);
      }
    }
    for (const value of invalid) {
      ok(!validator.validate(schema as object, value), `the test is wrong: ${JSON.stringify(value)}`);
      ok(!accepts(grammar, JSON.stringify(value)), `accepts ${JSON.stringify(value)}`);
    }
    ok(checkWalks(schema, 7, 12, validator) > 0, 'no walk ended');
  });
}
