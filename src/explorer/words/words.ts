import { en } from './en.ts';
import { ko } from './ko.ts';

export type { SceneWords, Words } from './en.ts';
export const languages = { en, ko } as const;
export type Language = keyof typeof languages;
export const languageNames = Object.keys(languages) as readonly Language[];

/** The first of these that there are words for: 'ko-KR' is Korean. */
export function languageOf(preferred: readonly string[]): Language {
  for (const tag of preferred) {
    const name = tag.toLowerCase().split(/[-_.]/)[0]!;
    if (Object.hasOwn(languages, name)) return name as Language;
  }
  return 'en';
}
