import { deepStrictEqual, ok, strictEqual, throws } from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { processorClock } from '../../../../test/support/processor-time.ts';
import { Random } from '../../../base/random.ts';
import { accepts, follow, idsOfSet, masksOf } from '../testing/grammars.ts';
import { ajv, checkWalks, randomText, vocabulary } from '../testing/schemas.ts';
import { compilePossibleSchema, compileSchema, jsonGrammar } from './compile-schema.ts';
import type { JsonSchema } from './json-schema.ts';

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
    { numRuns: 50 },
  );
  ok(finished > 100, `only ${finished} walks ended`);
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

test('everything that is wrong, or cannot be held where it must be, is said at once, with its place', () => {
  const schema = {
    type: 'object',
    properties: {
      a: { not: { multipleOf: 7 } },
      'b/c': { type: 'array', uniqueItems: true },
      d: { type: 'string', pattern: '(x)\\1' },
      g: { $ref: 'other.json' },
      h: { minLength: 'x' },
      i: { type: 'strin' },
      j: { $ref: '#/nowhere' },
    },
  };
  const places = (strict: boolean) => {
    try {
      compileSchema(schema, { strict });
    } catch (error) {
      strictEqual((error as { code?: string }).code, 'schema.unsupported');
      const lines = (error as Error).message.split('\n').slice(1);
      return lines.map((line) => line.trim().split(': ')[0]).sort();
    }
    return [];
  };
  const wrong = ['- #/properties/h/minLength', '- #/properties/i/type', '- #/properties/j/$ref'];
  deepStrictEqual(places(false), wrong);
  deepStrictEqual(places(true), [
    '- #/properties/a/not',
    '- #/properties/b~1c',
    '- #/properties/d',
    '- #/properties/g/$ref',
    ...wrong,
  ]);
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
    [{ $ref: '#/$defs/a0', $defs: { ...doubled, a100: true } }, 'schema.unsupported'],
    [deep(500), 'schema.too-large'],
    [{ $ref: '#' }, 'schema.unsupported'],
    [{ allOf: [{ $ref: '#' }] }, 'schema.unsupported'],
    [{ type: 'object', properties: { a: { $ref: '#' } }, required: ['a'] }, 'schema.impossible'],
    [{ type: 'string', enum: [1] }, 'schema.impossible'],
    [{ type: 'string', pattern: '^(a|b)*a(a|b){18}$', maxLength: 100 }, 'schema.unsupported'],
    [{ type: 'string', pattern: '^((a{1000}){1000}){1000}$' }, 'schema.unsupported'],
    [{ type: 'array', minItems: 1e9 }, 'schema.unsupported'],
    [{ type: 'string', maxLength: 1e9 }, 'schema.unsupported'],
    [{ type: 'integer', multipleOf: 1234567 }, 'schema.unsupported'],
    ['text', 'schema.invalid'],
  ];
  for (const [schema, code] of hostile) {
    const took = processorClock();
    throws(() => compilePossibleSchema(schema, { strict: true }), { code }, JSON.stringify(schema).slice(0, 80));
    ok(took() < 3000, JSON.stringify(schema).slice(0, 80));
  }
});

test('a long text with a limit: the count is exact', () => {
  const grammar = compileSchema({ type: 'string', maxLength: 3000 });
  ok(accepts(grammar, `"${'é'.repeat(3000)}"`));
  ok(!accepts(grammar, `"${'é'.repeat(3001)}"`));
});

test('looking ahead at the beginning of a pattern: a second language', () => {
  const grammar = compileSchema({ type: 'string', pattern: '^(?!.*\\.\\.)(?=.*[0-9])[a-z0-9.]+$' });
  for (const value of ['"a.1"', '"1"']) ok(accepts(grammar, value), value);
  for (const value of ['"a"', '"a..1"', '""']) ok(!accepts(grammar, value), value);
});

test('patterns mean what RegExp says they mean', () => {
  const patterns = [
    '^a|b$',
    '^(a|b)+$',
    '(^a)b|c',
    'a{2,3}',
    '^[^a]*$',
    '^a.b$',
    '\\s',
    '^\\w{1,2}\\W$',
    '^(?:a|(?<n>b))?c$',
    '^$',
    '^(?!ab)[abc]{1,3}$',
    '[\\u0061-b\\u{63}]{3}',
    'a+?b*?$',
    'a(?=b)',
    '(?=b)|(?!a)c$',
    '\\bab\\b',
    '\\Bb',
    '(^|-)a',
    'a($| )',
    '\\b(?=a)..\\b',
    '[\\w-]$',
    '(?:a\\b){1,2}',
    '\\p{L}-',
  ];
  for (const source of patterns) {
    const expected = new RegExp(source, 'u');
    const grammar = compileSchema({ type: 'string', pattern: source });
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom('a', 'b', 'c', ' ', '\n', '-', '😀'), maxLength: 4 }), (value) => {
        strictEqual(
          accepts(grammar, JSON.stringify(value)),
          expected.test(value),
          `${source} ${JSON.stringify(value)}`,
        );
      }),
      { numRuns: 60 },
    );
  }
});
