/** Text as it is; of a very long one the beginning, until more is asked for. */
import { useState } from 'preact/hooks';
import type { Strings } from '../strings/languages.ts';
import { sizeText } from './text-files.ts';

export const LONG_TEXT = 20_000;

export function LongText({ text, t }: { readonly text: string; readonly t: Strings }) {
  const [all, setAll] = useState(false);
  if (all || text.length <= LONG_TEXT) return <>{text}</>;
  return (
    <>
      {text.slice(0, LONG_TEXT)}…{' '}
      <button type="button" class="plain" onClick={() => setAll(true)}>
        {t.showAll(sizeText(text.length))}
      </button>
    </>
  );
}
