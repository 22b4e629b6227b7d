/** JSON Schema's string formats. What is accepted is valid; where a standard allows oddities, the usual form is. */
import { characterSet, complement } from '../characters.ts';
import { chars, choice, type Expression, oneOf, optional, repeat, sequence } from '../expression.ts';

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

const octet = choice(
  digit,
  sequence(chars('1-9'), digit),
  sequence('1', digit, digit),
  sequence('2', chars('0-4'), digit),
  sequence('25', chars('0-5')),
);
const ipv4 = sequence(octet, '.', octet, '.', octet, '.', octet);
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

const uriReference = choice(
  uri,
  sequence(
    choice('', sequence('/', repeat(pathCharacter, 1, null)), repeat(chars('a-zA-Z0-9._~-'), 1, null)),
    path,
    tail('?'),
    tail('#'),
  ),
);
const variable = sequence(chars('a-zA-Z_'), repeat(chars('a-zA-Z0-9_'), 0, null));
const uriTemplate = sequence(
  optional(sequence(scheme, '://', host, optional(port))),
  repeat(sequence('/', repeat(choice(pathCharacter, sequence('{', variable, '}')), 0, null)), 0, null),
  optional(sequence('{?', variable, repeat(sequence(',', variable), 0, null), '}')),
);
const pointerCharacter = choice(
  {
    kind: 'characters',
    set: complement(
      characterSet([
        [0x2f, 0x2f],
        [0x7e, 0x7e],
      ]),
    ),
  },
  '~0',
  '~1',
);
const jsonPointer = repeat(sequence('/', repeat(pointerCharacter, 0, null)), 0, null);
const relativePointer = sequence(choice('0', sequence(chars('1-9'), repeat(digit, 0, 8))), choice('#', jsonPointer));

/** Regular expressions in their usual form, groups within groups twice. */
const regex = (() => {
  const escaping = sequence('\\', chars('dDwWsS.\\^$*+?()[]{}|/'));
  const member = choice(alphanumeric, chars('_.,:;/ '), sequence('\\', chars('dws.')), 'a-z', 'A-Z', '0-9');
  const set = sequence('[', optional(sequence('^')), repeat(member, 1, null), ']');
  const plain: Expression = choice(
    alphanumeric,
    oneOf([0x20, 0x23], [0x25, 0x27], [0x2c, 0x2d], [0x3a, 0x3e], [0x5f, 0x60], [0xa1, 0xd7ff]),
    '.',
    escaping,
    set,
  );
  const count = choice(chars('*+?'), sequence('{', chars('1-9'), optional(digit), optional(sequence(',')), '}'));
  const options = (atom: Expression) => {
    const run = repeat(sequence(atom, optional(count)), 0, null);
    return sequence(run, repeat(sequence('|', run), 0, null));
  };
  const group = (inner: Expression) => choice(plain, sequence('(', optional(sequence('?:')), inner, ')'));
  return sequence(optional(sequence('^')), options(group(options(group(options(plain))))), optional(sequence('$')));
})();

/** What the texts are. What must be escaped in JSON will be. */
export const formats: Readonly<Record<string, Expression>> = {
  date,
  time,
  'date-time': sequence(date, 'T', time),
  duration,
  uuid,
  email,
  'idn-email': email,
  hostname,
  'idn-hostname': hostname,
  ipv4,
  ipv6,
  uri,
  'uri-reference': uriReference,
  'uri-template': uriTemplate,
  iri: uri,
  'iri-reference': uriReference,
  'json-pointer': jsonPointer,
  'relative-json-pointer': relativePointer,
  regex,
  base64,
  byte: base64,
};

export function isStringFormat(name: string): boolean {
  return Object.hasOwn(formats, name);
}

/** OpenAPI's, of numbers. */
export const numberFormats: ReadonlySet<string> = new Set(['int32', 'int64', 'float', 'double']);
