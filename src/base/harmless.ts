/**
 * Text of strangers (files, the network, models) on its way to a terminal, a log or a page: characters that would steer what shows it, instead
 * of being shown, become visible escapes. Line feeds and tabs stay.
 *
 * These are the control characters of both sets (escape sequences recolour, retitle and, on some terminals, type), the line separators, lone
 * halves of characters, and the controls of writing direction, with which a text can show itself as another.
 */
const steering = /[\0-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]|\p{Cs}/gu;

/** The text with such characters as `\x1b` or `\u202e`. */
export function harmless(text: string): string {
  return text.replace(steering, visible);
}

/** JSON text that means the same and holds no such character: JSON.stringify leaves some as they are. */
export function harmlessJson(json: string): string {
  return json.replace(steering, (character) => `\\u${hex(character, 4)}`);
}

function visible(character: string): string {
  if (character === '\r') return '\\r';
  return character < '\u0100' ? `\\x${hex(character, 2)}` : `\\u${hex(character, 4)}`;
}

function hex(character: string, digits: number): string {
  return character.charCodeAt(0).toString(16).padStart(digits, '0');
}
