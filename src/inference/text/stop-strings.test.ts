import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { StopStrings } from './stop-strings.ts';

test('a stop string across three pieces: nothing of it is let through', () => {
  const stops = new StopStrings(['</end>']);
  deepStrictEqual(stops.push('text </'), { text: 'text ', stop: null, rest: '' });
  deepStrictEqual(stops.push('en'), { text: '', stop: null, rest: '' });
  deepStrictEqual(stops.push('d> more'), { text: '', stop: '</end>', rest: ' more' });
});

test('text that turns out not to be a stop string comes late, and whole', () => {
  const stops = new StopStrings(['abc', 'bd']);
  deepStrictEqual(stops.push('xab'), { text: 'x', stop: null, rest: '' });
  deepStrictEqual(stops.push('x'), { text: 'abx', stop: null, rest: '' });
  deepStrictEqual(stops.push('ab'), { text: '', stop: null, rest: '' });
  deepStrictEqual(stops.push('d'), { text: 'a', stop: 'bd', rest: '' });
  stops.push('ab');
  strictEqual(stops.flush(), 'ab');
});

test('the earliest wins, the longest among those', () => {
  deepStrictEqual(new StopStrings(['b', 'bc', 'a']).push('xbca'), { text: 'x', stop: 'bc', rest: 'a' });
});

test('any text cut anywhere: the same text before the same stop, and what is held may still be one', () => {
  const text = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 30 });
  const stop = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(fc.array(text, { maxLength: 8 }), fc.array(stop, { minLength: 1, maxLength: 3 }), (pieces, stops) => {
      const matcher = new StopStrings(stops);
      let out = '';
      let seen = '';
      for (const piece of pieces) {
        const { text, stop } = matcher.push(piece);
        out += text;
        seen += piece;
        const first = Math.min(...stops.map((s) => seen.indexOf(s)).filter((at) => at >= 0));
        strictEqual(stop !== null, first !== Number.POSITIVE_INFINITY);
        if (stop !== null) {
          strictEqual(out, seen.slice(0, first));
          return;
        }
        const held = seen.slice(out.length);
        ok(seen.startsWith(out) && (held === '' || stops.some((s) => s.startsWith(held))), `held ${held} of ${stops}`);
      }
      strictEqual(out + matcher.flush(), seen);
    }),
  );
});
