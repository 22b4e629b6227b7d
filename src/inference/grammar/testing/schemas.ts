/** For tests: validators, a small vocabulary of JSON, and texts that the masks lead to by chance. */
import { deepStrictEqual, ok } from 'node:assert/strict';
import { Ajv } from 'ajv';
import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { Random } from '../../../base/random.ts';
import { compileSchema } from '../schema/compile-schema.ts';
import type { JsonSchema } from '../schema/json-schema.ts';
import type { TokenMasks } from '../token-masks.ts';
import { idsOfSet, masksOf, testVocabulary } from './grammars.ts';

export const ajv = new Ajv2020({ strict: false, allErrors: false, multipleOfPrecision: 9 });
addFormats.default(ajv);
export const draft7 = new Ajv({ strict: false });

export const vocabulary = testVocabulary([
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
export function randomText(masks: TokenMasks, random: Random): string | null {
  let at = masks.automaton.start;
  const bytes: number[] = [];
  for (let step = 0; step < 3000; step++) {
    const allowed = idsOfSet(masks.maskOf(at));
    if (allowed.length === 0) throw new Error(`no token after ${new TextDecoder().decode(Uint8Array.from(bytes))}`);
    if (allowed[0] === 0 && (allowed.length === 1 || random.uniform() < 0.5))
      return new TextDecoder('utf-8', { fatal: true }).decode(Uint8Array.from(bytes));
    const text = allowed.filter((id) => id !== 0);
    if (random.uniform() < 0.05) {
      const readable = [...vocabulary.bytesOf.keys()].filter((id) => masks.advance(at, id) !== null);
      deepStrictEqual(text, readable, 'the mask is not what the bytes say');
    }
    const closing = text.filter((id) => '"]}'.includes(String.fromCharCode(vocabulary.bytesOf[id]!.at(-1)!)));
    const from = closing.length > 0 && random.uniform() < (step > 200 ? 0.9 : 0.4) ? closing : text;
    const id = from[Math.floor(random.uniform() * from.length)]!;
    bytes.push(...vocabulary.bytesOf[id]!);
    at = masks.advance(at, id)!;
  }
  return null;
}

export function checkWalks(schema: JsonSchema, seed: number, walks = 3, validator: Ajv | Ajv2020 = ajv): number {
  const masks = masksOf(compileSchema(schema, { exact: true }), vocabulary);
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
