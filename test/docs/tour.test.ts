/** docs/tour: every lesson runs as a reader runs it, is short, and says what it promises. */
import { match, ok, strictEqual } from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { sceneKeys } from '../../src/explorer/walk.ts';

const folder = fileURLToPath(new URL('../../docs/tour/', import.meta.url));
const lessons = readdirSync(folder).filter((name) => name.endsWith('.ts'));

/** What a lesson must have printed for its claim to hold. */
const claims: Readonly<Record<string, (stdout: string) => void>> = {
  '01-tokens.ts': (out) => match(out, /^true$/m),
  '02-norm.ts': (out) => match(out, /the same row: true/),
  '03-rope.ts': (out) => {
    const scores = [...out.matchAll(/^(?:shift \d+|model): +(-?\d\.\d{4})$/gm)].map(([, score]) => score);
    ok(scores.length === 5 && scores.every((score) => score === scores[0]), scores.join(' '));
  },
  '04-attention.ts': (out) => strictEqual(/by hand: (.*)/.exec(out)![1], /model: +(.*)/.exec(out)![1]),
  '05-swiglu.ts': (out) => ok(Number(/against model: (\S+)/.exec(out)![1]) < 1e-4),
  '06-stream.ts': (out) => {
    const guesses = [...out.matchAll(/if it ended here: (.*)$/gm)].at(-1)![1];
    strictEqual(guesses, /as it is: (.*)/.exec(out)![1]);
  },
  '07-choice.ts': (out) => {
    const texts = [...out.matchAll(/^seed \d: (.*)$/gm)].map(([, text]) => text);
    ok(texts[0] === texts[1] && texts[0] !== texts[2]);
  },
  '08-cache.ts': (out) => {
    match(out, /, 32 of them from the cache/);
    match(out, /5 of keys: KL 0\.000/);
  },
  '09-training.ts': (out) => match(out, /after: .*blue tea on Tuesdays/s),
  '10-alignment.ts': (out) => {
    const margins = [...out.matchAll(/margin: (-?[\d.]+)/g)].map(([, margin]) => Number(margin));
    ok(margins[0] === 0 && margins[1]! > 5, margins.join(' '));
    match(out, /and it says: .*grass/);
  },
};

test('ten lessons, numbered', () => {
  strictEqual(lessons.length, 10);
  for (const [i, name] of lessons.entries()) ok(name.startsWith(String(i + 1).padStart(2, '0')), name);
});

for (const name of lessons) {
  test(name, () => {
    const text = readFileSync(folder + name, 'utf8');
    ok(text.split('\n').length <= 60, 'a lesson fits on a screen');
    for (const [, scene] of text.matchAll(/\/explore\/#scene=(\w+)/g))
      ok((sceneKeys as readonly string[]).includes(scene!), scene);
    match(text, /\/explore\/#scene=/);
    ok(!/from '\.\.?\//.test(text), 'only the public library');
    const { status, stdout, stderr } = spawnSync(process.execPath, [folder + name], { encoding: 'utf8' });
    strictEqual(status, 0, stderr);
    claims[name]!(stdout);
  });
}
