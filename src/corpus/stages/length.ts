import { characterCount, type Document } from '../document.ts';
import type { Drop, Stage } from './stage.ts';

/** CCNet's floor: documents of fewer characters go before anything is computed. arXiv:1911.00359 §3; 300 in its code. */
export function minimumLength(characters: number): Stage {
  return {
    name: 'minimum-length',
    apply: ({ text }: Document): Drop | undefined => {
      if (text.length >= characters * 2) return undefined;
      const count = characterCount(text);
      return count < characters
        ? { reason: `shorter than ${characters} characters`, detail: `${count} characters` }
        : undefined;
    },
  };
}

/** For what comes after line removal: a document without text is no document. */
export function notEmpty(): Stage {
  return {
    name: 'not-empty',
    apply: ({ text }) => (text.trim() === '' ? { reason: 'no text is left' } : undefined),
  };
}
