import { readFileSync } from 'node:fs';
import { UsageError } from '../../base/errors.ts';
import type { GenerationResult, Piece } from '../../inference/generation.ts';
import { type ConstraintSpec, compileConstraint } from '../../inference/grammar/compile-constraint.ts';
import { parseSchema } from '../../inference/grammar/schema/json-schema.ts';
import { generationOptions } from '../../inference/options.ts';
import { KeptSession, sessionOption } from '../chat/kept-session.ts';
import { defineCommand } from '../command.ts';
import { type Io, readAll, warnOfTwoBos, writeJson, writeLine, writeResult } from '../io.ts';
import { loadModel, pick } from '../load-model.ts';
import { looksLikeModel, resolveModel } from '../model-name.ts';
import { cacheDirOptions, checkDraft, draftOption, modelOptions } from '../model-options.ts';
import type { Options, OptionTable } from '../option-table.ts';
import { describeTimings } from '../terminal/timings.ts';

const options = {
  ...modelOptions,
  draft: draftOption,
  ...cacheDirOptions,
  session: sessionOption,
  prompt: { kind: 'text', short: 'p', otherwise: 'standard input', help: 'the beginning of the text' },
  file: { kind: 'text', short: 'f', value: 'PATH', help: 'read the prompt from a file' },
  ids: {
    kind: 'integers',
    min: 0,
    help: 'the prompt as token ids; a model without a tokenizer then answers in ids too',
  },
  grammar: {
    kind: 'text',
    value: 'FILE|TEXT',
    help: "the answer keeps to this grammar, in llama.cpp's notation (GBNF)",
  },
  jsonSchema: { kind: 'text', value: 'FILE|TEXT', help: 'the answer is JSON that is valid for this schema' },
  echo: { kind: 'flag', default: true, help: 'write the continuation only, without the prompt in front' },
  json: { kind: 'flag', help: 'one JSON object at the end instead of the text' },
  ...generationOptions,
  maxTokens: { ...generationOptions.maxTokens, short: 'n' },
} as const satisfies OptionTable;

export const command = defineCommand({
  options,
  positionals: ['model', 'prompt'],
  // `cria run "Once upon a time"` is a prompt for the bundled model, `cria run model.gguf` a model.
  placeWords: ([word, ...more], free) =>
    word !== undefined && more.length === 0 && free.includes('prompt') && !looksLikeModel(word) ? ['prompt'] : free,
  details:
    'Continues a text. One plain word is the prompt unless it names a model; with two, the first is the model.\n' +
    'The sampling options have the names, defaults and meanings of llama.cpp; temperature 0 always takes the likeliest token.',
  examples: [
    ['run "Once upon a time"', 'a story by the bundled model'],
    ['run -m model.gguf -p "Once" --temperature 0 -n 40', 'forty tokens, always the likeliest'],
    ['run model.gguf -f question.txt --json', 'text, token ids and timings for programs'],
    ['run model.gguf -p "A llama:" --no-echo --json-schema llama.schema.json', 'an answer that a program can read'],
  ],
  async run(options, io) {
    if (options.logprobs >= 0 && !options.json) {
      throw new UsageError(['--logprobs is part of the JSON object only; add --json']);
    }
    if (options.promptLogprobs && options.logprobs < 0) {
      throw new UsageError(['--prompt-logprobs is of what --logprobs reports; add --logprobs N']);
    }
    if (options.postSamplingProbs && options.logprobs < 0) {
      throw new UsageError(['--post-sampling-probs changes what --logprobs reports; add --logprobs N']);
    }
    checkDraft(options);
    const prompt = await readPrompt(options, io);
    const constraint = readConstraint(options, io);
    const model = await loadModel(options, io);
    try {
      if (options.parseSpecial && typeof prompt === 'string' && model.hasTokenizer) {
        warnOfTwoBos(await model.encodePrompt(prompt, { parseSpecial: true }), model.tokenizer.bosId, io);
      }
      const kept = await KeptSession.open(model, options.session, io);
      const stream = model.generate(prompt, {
        ...pick(generationOptions, options),
        ...(constraint && { constraint }),
        signal: io.signal,
      });
      if (options.json) {
        const pieces: Piece[] = [];
        for await (const piece of stream) pieces.push(piece);
        writeJson(io.stdout, report(options, prompt, await stream.result, pieces));
      } else {
        const textOf = model.hasTokenizer ? ({ text }: Piece) => text : ({ id }: Piece) => ` ${id}`;
        await writeText(stream, options.echo && typeof prompt === 'string' ? prompt : '', textOf, io);
        const result = await stream.result;
        sayFull(result, model.contextLength, options.maxTokens, io);
        const { timings } = result;
        if (io.stderr.isTTY) writeLine(io.stderr, `\n${describeTimings(timings)}`);
      }
      const { promptIds, ids } = await stream.result;
      await kept.save([...promptIds, ...ids], null);
    } finally {
      await model.close();
    }
  },
});

/** Compiled once here, so that a mistake is told before a model is loaded. */
function readConstraint({ grammar, jsonSchema }: Options<typeof options>, io: Io): ConstraintSpec | null {
  if (grammar !== undefined && jsonSchema !== undefined) {
    throw new UsageError(['--grammar and --json-schema both say what the answer must be']);
  }
  const given = grammar ?? jsonSchema;
  if (given === undefined) return null;
  // A grammar says ::= somewhere and a schema is JSON; what is neither is a file's name.
  const isText = grammar === undefined ? /^\s*(?:[{["]|true\b|false\b)/.test(given) : given.includes('::=');
  const text = isText ? given : readFileSync(given, 'utf8');
  const spec: ConstraintSpec =
    grammar === undefined ? { kind: 'json_schema', schema: parseSchema(text) } : { kind: 'grammar', grammar: text };
  const { notes } = compileConstraint(spec, () => false, 'own');
  for (const note of notes) writeLine(io.stderr, `cria run: not held: ${note}`);
  return spec;
}

async function readPrompt({ prompt, file, ids }: Options<typeof options>, io: Io): Promise<string | readonly number[]> {
  const given = { '--prompt': prompt, '--file': file, '--ids': ids };
  const names = Object.entries(given).flatMap(([name, value]) => (value === undefined ? [] : [name]));
  if (names.length > 1) throw new UsageError([`${names.join(' and ')} both give a prompt`]);
  if (ids !== undefined) return ids;
  if (prompt !== undefined) return prompt;
  if (file !== undefined) return readFileSync(file, 'utf8');
  if (io.stdin.isTTY) {
    throw new UsageError(['a prompt is missing: give it as a word, with --prompt, --file, or on standard input']);
  }
  return readAll(io);
}

/** The prompt comes with the first piece, so that nothing is on stdout when there is no answer. */
async function writeText(pieces: AsyncIterable<Piece>, prompt: string, textOf: (piece: Piece) => string, io: Io) {
  let unwritten = prompt;
  let last = '';
  for await (const piece of pieces) {
    const text = unwritten + textOf(piece);
    unwritten = '';
    if (text === '') continue;
    writeResult(io.stdout, text);
    last = text;
  }
  if (unwritten !== '') writeResult(io.stdout, (last = unwritten));
  if (!last.endsWith('\n')) writeLine(io.stdout);
}

/** What the end of the context did to the text. */
function sayFull(result: GenerationResult, contextLength: number, maxTokens: number, io: Io): void {
  const { finishReason, forgotten, ids } = result;
  if (forgotten !== undefined) {
    writeLine(
      io.stderr,
      `cria run: the context of ${contextLength} tokens was full: ${forgotten} were forgotten on the way`,
    );
  } else if (finishReason === 'length' && ids.length !== maxTokens) {
    writeLine(
      io.stderr,
      `cria run: the context of ${contextLength} tokens is full. --context-shift forgets what is oldest and goes on; --context makes it longer.`,
    );
  }
}

function report(
  given: Options<typeof options>,
  prompt: string | readonly number[],
  result: GenerationResult,
  pieces: readonly Piece[],
) {
  const { text, ids, promptIds, promptLogprobs, finishReason, stop, seed, forgotten, timings } = result;
  const logprobs = pieces.flatMap(({ id, text, logprobs }) => (logprobs ? [{ id, text, ...logprobs }] : []));
  return {
    model: resolveModel(given.model),
    prompt,
    text,
    tokens: ids,
    finishReason,
    ...(stop !== null && { stop }),
    seed,
    ...(forgotten !== undefined && { forgotten }),
    ...(promptLogprobs && { promptLogprobs: promptLogprobs.map((given, i) => ({ id: promptIds[i + 1], ...given })) }),
    ...(given.logprobs >= 0 && { logprobs }),
    timings,
  };
}
