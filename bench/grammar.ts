/**
 * What constrained output costs: compiling a grammar, and masking and following each token.
 *
 *   node bench/grammar.ts [TOKENIZER …] [-m MODEL]     default: the tokenizers of Llama 2 (32k) and Llama 3 (128k) in ../shared
 *
 * Each grammar is followed along a document of its own, always by the longest token that fits: once with nothing known ("first":
 * every mask is worked out), and once more ("again": as in the next request of the same content). A token costs the mask, its
 * application to a row of logits, and the step. With a model its tokenizer is taken, and the cost is also told as a share of the time
 * that the model takes for a token without a grammar, measured first.
 */

import { parseArgs } from 'node:util';
import { Automaton } from '../src/inference/grammar/automaton.ts';
import type { Grammar } from '../src/inference/grammar/expression.ts';
import { parseGbnf } from '../src/inference/grammar/gbnf.ts';
import { buildNetwork } from '../src/inference/grammar/network/network.ts';
import { compileSchema, jsonGrammar } from '../src/inference/grammar/schema/compile-schema.ts';
import { TokenConstraint } from '../src/inference/grammar/token-constraint.ts';
import { TokenMasks } from '../src/inference/grammar/token-masks.ts';
import { createGrammarVocabulary, type GrammarVocabulary } from '../src/inference/grammar/vocabulary.ts';
import { Llama } from '../src/platform/node/index.ts';
import { loadTokenizer } from '../src/platform/node/load-tokenizer.ts';
import { shared } from '../test/support/shared.ts';

const person = {
  type: 'object',
  properties: {
    name: { type: 'string', minLength: 1, maxLength: 60 },
    age: { type: 'integer', minimum: 0, maximum: 150 },
    email: { type: 'string', format: 'email' },
    kind: { enum: ['guest', 'member', 'admin'] },
    joined: { type: 'string', format: 'date' },
    scores: { type: 'array', items: { type: 'number' }, maxItems: 8 },
    friends: { type: 'array', items: { $ref: '#' } },
  },
  required: ['name', 'age', 'kind'],
  additionalProperties: false,
};
const ada = {
  name: 'Ada Lovelace',
  age: 36,
  email: 'ada@example.com',
  kind: 'admin',
  joined: '1835-06-08',
  scores: [0.5, 12, -3.25],
};
const friends = [
  { ...ada, name: 'Charles Babbage "the engine"', friends: [{ name: '해리엇 마티노', age: 40, kind: 'guest' }] },
];
const story = {
  title: 'A llama',
  text: 'Once upon a time there was a llama who could count. '.repeat(8),
  tags: ['a', 'b', { deep: [[null, true]] }],
};

const cases: readonly (readonly [name: string, make: () => Grammar, text: string])[] = [
  ['schema, compact', () => compileSchema(person), JSON.stringify({ ...ada, friends })],
  ['schema, indented', () => compileSchema(person), JSON.stringify({ ...ada, friends }, null, 2)],
  ['free JSON', () => jsonGrammar('object'), JSON.stringify({ story, ada, friends })],
  [
    'text to 2000 letters',
    () => compileSchema({ type: 'string', maxLength: 2000 }),
    JSON.stringify(story.text.repeat(2)),
  ],
  [
    'pattern',
    () => compileSchema({ type: 'array', items: { type: 'string', pattern: '^[A-Z][a-z]+( [A-Z][a-z]+)*$' } }),
    JSON.stringify(['Once Upon', 'There Was One Llama', 'Count']),
  ],
  [
    'GBNF, arithmetic',
    () =>
      parseGbnf(
        'root ::= (expr "=" num "\\n")+\nexpr ::= term ([-+*/] term)*\nterm ::= num | "(" expr ")"\nnum ::= [0-9]+',
      ),
    '12+3*(45-6)=129\n(1+(2*(3+4)))/5=3\n',
  ],
];

const PASSES = 20;

const { values: given, positionals: paths } = parseArgs({
  allowPositionals: true,
  options: { model: { type: 'string', short: 'm' } },
});
const decodeMs = given.model === undefined ? null : await decodeTime(given.model);
if (given.model !== undefined) paths.push(given.model);
if (paths.length === 0) {
  paths.push(shared('real/tokenizers/llama2_tokenizer.model'), shared('real/tokenizers/llama3_tokenizer.model'));
}
for (const path of paths) {
  const tokenizer = loadTokenizer(path);
  const [vocabulary, vocabularyMs] = timed(() => createGrammarVocabulary(tokenizer, tokenizer.eogIds));
  console.log(
    `\n${vocabulary.size} tokens (${path.split('/').at(-1)}); tries built once in ${vocabularyMs.toFixed(0)} ms\n`,
  );
  if (decodeMs !== null) console.log(`a token without a grammar: ${decodeMs.toFixed(2)} ms\n`);
  const shares = decodeMs === null ? ['', ''] : [' of decoding |', '---|'];
  console.log(
    `| grammar | tokens | compile ms | first mask ms | first µs/token |${shares[0]} again µs/token |${shares[0]}`,
  );
  console.log(`|---|---|---|---|---|${shares[1]}---|${shares[1]}`);
  for (const [name, make, text] of cases) {
    const create = () => new TokenMasks(new Automaton(buildNetwork(make())), vocabulary);
    const constraintOf = (masks: TokenMasks) => new TokenConstraint(masks, tokenizer.eogIds);
    const ids = tokensOf(constraintOf(create()), vocabulary, text); // also lets the compiler of JavaScript warm up
    const logits = new Float64Array(vocabulary.size);
    let [compileMs, maskMs, firstMs, againMs] = [0, 0, 0, 0];
    for (let pass = 0; pass < PASSES; pass++) {
      const [masks, compiled] = timed(create);
      compileMs += compiled / PASSES;
      maskMs += timed(() => masks.maskOf(masks.automaton.start))[1] / PASSES;
      firstMs += follow(constraintOf(masks), ids, logits) / PASSES;
      againMs += follow(constraintOf(masks), ids, logits) / PASSES;
    }
    const [first, again] = [firstMs, againMs].map((ms) => {
      const share = decodeMs === null ? '' : ` | ${((100 * ms) / ids.length / decodeMs).toFixed(2)} %`;
      return ((1000 * ms) / ids.length).toFixed(0) + share;
    });
    console.log(`| ${name} | ${ids.length} | ${compileMs.toFixed(1)} | ${maskMs.toFixed(2)} | ${first} | ${again} |`);
  }
}

/** Milliseconds that the model takes for a token, two threads, by the default samplers. */
async function decodeTime(path: string): Promise<number> {
  await using model = await Llama.load(path, { threads: 2, contextLength: 128 });
  const options = { maxTokens: 48, ignoreEos: true, seed: 1 };
  await model.generate('Once upon a time', options).result; // warm-up
  return (await model.generate('Once upon a time', options).result).timings.predicted_per_token_ms;
}

/** The document as tokens of the vocabulary, each the longest that the mask allows. */
function tokensOf(constraint: TokenConstraint, vocabulary: GrammarVocabulary, text: string): number[] {
  const bytes = new TextEncoder().encode(text);
  const logits = new Float64Array(vocabulary.size);
  const ids: number[] = [];
  for (let at = 0; at < bytes.length; at += vocabulary.bytesOf[ids.at(-1)!]!.length) {
    logits.fill(0);
    constraint.mask(logits);
    ids.push(longestToken(vocabulary, bytes, at, logits));
    constraint.accept(ids.at(-1)!);
  }
  return ids;
}

/** Milliseconds for all masks and steps of a document. */
function follow(constraint: TokenConstraint, ids: readonly number[], logits: Float64Array): number {
  let waited = 0;
  const [, ms] = timed(() => {
    for (const id of ids) {
      const start = performance.now();
      logits.fill(0); // a row of logits comes from the model; making this one is not part of the cost
      waited += performance.now() - start;
      constraint.mask(logits);
      constraint.accept(id);
    }
  });
  return Math.max(0, ms - waited);
}

function longestToken({ all }: GrammarVocabulary, bytes: Uint8Array, at: number, logits: Float64Array): number {
  let found = -1;
  for (let node = 0, depth = 0, end = all.nodeCount; node < end && at + depth < bytes.length; ) {
    if (all.bytes[node] !== bytes[at + depth]) {
      node = all.ends[node]!;
      continue;
    }
    for (let i = all.firstId[node]!; i < all.firstId[node + 1]!; i++)
      if (logits[all.ids[i]!] === 0) found = all.ids[i]!;
    end = all.ends[node]!;
    node++;
    depth++;
  }
  if (found < 0) throw new Error(`the document does not fit its grammar at byte ${at}`);
  return found;
}

/** Time of this thread's own computing, so that others on the machine do not count. */
function timed<T>(run: () => T): [value: T, milliseconds: number] {
  const start = process.threadCpuUsage();
  const value = run();
  const { user, system } = process.threadCpuUsage(start);
  return [value, (user + system) / 1000];
}
