/** JSON itself: what the grammars of all schemas share. */
import { choice, type Expression, repeat, rule, sequence, text } from '../expression.ts';
import { anyInteger, anyNumber } from './numbers.ts';
import { anySpelling } from './strings.ts';

const space = rule('space');
const comma = sequence(',', space);

/** Rules that the values of every schema share. */
export const jsonRules: Readonly<Record<string, Expression>> = {
  string: sequence('"', repeat(anySpelling, 0, null), '"'),
  character: anySpelling,
  number: anyNumber,
  integer: anyInteger,
  /** Nothing, a space, or one or two line ends with indentation: what JSON.stringify and json.dumps write. */
  space: choice(
    '',
    ' ',
    sequence('\n', repeat(choice('\n'), 0, 1), choice(repeat(text(' '), 0, 32), repeat(text('\t'), 1, 16))),
  ),
  value: choice(rule('object'), rule('array'), rule('string'), rule('number'), 'true', 'false', 'null'),
  array: sequence(
    '[',
    choice('', sequence(space, rule('value'), repeat(sequence(comma, rule('value')), 0, null))),
    space,
    ']',
  ),
  member: sequence(rule('string'), ':', space, rule('value')),
  object: sequence(
    '{',
    choice('', sequence(space, rule('member'), repeat(sequence(comma, rule('member')), 0, null))),
    space,
    '}',
  ),
};

/** A value as JSON.stringify writes it, with white space as elsewhere. */
export function literal(value: unknown): Expression {
  if (typeof value !== 'object' || value === null) return text(JSON.stringify(value));
  const [open, close] = Array.isArray(value) ? '[]' : '{}';
  const members = Array.isArray(value)
    ? value.map(literal)
    : Object.entries(value).map(([key, inner]) => sequence(JSON.stringify(key), ':', rule('space'), literal(inner)));
  return sequence(
    open!,
    ...members.flatMap((member, i) => [i === 0 ? '' : ',', rule('space'), member]),
    rule('space'),
    close!,
  );
}
