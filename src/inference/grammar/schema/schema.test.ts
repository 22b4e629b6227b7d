import { deepStrictEqual, ok, strictEqual, throws } from 'node:assert/strict';
import { test } from 'node:test';
import { Ajv } from 'ajv';
import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import fc from 'fast-check';
import { Random } from '../../../base/random.ts';
import { accepts, follow, idsOfSet, masksOf, testVocabulary } from '../testing.ts';
import type { TokenMasks } from '../token-masks.ts';
import { compileSchema, jsonGrammar } from './compile-schema.ts';
import type { JsonSchema } from './document.ts';

const ajv = new Ajv2020({ strict: false, allErrors: false, multipleOfPrecision: 9 });
addFormats.default(ajv);
const draft7 = new Ajv({ strict: false });

const vocabulary = testVocabulary([
  '{"',
  '":',
  '",',
  '"}',
  '":"',
  '","',
  ', "',
  '": "',
  '[]',
  '{}',
  'true',
  'false',
  'null',
  '  ',
  '\n',
  '\n  ',
  '12',
  '0.',
  '-1',
  'e+',
  '\\"',
  '\\u00',
  '\\ud8',
  'abc',
  'name',
  'äö',
  '한국',
  '😀',
  'a"',
  '"b',
  '}}',
  ']]',
  '},',
  '],{',
]);

/** A text that the masks lead to by chance, drawn towards its end; null when it became too long. */
function randomText(masks: TokenMasks, random: Random): string | null {
  let at = masks.automaton.start;
  const bytes: number[] = [];
  for (let step = 0; step < 3000; step++) {
    const allowed = idsOfSet(masks.maskOf(at));
    if (allowed.length === 0) throw new Error(`no token after ${new TextDecoder().decode(Uint8Array.from(bytes))}`);
    if (allowed[0] === 0 && (allowed.length === 1 || random.uniform() < 0.5))
      return new TextDecoder('utf-8', { fatal: true }).decode(Uint8Array.from(bytes));
    const text = allowed.filter((id) => id !== 0);
    const closing = text.filter((id) => '"]}'.includes(String.fromCharCode(vocabulary.bytesOf[id]!.at(-1)!)));
    const from = closing.length > 0 && random.uniform() < (step > 200 ? 0.9 : 0.4) ? closing : text;
    const id = from[Math.floor(random.uniform() * from.length)]!;
    bytes.push(...vocabulary.bytesOf[id]!);
    at = masks.advance(at, id)!;
  }
  return null;
}

function checkWalks(schema: JsonSchema, seed: number, walks = 3, validator: Ajv | Ajv2020 = ajv): number {
  const masks = masksOf(compileSchema(schema), vocabulary);
  const validate = validator.compile(schema as object);
  const random = new Random(seed);
  let finished = 0;
  for (let i = 0; i < walks; i++) {
    const text = randomText(masks, random);
    if (text === null) continue;
    finished++;
    ok(validate(JSON.parse(text)), `${JSON.stringify(schema)} → ${text}: ${ajv.errorsText(validate.errors)}`);
  }
  return finished;
}

/** A schema and values that are valid for it, with their properties in the schema's order. */
interface Pair {
  readonly schema: JsonSchema;
  readonly value: fc.Arbitrary<unknown>;
}

const text = fc.string({
  unit: fc.constantFrom('a', 'b', '"', '\\', '\n', 'é', '한', '😀', ' ', '\u0001', '/'),
  maxLength: 6,
});
const leaves: fc.Arbitrary<Pair> = fc.oneof(
  fc.constant({ schema: { type: 'string' }, value: text }),
  fc.constant({ schema: { type: 'boolean' }, value: fc.boolean() }),
  fc.constant({ schema: { type: ['null', 'boolean'] }, value: fc.constantFrom(null, true) }),
  fc.constant({
    schema: { type: 'number' },
    value: fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e300, max: 1e300 }),
  }),
  fc.tuple(fc.integer({ min: -2000, max: 2000 }), fc.nat(5000)).map(([min, span]) => ({
    schema: { type: 'integer', minimum: min, maximum: min + span },
    value: fc.integer({ min, max: min + span }),
  })),
  fc
    .tuple(fc.integer({ min: -500, max: 500 }), fc.nat(1000), fc.constantFrom(0, 1, 2))
    .map(([min, span, decimals]) => ({
      schema: { type: 'number', minimum: min / 10 ** decimals, exclusiveMaximum: (min + span + 1) / 10 ** decimals },
      value: fc.integer({ min: min * 10, max: (min + span) * 10 }).map((n) => (n === 0 ? 0 : n / 10 ** (decimals + 1))),
    })),
  fc.tuple(fc.integer({ min: 1, max: 60 }), fc.constantFrom(0, 1, 2)).map(([n, decimals]) => ({
    schema: { type: 'number', multipleOf: n / 10 ** decimals, minimum: -50_000, maximum: 50_000 },
    value: fc
      .integer({ min: -500, max: 500 })
      .map((k) => (k === 0 ? 0 : Number(((k * n) / 10 ** decimals).toFixed(decimals)))),
  })),
  fc.tuple(fc.nat(4), fc.nat(4)).map(([min, more]) => ({
    schema: { type: 'string', minLength: min, maxLength: min + more },
    value: fc.string({ unit: fc.constantFrom('a', '"', '😀', '\n', '한'), minLength: min, maxLength: min + more }),
  })),
  fc.constant({
    schema: { type: 'string', pattern: '^[a-c]+(-\\d{2,3})?$', maxLength: 7 },
    value: fc.stringMatching(/^[a-c]{1,3}(-\d{2,3})?$/),
  }),
  fc.constant({ schema: { type: 'string', pattern: 'a|^b$' }, value: fc.constantFrom('a', 'xa"', 'b', 'ba') }),
  fc
    .uniqueArray(fc.constantFrom('x', 'y"z', 3, -0.5, null, true, 'é', '[]'), { minLength: 1, maxLength: 4 })
    .map((values) => ({
      schema: { enum: values },
      value: fc.constantFrom(...values),
    })),
  fc.constantFrom('date', 'date-time', 'time', 'uuid', 'ipv4', 'email').map((format) => ({
    schema: { type: 'string', format },
    value: fc.constantFrom(
      ...({
        date: ['2024-02-29', '1999-12-31'],
        'date-time': ['2000-02-29T23:59:59Z', '2023-01-01T00:00:00.123+09:00'],
        time: ['12:30:00Z'],
        uuid: ['123e4567-e89b-12d3-a456-426614174000'],
        ipv4: ['127.0.0.1', '255.255.255.255'],
        email: ['a.b@example.com'],
      }[format] as [string, ...string[]]),
    ),
  })),
);

const pairs = fc.letrec<{ pair: Pair }>((tie) => ({
  pair: fc.oneof(
    { maxDepth: 3, depthSize: 'small' },
    leaves,
    fc.tuple(tie('pair'), fc.nat(2), fc.nat(2)).map(([item, min, more]) => ({
      schema: { type: 'array', items: item.schema, minItems: min, maxItems: min + more },
      value: fc.array(item.value, { minLength: min, maxLength: min + more }),
    })),
    fc.tuple(tie('pair'), tie('pair')).map(([a, b]) => ({
      schema: { type: 'array', prefixItems: [a.schema], items: b.schema },
      value: fc.oneof(fc.constant([]), fc.tuple(a.value), fc.tuple(a.value, b.value, b.value)),
    })),
    fc
      .tuple(tie('pair'), tie('pair'))
      .map(([a, b]) => ({ schema: { anyOf: [a.schema, b.schema] }, value: fc.oneof(a.value, b.value) })),
    fc
      .tuple(
        fc.array(fc.tuple(fc.constantFrom('a', 'ab', 'b"', 'é'), tie('pair'), fc.boolean()), { maxLength: 3 }),
        fc.constantFrom(false, true, undefined),
      )
      .map(([members, additional]) => objectPair(members, additional)),
  ),
}));

function objectPair(members: readonly (readonly [string, Pair, boolean])[], additional: boolean | undefined): Pair {
  const unique = [...new Map(members.map((member) => [member[0], member]))].map(([, member]) => member);
  const schema = {
    type: 'object',
    properties: Object.fromEntries(unique.map(([key, pair]) => [key, pair.schema])),
    required: unique.filter(([, , required]) => required).map(([key]) => key),
    ...(additional !== undefined && { additionalProperties: additional }),
  };
  const value = fc
    .record(Object.fromEntries(unique.map(([key, pair]) => [key, pair.value])), { requiredKeys: schema.required })
    .map((record) =>
      Object.fromEntries([
        ...unique.filter(([key]) => Object.hasOwn(record, key)).map(([key]) => [key, record[key]]),
        ...(additional === false ? [] : [['other', [1, { x: '}' }]]]),
      ]),
    );
  return { schema, value };
}

test('random schemas: whatever the masks lead to is valid', () => {
  let finished = 0;
  fc.assert(
    fc.property(pairs.pair, fc.nat(), ({ schema }, seed) => {
      finished += checkWalks(schema, seed);
    }),
    { numRuns: 80 },
  );
  ok(finished > 160, `only ${finished} walks ended`);
});

test('random schemas: valid documents are accepted, compact, spaced and indented, byte by byte and token by token', () => {
  fc.assert(
    fc.property(
      pairs.pair.chain(({ schema, value }) => value.map((one) => ({ schema, value: one }))),
      ({ schema, value }) => {
        ok(
          ajv.validate(schema as object, JSON.parse(JSON.stringify(value))),
          `the test is wrong: ${JSON.stringify(schema)} ${JSON.stringify(value)}`,
        );
        const masks = masksOf(compileSchema(schema), vocabulary);
        for (const indent of [undefined, 1, 4, '\t']) {
          const document = JSON.stringify(value, null, indent);
          ok(follow(masks.automaton, document)?.isAccepting, `${JSON.stringify(schema)} refuses ${document}`);
        }
        let at = masks.automaton.start;
        for (const byte of new TextEncoder().encode(JSON.stringify(value))) {
          ok(idsOfSet(masks.maskOf(at)).includes(byte + 2));
          at = masks.advance(at, byte + 2)!;
        }
        ok(at.isAccepting);
      },
    ),
    { numRuns: 100 },
  );
});

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

test('free JSON: what JSON.parse reads, and nothing else', () => {
  fc.assert(
    fc.property(
      fc.jsonValue({ maxDepth: 4 }).filter((value) => !/1\.797[6-9]\d*e\+308/.test(JSON.stringify(value))),
      (value) => {
        for (const indent of [undefined, 3]) ok(accepts(jsonGrammar('value'), JSON.stringify(value, null, indent)));
      },
    ),
    { numRuns: 100 },
  );
  const masks = masksOf(jsonGrammar('object'), vocabulary);
  const random = new Random(3);
  let finished = 0;
  for (let i = 0; i < 60; i++) {
    const value = randomText(masks, random);
    if (value === null) continue;
    finished++;
    strictEqual(typeof JSON.parse(value), 'object');
  }
  ok(finished > 30);
  for (const bad of ['{"a":1,}', '[01]', '["\\ud800"]', '["\t"]', "['a']", '[1e999]', '[.5]', '[1.]'])
    ok(!accepts(jsonGrammar('value'), bad), bad);
});

test('escapes in free strings, in any spelling', () => {
  const grammar = compileSchema({ type: 'string', maxLength: 3 });
  for (const value of ['"\\u0041\\/\\n"', '"\\uD83D\\ude00é"', '"\\"\\\\\\b"']) ok(accepts(grammar, value), value);
  ok(!accepts(grammar, '"\\ud83d\\ude00abc"'));
});

test('strict: objects are closed unless they say otherwise', () => {
  const schema = {
    type: 'object',
    properties: { a: { type: 'object' }, b: { type: 'object', properties: { c: {} }, additionalProperties: {} } },
  };
  const grammar = compileSchema(schema, { strict: true });
  ok(accepts(grammar, '{"a":{"x":1},"b":{"c":1,"d":2}}'));
  ok(!accepts(grammar, '{"z":1}'));
  ok(accepts(compileSchema(schema), '{"z":1}'));
});

test('everything that is not supported is said at once, with its place', () => {
  const schema = {
    type: 'object',
    properties: {
      a: { not: { type: 'string' } },
      'b/c': { type: 'array', uniqueItems: true, contains: {} },
      d: { type: 'string', pattern: '(?=x)' },
      e: { type: 'string', format: 'colour' },
      f: { oneOf: [{ type: 'number' }, { type: 'integer' }] },
      g: { $ref: 'other.json' },
      h: { minLength: 'x' },
      i: { type: 'strin' },
    },
  };
  throws(
    () => compileSchema(schema),
    (error: Error & { code?: string }) => {
      strictEqual(error.code, 'schema.unsupported');
      const places = error.message
        .split('\n')
        .slice(1)
        .map((line) => line.trim().split(': ')[0])
        .sort();
      deepStrictEqual(places, [
        '- #/properties/a/not',
        '- #/properties/b~1c/contains',
        '- #/properties/b~1c/uniqueItems',
        '- #/properties/d',
        '- #/properties/e',
        '- #/properties/f/oneOf',
        '- #/properties/g/$ref',
        '- #/properties/h/minLength',
        '- #/properties/i/type',
      ]);
      return true;
    },
  );
});

test('hostile schemas are refused in bounded time', () => {
  const doubled = Object.fromEntries(
    Array.from({ length: 100 }, (_, i) => [
      `a${i}`,
      { minLength: i, anyOf: [{ $ref: `#/$defs/a${i + 1}` }, { $ref: `#/$defs/a${i + 1}` }] },
    ]),
  );
  const deep = (levels: number): JsonSchema => (levels === 0 ? {} : { items: deep(levels - 1) });
  const hostile: [JsonSchema | string, string][] = [
    [{ $ref: '#/$defs/a0', $defs: { ...doubled, a100: true } }, 'schema.too-large'],
    [deep(500), 'schema.too-large'],
    [{ $ref: '#' }, 'schema.unsupported'],
    [{ allOf: [{ $ref: '#' }] }, 'schema.unsupported'],
    [{ type: 'object', properties: { a: { $ref: '#' } }, required: ['a'] }, 'schema.impossible'],
    [{ type: 'string', enum: [1] }, 'schema.impossible'],
    [{ type: 'string', pattern: '^(a|b)*a(a|b){18}$', maxLength: 100 }, 'schema.unsupported'],
    [{ type: 'string', pattern: '^((a{1000}){1000}){1000}$' }, 'schema.too-large'],
    [{ type: 'array', minItems: 1e9 }, 'schema.unsupported'],
    [{ type: 'string', maxLength: 1e9 }, 'schema.unsupported'],
    [{ type: 'integer', multipleOf: 1e6 }, 'schema.unsupported'],
    ['text', 'schema.invalid'],
  ];
  for (const [schema, code] of hostile) {
    const start = performance.now();
    throws(() => compileSchema(schema), { code }, JSON.stringify(schema).slice(0, 80));
    ok(performance.now() - start < 3000, JSON.stringify(schema).slice(0, 80));
  }
});

test('a long text with a limit: the count is exact', () => {
  const grammar = compileSchema({ type: 'string', maxLength: 3000 });
  ok(accepts(grammar, `"${'é'.repeat(3000)}"`));
  ok(!accepts(grammar, `"${'é'.repeat(3001)}"`));
});
