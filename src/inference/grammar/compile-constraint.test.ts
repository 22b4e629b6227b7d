/** Grammars with a real tokenizer and a model: the engine keeps to them. */
import { deepStrictEqual, match, ok, rejects, strictEqual, throws } from 'node:assert/strict';
import { test } from 'node:test';
import { z } from 'zod';
import { missing, shared } from '../../../test/support/shared.ts';
import { Llama } from '../../platform/node/index.ts';
import { loadTokenizer } from '../../platform/node/load-tokenizer.ts';
import { ConstraintCompiler } from './compile-constraint.ts';
import { jsonGrammar } from './schema/compile-schema.ts';
import { idsOfSet, masksOf } from './testing/grammars.ts';
import { createGrammarVocabulary } from './vocabulary.ts';

const model = 'real/models/stories260K/stories260K.gguf';

test('a real vocabulary: the mask is what the bytes say; special tokens are no text', {
  skip: missing(model),
}, async () => {
  const tokenizer = await loadTokenizer(shared(model));
  const vocabulary = createGrammarVocabulary(tokenizer, tokenizer.eogIds);
  const masks = masksOf(jsonGrammar('object'), vocabulary);
  let at = masks.automaton.start;
  for (const id of tokenizer.encode('{"a b": [1, "é\\n", {"c": null}], "d": true}')) {
    const expected = [...Array(tokenizer.vocabSize).keys()].filter((other) => masks.advance(at, other) !== null);
    // The first piece of a text has a space in front of it.
    const next = masks.advance(at, id);
    deepStrictEqual(
      idsOfSet(masks.maskOf(at)),
      at.isAccepting ? [...expected, ...tokenizer.eogIds].sort((a, b) => a - b) : expected,
    );
    if (next) at = next;
  }
  ok(at.isAccepting);
  const any = masksOf('root ::= .*', vocabulary);
  for (const { id } of tokenizer.controlTokens) strictEqual(any.advance(any.automaton.start, id), null);
});

test('compiled once for the same content; each generation goes its own way', { skip: missing(model) }, async () => {
  const tokenizer = await loadTokenizer(shared(model));
  const compiler = new ConstraintCompiler(tokenizer, tokenizer.eogIds, tokenizer.vocabSize);
  const spec = { kind: 'grammar', grammar: 'root ::= "ab"' } as const;
  const [first, second] = [compiler.compile(spec), compiler.compile({ ...spec })];
  const a = tokenizer.idOf('a')!;
  first.accept(a);
  second.accept(a);
  strictEqual((first as unknown as { masks: unknown }).masks, (second as unknown as { masks: unknown }).masks);
  const b = tokenizer.idOf('b')!;
  first.accept(b);
  strictEqual(first.isFinished, true);
  strictEqual(second.isFinished, false);
  throws(() => second.accept(a), { code: 'grammar.refused' });
  throws(() => compiler.compile({ kind: 'other' } as never), /expected kind grammar, json_schema/);
});

test('the library: grammar, JSON Schema, a typed schema', { skip: missing(model) }, async () => {
  await using llama = await Llama.load(shared(model), { threads: 1 });
  const options = { maxTokens: 200, seed: 3 };
  const answer = await llama.generate('Is it late?', { ...options, grammar: 'root ::= ("yes" | "no") ("!" | "?"){2}' })
    .result;
  match(answer.text, /^(yes|no)[!?]{2}$/);
  strictEqual(answer.finishReason, 'stop');

  const jsonSchema = {
    type: 'object',
    properties: { n: { type: 'integer', minimum: 3, maximum: 5 } },
    required: ['n'],
    additionalProperties: false,
  };
  for (const schema of [jsonSchema, JSON.stringify(jsonSchema)]) {
    const { n } = JSON.parse(await llama.generate('A number:', { ...options, jsonSchema: schema }).text());
    ok(n >= 3 && n <= 5);
  }

  const animal = z.object({
    name: z.string().max(12),
    legs: z.int().min(0).max(8),
    kind: z.enum(['bird', 'cat']),
    tags: z.array(z.string().max(5)).max(2),
    born: z.iso.date().transform((text) => text.slice(0, 4)),
    owner: z.nullable(z.object({ name: z.string().max(5) })),
  });
  const generation = llama.generate('An animal: ', { ...options, schema: animal });
  const value: z.output<typeof animal> = await generation.value();
  ok(['bird', 'cat'].includes(value.kind) && value.born.length === 4);
  deepStrictEqual(animal.safeParse(JSON.parse(await generation.text())).success, true);

  await rejects(llama.generate('x', { ...options, maxTokens: 2, schema: animal }).value(), {
    code: 'generate.incomplete',
  });
  await rejects(llama.generate('x', { grammar: 'root ::= "a', jsonSchema: {} }).result, /found grammar and jsonSchema/);
  await rejects(llama.generate('x', { grammar: 'root ::= "a' }).result, { code: 'grammar.syntax' });
  await rejects(llama.generate('x', { jsonSchema: { not: {} } }).result, { code: 'schema.impossible' });
  await rejects(llama.generate('x', { jsonSchema: '{' }).result, { code: 'schema.invalid' });
});

test('many grammars at the same time: each text keeps to its own, and to what it would be alone', {
  skip: missing(model),
}, async () => {
  await using llama = await Llama.load(shared(model), { threads: 1 });
  const grammars = ['root ::= [a-f]{5,9}', 'root ::= "x" [0-9]{3}', 'root ::= ("ha" " "?){2,4} "!"'];
  const generate = (i: number) => llama.generate('Once', { seed: 5, maxTokens: 40, grammar: grammars[i]! }).text();
  const together = await Promise.all([0, 1, 2, 0].map(generate));
  const patterns = [/^[a-f]{5,9}$/, /^x\d{3}$/, /^(ha ?){2,4}!$/];
  for (const [i, text] of together.entries()) match(text, patterns[i % 3]!);
  strictEqual(together[0], together[3]);
  for (const i of [0, 1, 2]) strictEqual(await generate(i), together[i]);
});
