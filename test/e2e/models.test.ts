/** The verbs on a small model that `init` makes. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { before, describe, test } from 'node:test';
import { cria, spawnCria, temporaryFolder } from './cria.ts';

interface RunReport {
  readonly model: string;
  readonly prompt: string;
  readonly text: string;
  readonly tokens: number[];
  readonly finishReason: string;
  readonly timings: Record<string, number>;
}

const at = temporaryFolder();
const model = at('tiny.gguf');

async function ok(words: string[], options: Parameters<typeof cria>[1] = {}): Promise<string> {
  const { code, stdout, stderr } = await cria(words, options);
  assert.equal(code, 0, stderr);
  return stdout;
}

async function greedy(path: string, prompt = 'Once upon', env = {}): Promise<RunReport> {
  const words = ['run', '-m', path, '-p', prompt, '-n', '8', '--temperature', '0', '--ignore-eos', '--json'];
  return JSON.parse(await ok(words, { env })) as RunReport;
}

describe('verbs', () => {
  before(async () => {
    const report = JSON.parse(
      await ok(['init', 'stories260K', '-o', model, '--dtype', 'f16', '--seed', '7', '--json']),
    ) as {
      parameters: number;
    };
    assert.equal(report.parameters, 260_032);
  });

  test('init: the same seed gives the same bytes, another seed others', async () => {
    await ok(['init', 'stories-260k', '-o', at('same.gguf'), '--dtype', 'f16', '--seed', '7']);
    await ok(['init', 'stories-260k', '-o', at('other.gguf'), '--dtype', 'f16', '--seed', '8']);
    const [first, same, other] = [model, at('same.gguf'), at('other.gguf')].map((path) => readFileSync(path));
    assert.ok(first!.equals(same!));
    assert.ok(!first!.equals(other!));
  });

  test('run: with --draft ngram the text is the same, and the timings say what was guessed', async () => {
    const words = ['run', 'a b c a b c a b c a', '-n', '60', '--seed', '3', '--json'];
    const plain = JSON.parse(await ok(words)) as RunReport;
    const guessed = JSON.parse(await ok([...words, '--draft', 'ngram'])) as RunReport;
    assert.equal(guessed.text, plain.text);
    assert.deepEqual(guessed.tokens, plain.tokens);
    assert.ok(guessed.timings.draft_n! > 0 && guessed.timings.draft_n_accepted! <= guessed.timings.draft_n!);
    const drafted = JSON.parse(await ok([...words, '--draft', model, '--draft', 'ngram', '-m', model])) as RunReport;
    assert.equal(drafted.text, (JSON.parse(await ok([...words, '-m', model])) as RunReport).text);
    const wrong = await cria([...words, '--draft', model]);
    assert.equal(wrong.code, 1);
    assert.match(wrong.stderr, /has \d+ of the \d+ pieces/);
    const twice = await cria([...words, '--draft', model, '--draft', 'x.gguf']);
    assert.equal(twice.code, 2);
    const { code, stderr } = await cria([...words, '--draft-max', '4']);
    assert.equal(code, 2);
    assert.match(stderr, /--draft-max: nothing is guessed without --draft/);
  });

  test('--session and --cache-dir: the next start has read already what this one read; a file that is no session stays as it is', async () => {
    const prompt = 'The fox went into the wood, and there he met a bear. '.repeat(8);
    for (const [option, place] of [
      ['--session', at('story.session')],
      ['--cache-dir', at('cache')],
    ]) {
      const words = ['run', '-p', prompt, '-n', '4', '--seed', '1', '--json', option!, place!];
      const [first, second] = [await ok(words), await ok(words)].map((text) => JSON.parse(text) as RunReport);
      assert.deepEqual([first!.timings.cache_n, second!.text], [0, first!.text], option);
      assert.ok(second!.timings.cache_n! >= 96, option);
    }
    writeFileSync(at('notes.txt'), 'not a session');
    const { code, stderr } = await cria(['run', 'x', '-n', '1', '--session', at('notes.txt')]);
    assert.equal(code, 1);
    assert.match(stderr, /expected a saved state of Cria, found another file/);
    assert.equal(readFileSync(at('notes.txt'), 'utf8'), 'not a session');
    const chat = ['chat', '--template', 'plain', '-n', '3', '--session', at('chat.session')];
    await ok(chat, { input: 'Hello.\n' });
    const again = await cria(chat, { input: 'And now?\n' });
    assert.match(again.stderr, /the session goes on after 1 turn/);
  });

  test('init: a config.json, every type, and a message for what is neither preset nor file', async () => {
    const config = {
      model_type: 'llama',
      hidden_size: 256,
      intermediate_size: 512,
      num_hidden_layers: 1,
      num_attention_heads: 4,
      vocab_size: 300,
    };
    writeFileSync(at('config.json'), JSON.stringify(config));
    for (const dtype of ['q4_k_m', 'bf16']) {
      await ok(['init', at('config.json'), '-o', at(`${dtype}.gguf`), '--dtype', dtype]);
      const { tokens } = await greedy(at(`${dtype}.gguf`));
      assert.equal(tokens.length, 8, dtype);
    }
    const { code, stderr } = await cria(['init', 'stories-16m', '-o', at('x.gguf')]);
    assert.equal(code, 1);
    assert.match(stderr, /did you mean stories-/);
    assert.equal(existsSync(at('x.gguf')), false);
  });

  test("run --json: llama-server's timings, and the same tokens every time and on every thread count", async () => {
    const report = await greedy(model);
    assert.equal(report.model, model);
    assert.equal(report.prompt, 'Once upon');
    assert.equal(report.tokens.length, 8);
    assert.equal(report.finishReason, 'length');
    assert.equal(report.timings.predicted_n, 8);
    for (const name of ['prompt_n', 'prompt_ms', 'prompt_per_second', 'predicted_ms', 'predicted_per_second']) {
      assert.ok(Number(report.timings[name]) > 0, name);
    }
    const threaded = await greedy(model, 'Once upon', { CRIA_THREADS: '2' });
    assert.deepEqual(threaded.tokens, report.tokens);
  });

  test('run: prompt and text on stdout, nothing on stderr; the prompt as a word, a file and standard input', async () => {
    const { text } = await greedy(model, 'Hello');
    const plain = ['-n', '8', '--temperature', '0', '--ignore-eos'];
    writeFileSync(at('prompt.txt'), 'Hello');
    const outcomes = await Promise.all([
      cria(['run', '-m', model, 'Hello', ...plain]),
      cria(['run', model, '-f', at('prompt.txt'), ...plain]),
      cria(['run', '-m', model, ...plain], { input: 'Hello' }),
    ]);
    for (const { code, stdout, stderr } of outcomes) {
      assert.equal(code, 0);
      assert.equal(stderr, '');
      assert.equal(stdout.trimEnd(), `Hello${text}`.trimEnd());
    }
    const bare = await ok(['run', '-m', model, 'Hello', '--no-echo', ...plain]);
    assert.equal(bare.trimEnd(), text.trimEnd());
  });

  test('run: options that would be ignored are refused', async () => {
    const { code, stderr } = await cria(['run', '-m', model, 'x', '--logprobs', '2']);
    assert.equal(code, 2);
    assert.match(stderr, /--json/);
    const report = JSON.parse(
      await ok(['run', '-m', model, 'x', '-n', '2', '--ignore-eos', '--logprobs', '2', '--json']),
    ) as {
      logprobs: { logprob: number; top: unknown[] }[];
    };
    assert.equal(report.logprobs[0]!.top.length, 2);
    const none = JSON.parse(await ok(['run', '-m', model, 'x', '-n', '0', '--logprobs', '2', '--json'])) as object;
    assert.deepEqual((none as { logprobs: unknown }).logprobs, []);
  });

  test('run: token ids instead of a text; a model without a tokenizer answers in ids, and says so to a text', async () => {
    const config = {
      model_type: 'llama',
      hidden_size: 32,
      intermediate_size: 48,
      num_hidden_layers: 1,
      vocab_size: 100,
    };
    writeFileSync(at('small.json'), JSON.stringify({ ...config, num_attention_heads: 2 }));
    await ok(['init', at('small.json'), '-o', at('bare.gguf')]);
    const words = ['run', '-m', at('bare.gguf'), '-n', '3', '--temperature', '0'];
    const { tokens } = JSON.parse(await ok([...words, '--ids', '1,2,3', '--json'])) as RunReport;
    assert.equal((await ok([...words, '--ids', '1,2,3'])).trim(), tokens.join(' '));
    const { code, stdout, stderr } = await cria([...words, 'text']);
    assert.equal(code, 1);
    assert.equal(stdout, '');
    assert.match(stderr, /no tokenizer/);
  });

  test('Ctrl-C ends a generation cleanly: exit code 130', async () => {
    const { code, stdout, stderr } = await spawnCria(['run', '-m', model, 'Once', '--ignore-eos'], {
      signal: 'SIGINT',
    });
    assert.equal(code, 130);
    assert.equal(stderr, '');
    assert.match(stdout, /^Once/);
  });

  test('a prompt longer than the context: an error that says both lengths', async () => {
    const { code, stderr } = await cria(['run', '-m', model, '-c', '16', 'a'.repeat(40)]);
    assert.equal(code, 1);
    assert.match(stderr, /\b4\d tokens\b.*\b16\b/);
  });

  test('convert and quantize keep the text; the tables say what became of each tensor', async () => {
    const { tokens } = await greedy(model);
    await ok(['convert', model, at('folder'), '--dtype', 'f32']);
    assert.ok(readdirSync(at('folder')).includes('model.safetensors'));
    assert.deepEqual((await greedy(at('folder'))).tokens, tokens);
    await ok(['convert', at('folder'), at('back.gguf'), '--dtype', 'f16']);
    assert.deepEqual((await greedy(at('back.gguf'))).tokens, tokens);

    const report = JSON.parse(await ok(['quantize', model, at('small.gguf'), 'q8_0', '--json', '--name', 'tiny'])) as {
      tensors: { name: string; to: string; reason: string | null; relativeError: number | null }[];
      bytes: number;
    };
    assert.match(await ok(['inspect', at('small.gguf'), '--json']), /"general\.name":"tiny"/);
    const folder = await cria(['convert', model, at('named'), '--dtype', 'f32', '--name', 'tiny']);
    assert.match(folder.stderr, /--name is written into GGUF files alone/);
    const query = report.tensors.find(({ name }) => name === 'blocks.0.wq_QD')!;
    assert.equal(query.to, 'Q8_0');
    assert.ok(query.relativeError! > 0 && query.relativeError! < 0.01, String(query.relativeError));
    const down = report.tensors.find(({ name }) => name === 'blocks.0.wDown_DF')!;
    assert.match(down.reason!, /rows of 172 do not fill/);
    assert.ok(statSync(at('small.gguf')).size < statSync(model).size);
  });

  test('imatrix and quantize --imatrix: both forms steer alike, and a matrix of another model is refused', async () => {
    const text = at('calibration.txt');
    writeFileSync(text, 'Once upon a time there was a little llama. '.repeat(40));
    const measure = ['imatrix', model, text, '-c', '64', '--chunks', '2', '--json', '-o'];
    const report = JSON.parse(await ok([...measure, at('i.gguf')])) as { matrices: number; tokens: number };
    assert.deepEqual([report.matrices, report.tokens], [7 * 5, 128]);
    await ok([...measure, at('i.dat')]);
    const quantize = async (...words: string[]) => {
      const { code, stdout, stderr } = await cria(['quantize', model, at('iq4.gguf'), 'iq4_nl', '--json', ...words]);
      assert.equal(code, 0, stderr);
      return {
        ...(JSON.parse(stdout) as { tensors: { to: string; weighed: boolean; relativeError: number }[] }),
        stderr,
      };
    };
    const plain = await quantize();
    assert.ok(plain.tensors.every(({ weighed }) => !weighed));
    const steered = await quantize('--imatrix', at('i.gguf'));
    // rows of 172 fill no blocks of 32: the down projections are f16
    assert.equal(steered.tensors.filter(({ weighed }) => weighed).length, 6 * 5);
    assert.match(steered.stderr, /has nothing on embed_VD/);
    const again = await quantize('--imatrix', at('i.dat'));
    for (const [i, { relativeError }] of steered.tensors.entries()) {
      assert.ok(Math.abs(relativeError - again.tensors[i]!.relativeError) <= 1e-4, `tensor ${i}`);
    }
    await greedy(at('iq4.gguf'));
    await ok(['init', 'stories-15m', '-o', at('other-shape.gguf'), '--dtype', 'f16']);
    const other = await cria(['quantize', at('other-shape.gguf'), at('no.gguf'), 'iq4_nl', '--imatrix', at('i.gguf')]);
    assert.equal(other.code, 1);
    assert.match(other.stderr, /has 64 numbers, expected 288, one per column\. It belongs to another model/);
    const short = await cria(['imatrix', model, text, '-c', '4096', '-o', at('short.gguf')]);
    assert.equal(short.code, 1);
    assert.match(short.stderr, /expected at least one chunk of 4096/);
    const long = await cria(['imatrix', at('other-shape.gguf'), text, '-c', '257', '-o', at('long.gguf')]);
    assert.equal(long.code, 2);
    assert.match(long.stderr, /--context is 257, expected at most the model's own, 256/);
    const fits = await ok(['imatrix', at('other-shape.gguf'), text, '--chunks', '1', '--json', '-o', at('fits.gguf')]);
    assert.equal(JSON.parse(fits).context, 256);
  });

  test('a folder with files in it is not overwritten, and a quantized folder is refused', async () => {
    writeFileSync(at('prompt.txt'), 'Hello');
    const { code, stderr } = await cria(['convert', model, at('.'), '--dtype', 'f32']);
    assert.equal(code, 1);
    assert.match(stderr, /expected a new or an empty folder/);
    const quantized = await cria(['convert', model, at('q'), '--dtype', 'q8_0']);
    assert.equal(quantized.code, 1);
    assert.deepEqual(
      readdirSync(at('.')).filter((name) => name.includes('.tmp')),
      [],
    );
  });

  test('tokenize: ids and pieces from a text, from standard input, and back', async () => {
    const words = JSON.parse(await ok(['tokenize', '-m', model, '--text', 'ab ü', '--json'])) as {
      ids: number[];
      pieces: string[];
    };
    assert.equal(words.ids.length, words.pieces.length);
    assert.deepEqual(JSON.parse(await ok(['tokenize', '-m', model, '--json'], { input: 'ab ü' })), words);
    const back = await ok(['tokenize', '-m', model, '--decode', '--text', words.ids.join(' ')]);
    assert.equal(back.trim(), 'ab ü');
  });

  test('inspect --json: metadata, config, tensors', async () => {
    const report = JSON.parse(await ok(['inspect', model, '--json'])) as {
      metadata: Record<string, unknown>;
      config: { width: number };
      tensors: { name: string; dtype: string; shape: number[]; bytes: number }[];
    };
    assert.equal(report.metadata['general.architecture'], 'llama');
    assert.equal(report.config.width, 64);
    const query = report.tensors.find(({ name }) => name === 'blk.0.attn_q.weight')!;
    assert.deepEqual(
      { ...query, parameter: undefined },
      { name: 'blk.0.attn_q.weight', parameter: undefined, dtype: 'f16', shape: [64, 64], bytes: 8192 },
    );
  });

  test("bench: llama-bench's rows and fields in every form", async () => {
    const words = ['bench', '-m', model, '-p', '8,16', '-n', '4', '-pg', '8,4', '-d', '0,32', '-t', '1'];
    const rows = JSON.parse(await ok([...words, '-r', '2', '-o', 'json'])) as Record<string, unknown>[];
    const names = ['pp8', 'pp16', 'tg4', 'pp8+tg4'];
    assert.deepEqual(
      rows.map(({ test }) => test),
      [...names, ...names.map((name) => `${name} @ d32`)],
    );
    for (const row of rows) {
      for (const field of [
        'model_filename',
        'model_type',
        'model_size',
        'model_n_params',
        'n_threads',
        'n_prompt',
        'n_gen',
        'n_depth',
        'avg_ns',
        'stddev_ns',
        'avg_ts',
        'stddev_ts',
      ]) {
        assert.ok(field in row, field);
      }
      assert.equal((row.samples_ts as number[]).length, 2);
      assert.ok(Number(row.avg_ts) > 0);
    }
    assert.match(await ok([...words, '-r', '1']), /^\| model \|[\s\S]*\| pp8 @ d32 \|/);
    assert.match(await ok([...words, '-r', '1', '-o', 'csv']), /^build_commit,[\s\S]*"pp8 @ d32"/);
  });

  test('perplexity: a text of random weights is about as surprising as its vocabulary', async () => {
    const text = 'The quick brown fox jumps over the lazy dog. '.repeat(12);
    const report = JSON.parse(await ok(['perplexity', '-m', model, '-c', '64', '--json'], { input: text })) as {
      perplexity: number;
      tokens: number;
    };
    assert.ok(report.perplexity > 300 && report.perplexity < 900, String(report.perplexity));
    const short = await cria(['perplexity', '-m', model, '-c', '512'], { input: 'too short' });
    assert.equal(short.code, 1);
    assert.match(short.stderr, /at least two windows/);
  });

  test('perplexity --rolling: words and bytes of the whole text, with nothing left out', async () => {
    const text = 'The quick brown fox';
    const words = ['perplexity', '-m', model, '-c', '16', '--rolling', '--json'];
    const report = JSON.parse(await ok(words, { input: text })) as Record<string, number>;
    const ids = (
      JSON.parse(await ok(['tokenize', '-m', model, '--bos', '--json', '--text', text])) as { ids: number[] }
    ).ids;
    assert.equal(report.tokens, ids.length);
    assert.ok(Math.abs(Math.exp(-report.logLikelihood! / 4) / report.wordPerplexity! - 1) < 1e-9);
    assert.ok(Math.abs(-report.logLikelihood! / 19 / Math.LN2 / report.bitsPerByte! - 1) < 1e-9);
    const wrong = await cria([...words, '--stride', '3'], { input: text });
    assert.equal(wrong.code, 2);
  });

  test('convert and quantize: a name of another kind, and the model itself, are refused before any work', async () => {
    const other = await cria(['convert', model, at('model.safetensors')]);
    assert.equal(other.code, 2);
    assert.match(other.stderr, /expected a name ending in \.gguf for a file, or another for a folder/);
    const before = readFileSync(model);
    const self = await cria(['quantize', model, model, 'q4_0']);
    assert.equal(self.code, 2);
    assert.match(self.stderr, /--output is the model itself/);
    assert.deepEqual(readFileSync(model), before);
  });

  test('tokenize: one word is the text, unless it names a model', async () => {
    const { ids } = JSON.parse(await ok(['tokenize', 'Once upon', '--json'])) as { ids: number[] };
    assert.ok(ids.length > 0);
    assert.equal(await ok(['tokenize', model, 'Hi']), await ok(['tokenize', '-m', model, '--text', 'Hi']));
  });

  test('eval: accuracies by every rule, the scores of every answer, and what is wrong with a file', async () => {
    const items = [
      { query: 'One and one is', choices: ['two', 'seven'], gold: 0 },
      { query: 'The sky is ', choices: ['green', 'blue', 'a very loud colour indeed'], gold: 1 },
    ];
    writeFileSync(at('items.jsonl'), items.map((item) => `${JSON.stringify(item)}\n`).join(''));
    const words = ['eval', '-m', model, at('items.jsonl')];
    const report = JSON.parse(await ok([...words, '--json', '--scores', at('scores.jsonl')])) as {
      items: number;
      results: Record<string, { accuracy: number; items: number }>;
    };
    assert.equal(report.items, 2);
    assert.deepEqual(Object.keys(report.results), ['acc', 'acc_norm', 'acc_bytes', 'acc_per_token', 'acc_uncond']);
    const scored = readFileSync(at('scores.jsonl'), 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    const best = scored.map(({ scores }: { scores: { logLikelihood: number }[] }) => {
      const values = scores.map(({ logLikelihood }) => logLikelihood);
      return values.indexOf(Math.max(...values));
    });
    const right = best.filter((choice, i) => choice === items[i]!.gold).length;
    assert.equal(report.results.acc!.accuracy, right / 2);
    assert.match(
      await ok([...words, '--limit', '1', '--unconditional', '']),
      /^acc [\s\S]*acc_per_token[^\n]*\n1 items$/m,
    );
    const small = await cria([...words, '-c', '8']);
    assert.equal(small.code, 1);
    assert.match(small.stderr, /expected at most 9 together/);
    assert.match(await ok([...words, '-c', '32', '--truncate']), /2 items, 1 without their beginning/);
    writeFileSync(at('wrong.jsonl'), '{"prompt": "x"}\n');
    const wrong = await cria(['eval', '-m', model, at('wrong.jsonl')]);
    assert.equal(wrong.code, 1);
    assert.match(wrong.stderr, /wrong\.jsonl @ line 1: found the fields prompt; expected query and choices/);
  });

  test('chat through a pipe: answers on stdout, notes on stderr, commands work', async () => {
    const input = 'Hello\n/regen\n/undo\n/nonsense\n"""\ntwo\nlines"""\n/save CHAT\n/exit\nnever said\n'.replace(
      'CHAT',
      at('chat.json'),
    );
    const words = ['chat', '-m', model, '--template', 'vicuna', '-n', '4', '--temperature', '0', '--ignore-eos'];
    const { code, stderr } = await cria(words, { input });
    assert.equal(code, 0, stderr);
    assert.match(stderr, /Taken back: Hello/);
    assert.match(stderr, /\/nonsense is not a command/);
    const { messages } = JSON.parse(readFileSync(at('chat.json'), 'utf8')) as {
      messages: { role: string; content: string }[];
    };
    assert.equal(messages[0]!.content, 'two\nlines');
    assert.equal(messages.length, 2);
    const none = await cria(['chat', '-m', model], { input: 'Hello\n' });
    assert.equal(none.code, 1);
    assert.match(none.stderr, /chat template/);
  });
});
