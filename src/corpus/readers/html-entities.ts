/** Character references as browsers read them, by parse5's table: all named ones, and numbers with their historical exceptions. */
import { Tokenizer, TokenizerMode } from 'parse5';

const reference = /&(?:#\d{1,7}|#x[0-9a-f]{1,6}|[a-z][a-z0-9]{1,31});/gi;
/** A text holds few different ones; a hostile one could hold many. */
const MOST_KNOWN = 5000;
const known = new Map<string, string>();

/** Spaces of every width become plain ones; what is no reference stays. */
export function decodeEntities(text: string): string {
  if (!text.includes('&')) return text;
  return text.replace(reference, (whole) => {
    let value = known.get(whole);
    if (value === undefined) {
      if (known.size >= MOST_KNOWN) known.clear();
      known.set(whole, (value = decodeOne(whole).replace(/\p{Zs}/gu, ' ')));
    }
    return value;
  });
}

function decodeOne(entity: string): string {
  let text = '';
  const add = ({ chars }: { chars: string }): void => void (text += chars);
  const ignore = (): void => {};
  const tokenizer = new Tokenizer(
    { sourceCodeLocationInfo: false },
    {
      onCharacter: add,
      onWhitespaceCharacter: add,
      onNullCharacter: ignore,
      onStartTag: ignore,
      onEndTag: ignore,
      onComment: ignore,
      onDoctype: ignore,
      onEof: ignore,
      onParseError: null,
    },
  );
  tokenizer.state = TokenizerMode.RCDATA;
  tokenizer.write(entity, true);
  // A page may leave out some semicolons; wikitext may not: `&notaname;` is no ¬.
  return text.endsWith(';') && text !== ';' ? entity : text;
}
