import { deepStrictEqual } from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { sceneKeys } from '../../explorer/walk.ts';
import { formatState, initial, parseState, type State, themes } from './state.ts';

const whole = fc.integer({ min: -1, max: 4096 });
const share = fc.double({ min: 0, max: 4, noNaN: true }).map((value) => Math.abs(value));
const states: fc.Arbitrary<State> = fc.record(
  {
    text: fc.string({ unit: 'grapheme', maxLength: 40 }).filter((text) => text.isWellFormed()),
    appended: fc.array(fc.nat(4000), { maxLength: 5 }),
    scene: fc.constantFrom(...sceneKeys),
    ...{ block: whole, head: whole, query: whole, key: whole, column: whole, pair: whole, shift: whole },
    factor: share,
    choice: fc.string({ maxLength: 10 }).filter((text) => text.isWellFormed()),
    ...{ groups: whole, tokens: whole, batch: whole },
    off: fc.array(fc.constantFrom('blocks.0.attention.output', 'blocks.3.feedForward.output'), { maxLength: 2 }),
    ...{ temperature: share, topK: whole, topP: share, minP: share, seed: whole },
    language: fc.constantFrom('', 'en', 'ko'),
    theme: fc.constantFrom(...themes),
  },
  { noNullPrototype: true },
);

test('the address is the state: format, then parse, gives it back', () => {
  fc.assert(fc.property(states, (state) => deepStrictEqual(parseState(`#${formatState(state)}`), state)));
  deepStrictEqual(formatState(initial), '');
});

test('an address that anybody wrote gives a state, whatever it holds', () => {
  for (const hash of [
    'scene=nowhere',
    'block=abc&topP=NaN',
    'off=blocks.x',
    'appended=1,x',
    '%%%',
    'language=xx&theme=0',
  ]) {
    deepStrictEqual(parseState(hash), initial);
  }
});
