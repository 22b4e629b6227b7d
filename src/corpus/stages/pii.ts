/**
 * Masks personal data that has a form: e-mail addresses, IP addresses, telephone numbers. LLaMA's paper did none of this, so the
 * stage is in no default recipe. Every mask is counted. Patterns are linear in the text; what looks like a version number or a date is left.
 */
import type { Document } from '../document.ts';
import type { Stage } from './stage.ts';

const kinds = {
  email: { pattern: /(?<![\w.+-])[\w.+-]{1,64}@(?:[a-z0-9-]{1,63}\.){1,8}[a-z]{2,24}(?![\w-])/gi, mask: '[EMAIL]' },
  ip: {
    pattern: /(?<![\d.])(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)(?![\d.]*\d)/g,
    mask: '[IP]',
  },
  phone: {
    pattern:
      /(?<![\w+])(?:\+\d{1,3}[ .-]?(?:\(\d{1,4}\)[ .-]?)?\d{2,4}(?:[ .-]?\d{2,4}){2,3}|\(\d{3}\) ?\d{3}-\d{4}|\d{3}-\d{3}-\d{4})(?!\w)/g,
    mask: '[PHONE]',
  },
} as const;

export type PersonalData = keyof typeof kinds;
export const personalDataKinds = Object.keys(kinds) as PersonalData[];

export function maskPersonalData(which: readonly PersonalData[]): Stage {
  return {
    name: 'personal-data',
    apply(document: Document, log): undefined {
      for (const kind of which) {
        const { pattern, mask } = kinds[kind];
        document.text = document.text.replace(pattern, (found, ...rest) => {
          log.removed(`${kind} masked`, rest.at(-2) as number, found);
          return mask;
        });
      }
      return undefined;
    },
  };
}
