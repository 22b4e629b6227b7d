import { strip } from '../python/text.ts';

/** Brackets are left over from the pages that HellaSwag was made of. */
export function hellaSwagText(text: string): string {
  return strip(text)
    .replaceAll(' [title]', '. ')
    .replace(/\[[^\n]*?\]/g, '')
    .replaceAll('  ', ' ');
}
