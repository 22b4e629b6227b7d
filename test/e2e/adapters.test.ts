/** Adapters on the command line: used, merged with a proof, turned into the other kind, and refused with words. */
import { match, notStrictEqual, ok, strictEqual } from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { openAdapterAt, openCheckpointAt } from '../../src/platform/node/files.ts';
import { madeAdapter, writeAdapter } from '../support/adapters.ts';
import { goldenPath } from '../support/golden.ts';
import { tinyFolder } from '../support/server.ts';
import { cria } from './cria.ts';

const folder = mkdtempSync(join(tmpdir(), 'cria-adapters-'));
after(() => rmSync(folder, { recursive: true }));
const { config } = openCheckpointAt(tinyFolder);
const at = (name: string) => join(folder, name);
const peft = writeAdapter(at('pirate'), madeAdapter(config, { seed: 1 }), config);
const settings = join(peft, 'adapter_config.json');
writeFileSync(
  settings,
  JSON.stringify({ ...JSON.parse(readFileSync(settings, 'utf8')), base_model_name_or_path: '/a/b' }),
);
const dora = writeAdapter(at('strict'), madeAdapter(config, { seed: 2, magnitudes: true }), config);

const story = ['run', '-m', tinyFolder, '-p', 'Once', '-n', '12', '--temperature', '0', '--no-echo'];

test('run: --adapter changes the text, a scale of 0 does not, and both kinds of files do the same', async () => {
  const plain = await cria(story);
  const adapted = await cria([...story, '--adapter', peft]);
  strictEqual(adapted.code, 0, adapted.stderr);
  notStrictEqual(adapted.stdout, plain.stdout);
  strictEqual((await cria([...story, '--adapter', `${peft}:0`])).stdout, plain.stdout);
  const converted = await cria(['convert', peft, at('pirate.gguf'), '--base', tinyFolder]);
  match(converted.stdout, /pirate\.gguf: an adapter of 15 matrices/);
  // Where it was trained is no name for its base.
  const { metadata } = openAdapterAt(at('pirate.gguf'), config);
  strictEqual(metadata.get('general.base_model.0.name'), openCheckpointAt(tinyFolder).name);
  strictEqual((await cria([...story, '--adapter', `arr=${at('pirate.gguf')}`])).stdout, adapted.stdout);
  for (const [output, file] of [
    ['half.gguf', 'half.gguf'],
    ['half', 'half/adapter_model.safetensors'],
  ] as const) {
    await cria(['convert', peft, at(output), '--base', tinyFolder, '--dtype', 'f16']);
    const ratio = statSync(at(file)).size / statSync(join(peft, 'adapter_model.safetensors')).size;
    ok(ratio > 0.4 && ratio < 0.75, `${output}: ${ratio} of the bytes`);
    strictEqual((await cria([...story, '--adapter', at(output)])).code, 0);
  }
});

test('merge: the written model says what the adapter says, and the proof tells how near', async () => {
  for (const adapter of [peft, dora]) {
    const output = at(`merged-${adapter === peft ? 'lora' : 'dora'}.gguf`);
    const merged = await cria(['merge', tinyFolder, '--adapter', adapter, '-o', output, '--json']);
    strictEqual(merged.code, 0, merged.stderr);
    const { proof } = JSON.parse(merged.stdout);
    ok(proof.keptShare > 0.9999 && proof.adapterRms > 100 * proof.rms, merged.stdout);
    strictEqual(proof.sameTop, proof.tokens);
    const [used, written] = [await cria([...story, '--adapter', adapter]), await cria(story.with(2, output))];
    strictEqual(written.stdout, used.stdout);
  }
  const few = await cria(['merge', tinyFolder, '--adapter', `${peft}:0.02`, '-o', at('few.gguf'), '--dtype', 'q4_0']);
  match(few.stdout, /rounding took much of the correction away: write 16 bits/);
});

test('what does not fit is refused with a word of what to do', async () => {
  const fails = async (words: readonly string[], code = 1) => {
    const result = await cria(words);
    strictEqual(result.code, code, result.stderr);
    strictEqual(result.stdout, '');
    return result.stderr;
  };
  const other = goldenPath('training/lora-qv-r4/adapter_final');
  match(
    await fails(['run', '-m', goldenPath('forward/gqa'), '--ids', '1,2', '--adapter', other]),
    /does not fit the model .*it was made for.*q_proj: A is \[4, 32\], expected \[4, 48\]/s,
  );
  match(
    await fails([...story, '--adapter', at('nothing')]),
    /nothing does not exist, expected PEFT's folder or a GGUF adapter/,
  );
  match(await fails([...story, '--adapter', tinyFolder]), /a whole model. Give it as the model instead/);
  match(await fails(['convert', dora, at('d.gguf'), '--base', tinyFolder]), /has magnitudes \(DoRA\).*cria merge/);
  match(await fails(['convert', peft, at('p.gguf')], 2), /is an adapter: expected --base MODEL/);
  match(await fails(['merge', tinyFolder, '-o', at('m.gguf')], 2), /--adapter .* is missing/);
  match(
    await fails(['bench', tinyFolder, '--adapter', peft, '--roofline'], 2),
    /--roofline counts the model's own weights/,
  );
});

test('a model that is saved with adapters on has them merged into it', async () => {
  const { Llama } = await import('../../src/platform/node/index.ts');
  const model = await Llama.load(tinyFolder, { threads: 1, adapters: [peft] });
  const ids = [1, 5, 9, 20];
  const adapted = await model.logits(ids);
  await model.save(at('saved.gguf'));
  await model.close();
  const saved = await Llama.load(at('saved.gguf'), { threads: 1 });
  const again = await saved.logits(ids);
  await saved.close();
  const largest = Math.max(...adapted.map(Math.abs));
  ok(adapted.every((x, i) => Math.abs(x - again[i]!) <= 1e-4 * largest));
  strictEqual(openAdapterAt(peft, config).layers.size, 15);
});

test('the bundled model talks through an adapter of its own, and writes texts without it', async () => {
  const talk = await cria(['chat', '--temperature', '0', '-n', '40'], { input: 'What can you do?\n' });
  match(talk.stdout, /^I can tell you a story/, talk.stderr);
  const text = ['run', 'Once upon a time', '--temperature', '0', '-n', '12'];
  const name = (await cria(['list', '--json'])).stdout;
  match(name, /"name": ?"stories-11m"/);
  strictEqual((await cria(text)).stdout, (await cria([...text.slice(0, 1), '-m', 'bundled', ...text.slice(1)])).stdout);
});
