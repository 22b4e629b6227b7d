/** How the characters of a string stand in JSON. */
import { type CharacterSet, characterSet, complement, intersection } from '../characters.ts';
import { chars, choice, type Expression, sequence } from '../expression.ts';

const mustEscape = characterSet([
  [0, 0x1f],
  [0x22, 0x22],
  [0x5c, 0x5c],
]);
const allEscapes = choice(
  sequence('\\', chars('bfnrt"\\')),
  sequence('\\u00', choice(sequence('0', chars('0-7bef')), sequence('1', chars('0-9a-f')))),
);

/** How JSON.stringify spells a character of the set within a string: as itself, or escaped where it must be. */
export function spellInJson(set: CharacterSet): Expression {
  const raw: Expression = { kind: 'characters', set: intersection(set, complement(mustEscape)) };
  const escaped = intersection(set, mustEscape);
  if (escaped.length === 0) return raw;
  if (
    escaped.length === mustEscape.length &&
    escaped.every(([from, to], i) => from === mustEscape[i]![0] && to === mustEscape[i]![1])
  ) {
    return choice(raw, allEscapes);
  }
  const spellings: string[] = [];
  for (const [from, to] of escaped) {
    for (let point = from; point <= to; point++)
      spellings.push(JSON.stringify(String.fromCodePoint(point)).slice(1, -1));
  }
  return choice(raw, ...spellings);
}
