/** JSON Schema's string formats. What is accepted is valid; where a standard allows oddities, the usual form is. */
import { chars, choice, type Expression, optional, repeat, sequence } from '../expression.ts';

const digit = chars('0-9');
const hex = chars('0-9a-fA-F');
const letter = chars('A-Za-z');
const alphanumeric = chars('A-Za-z0-9');
const two = repeat(digit, 2);

/** Years divisible by four, the hundreds only by four hundred. */
const leapPair = choice(
  sequence('0', chars('48')),
  sequence(chars('2468'), chars('048')),
  sequence(chars('13579'), chars('26')),
);
const fourHundreds = choice('00', leapPair);
const leapYear = choice(sequence(two, leapPair), sequence(fourHundreds, '00'));
const upTo28 = choice(sequence('0', chars('1-9')), sequence('1', digit), sequence('2', chars('0-8')));
const anyMonth = choice(sequence('0', chars('1-9')), sequence('1', chars('0-2')));
const date = choice(
  sequence(repeat(digit, 4), '-', anyMonth, '-', upTo28),
  sequence(
    repeat(digit, 4),
    '-',
    choice(
      sequence(choice(sequence('0', chars('13-9')), sequence('1', chars('0-2'))), '-', choice('29', '30')),
      sequence(choice(sequence('0', chars('13578')), '10', '12'), '-31'),
    ),
  ),
  sequence(leapYear, '-02-29'),
);

const hour = choice(sequence(chars('01'), digit), sequence('2', chars('0-3')));
const sixty = sequence(chars('0-5'), digit);
const offset = choice('Z', sequence(chars('+-'), hour, ':', sixty));
const time = sequence(hour, ':', sixty, ':', sixty, optional(sequence('.', repeat(digit, 1, 9))), offset);

const byte = choice(
  digit,
  sequence(chars('1-9'), digit),
  sequence('1', digit, digit),
  sequence('2', chars('0-4'), digit),
  sequence('25', chars('0-5')),
);
const ipv4 = sequence(byte, '.', byte, '.', byte, '.', byte);
const group = repeat(hex, 1, 4);
const ipv6 = choice(
  sequence(repeat(sequence(group, ':'), 7), group),
  // One run of zeros left out, of two groups or more.
  ...Array.from({ length: 7 }, (_, before) =>
    sequence(
      before === 0 ? '' : sequence(group, repeat(sequence(':', group), before - 1)),
      '::',
      before === 6 ? '' : optional(sequence(group, repeat(sequence(':', group), 0, 5 - before))),
    ),
  ),
);

const label = sequence(alphanumeric, optional(sequence(repeat(chars('A-Za-z0-9-'), 0, 20), alphanumeric)));
/** Within addresses nobody counts its letters. */
const freeLabel = sequence(alphanumeric, repeat(sequence(repeat(sequence('-'), 0, null), alphanumeric), 0, null));
const host = sequence(freeLabel, repeat(sequence('.', freeLabel), 0, null));
const hostname = sequence(label, repeat(sequence('.', label), 0, 8));
const atom = repeat(chars("a-zA-Z0-9!#$%&'*+/=?^_`{|}~-"), 1, null);
const email = sequence(
  atom,
  repeat(sequence('.', atom), 0, null),
  '@',
  freeLabel,
  repeat(sequence('.', freeLabel), 1, null),
);

const escaped = sequence('%', hex, hex);
const pathCharacter = choice(chars("a-zA-Z0-9._~!$&'()*+,;=:@-"), escaped);
const path = repeat(sequence('/', repeat(pathCharacter, 0, null)), 0, null);
const tail = (sign: string) => optional(sequence(sign, repeat(choice(pathCharacter, chars('/?')), 0, null)));
const scheme = sequence(letter, repeat(chars('a-zA-Z0-9+.-'), 0, null));
const port = sequence(':', repeat(digit, 1, 5));
const uri = sequence(
  scheme,
  ':',
  choice(
    sequence('//', host, optional(port), path),
    sequence(repeat(pathCharacter, 1, null), path), // mailto:a@b, urn:a:b
  ),
  tail('?'),
  tail('#'),
);

const uuid = sequence(
  repeat(hex, 8),
  '-',
  repeat(hex, 4),
  '-',
  repeat(hex, 4),
  '-',
  repeat(hex, 4),
  '-',
  repeat(hex, 12),
);
const number = repeat(digit, 1, 9);
const timePart = choice(
  sequence(number, 'H', optional(sequence(number, 'M')), optional(sequence(number, 'S'))),
  sequence(number, 'M', optional(sequence(number, 'S'))),
  sequence(number, 'S'),
);
const duration = sequence(
  'P',
  choice(
    sequence(
      choice(
        sequence(number, 'Y', optional(sequence(number, 'M', optional(sequence(number, 'D'))))),
        sequence(number, 'M', optional(sequence(number, 'D'))),
        sequence(number, 'D'),
      ),
      optional(sequence('T', timePart)),
    ),
    sequence('T', timePart),
    sequence(number, 'W'),
  ),
);

const sextet = chars('A-Za-z0-9+/');
const base64 = sequence(
  repeat(repeat(sextet, 4), 0, null),
  optional(choice(sequence(repeat(sextet, 2), '=='), sequence(repeat(sextet, 3), '='))),
);

/** None of them needs escaping in JSON. */
export const formats: Readonly<Record<string, Expression>> = {
  date,
  time,
  'date-time': sequence(date, 'T', time),
  duration,
  uuid,
  email,
  hostname,
  ipv4,
  ipv6,
  uri,
  base64,
};
