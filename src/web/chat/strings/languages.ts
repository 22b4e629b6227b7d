import { en } from './en.ts';
import { ko } from './ko.ts';

export type Strings = typeof en;

export const languages = { en, ko } as const satisfies Readonly<Record<string, Strings>>;
