/**
 * Keys and passwords in code, masked, or the file dropped. Each kind has a form that its issuer fixed; `assignment` is the general one: a name that says
 * secret, and a literal of many different characters. Patterns are linear in the text.
 * Source: the issuers' published token formats; entropy threshold as detect-secrets has it for base64 (4.5 bits) and hex (3.0).
 */
import type { Document } from '../../document.ts';
import type { Drop, LineLog, Stage } from '../stage.ts';

const kinds = {
  'private key':
    /-----BEGIN (?:[A-Z0-9]{2,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----[\s\S]{0,8000}?-----END (?:[A-Z0-9]{2,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----/g,
  'aws key': /(?<![A-Z0-9])(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}(?![A-Z0-9])/g,
  'github token': /(?<!\w)(?:gh[pousr]_\w{36,251}|github_pat_\w{22,255})(?!\w)/g,
  'gitlab token': /(?<!\w)glpat-[\w-]{20,64}(?![\w-])/g,
  'slack token': /(?<!\w)xox[abeprs]-[\w-]{10,250}|https:\/\/hooks\.slack\.com\/services\/[\w/]{30,100}/g,
  'google key': /(?<![\w-])AIza[\w-]{35}(?![\w-])/g,
  'stripe key': /(?<!\w)[sr]k_(?:live|test)_[A-Za-z0-9]{16,247}(?!\w)/g,
  'npm token': /(?<!\w)npm_[A-Za-z0-9]{36}(?!\w)/g,
  'openai key': /(?<!\w)sk-(?:proj-|ant-)?[\w-]{32,200}(?![\w-])/g,
  'hugging face token': /(?<!\w)hf_[A-Za-z0-9]{30,60}(?!\w)/g,
  'json web token': /(?<![\w-])eyJ[\w-]{10,2000}\.eyJ[\w-]{10,4000}\.[\w-]{10,2000}(?![\w-])/g,
  'password in address': /(?<=[a-z][a-z0-9+.-]{1,20}:\/\/[^\s/:@"']{1,64}:)[^\s/:@"'{}$<>]{3,128}(?=@[\w.-])/gi,
  assignment:
    /(?<=(?:passw(?:or)?d|secret|token|api_?key|access_?key|auth_?key|client_?key|credential)s?["']?\s{0,4}(?:=>|[:=])\s{0,4}["'])[^"'\s]{8,256}(?=["'])/gi,
} as const satisfies Record<string, RegExp>;

export type SecretKind = keyof typeof kinds;
export const secretKinds = Object.keys(kinds) as SecretKind[];

const MASK = '[SECRET]';
const BASE64_BITS = 4.5;
const HEX_BITS = 3;

export function removeSecrets(which: readonly SecretKind[], action: 'mask' | 'drop'): Stage {
  return {
    name: 'secrets',
    apply(document: Document, log: LineLog): Drop | undefined {
      for (const kind of which) {
        let dropped = false;
        const text = document.text.replace(kinds[kind], (found, ...rest) => {
          if (kind === 'assignment' && !looksRandom(found)) return found;
          dropped = true;
          if (action === 'mask') log.removed(`${kind} masked`, rest.at(-2) as number, MASK);
          return MASK;
        });
        if (dropped && action === 'drop') return { reason: 'a secret', detail: kind };
        if (dropped) document.text = text;
      }
      return undefined;
    },
  };
}

/** Bits a character of a literal whose characters are drawn as this one's are. */
function looksRandom(text: string): boolean {
  const counts = new Map<string, number>();
  for (const character of text) counts.set(character, (counts.get(character) ?? 0) + 1);
  let bits = 0;
  for (const count of counts.values()) bits -= (count / text.length) * Math.log2(count / text.length);
  if (/^[0-9a-f]+$/i.test(text)) return text.length >= 16 && bits > HEX_BITS;
  // A short literal cannot have that many bits: measured against what its length allows.
  return bits > Math.min(BASE64_BITS, Math.log2(text.length) * 0.85) && /\d/.test(text) && /[a-z]/i.test(text);
}
