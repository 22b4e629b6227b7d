/** Python's strftime for what chat templates ask: English names, two-digit numbers. Unknown directives are refused. */
import { ArgumentError } from '../../base/errors.ts';

const days = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];
const months = [
  'January',
  'February',
  'March',
  'April',
  'May',
  'June',
  'July',
  'August',
  'September',
  'October',
  'November',
  'December',
];

const two = (value: number) => String(value).padStart(2, '0');

const directives: Readonly<Record<string, (date: Date) => string>> = {
  '%': () => '%',
  A: (date) => days[date.getDay()]!,
  a: (date) => days[date.getDay()]!.slice(0, 3),
  B: (date) => months[date.getMonth()]!,
  b: (date) => months[date.getMonth()]!.slice(0, 3),
  d: (date) => two(date.getDate()),
  e: (date) => String(date.getDate()).padStart(2, ' '),
  H: (date) => two(date.getHours()),
  I: (date) => two(((date.getHours() + 11) % 12) + 1),
  j: (date) => String(dayOfYear(date)).padStart(3, '0'),
  M: (date) => two(date.getMinutes()),
  m: (date) => two(date.getMonth() + 1),
  p: (date) => (date.getHours() < 12 ? 'AM' : 'PM'),
  S: (date) => two(date.getSeconds()),
  Y: (date) => String(date.getFullYear()),
  y: (date) => two(date.getFullYear() % 100),
};

function dayOfYear(date: Date): number {
  const start = Date.UTC(date.getFullYear(), 0, 1);
  return (Date.UTC(date.getFullYear(), date.getMonth(), date.getDate()) - start) / 86_400_000 + 1;
}

/** `date` in local time, as `format` says: `%d %b %Y` → `26 Jul 2024`. */
export function strftime(date: Date, format: string): string {
  return format.replace(/%(-?)(.)/gs, (directive, plain: string, letter: string) => {
    const write = Object.hasOwn(directives, letter) ? directives[letter] : undefined;
    if (write === undefined) {
      throw new ArgumentError(
        'chat.strftime',
        `strftime_now: expected one of %${Object.keys(directives).join(' %')}, found ${directive}.`,
      );
    }
    return plain === '-' ? write(date).replace(/^[0 ]+(?=.)/, '') : write(date);
  });
}
