/**
 * Addresses that are not wanted: by domain, by address, by words in the address. The lists are the user's, one entry a line, `#` begins a comment; the UT1
 * lists of the Université Toulouse Capitole have this form.
 * Source: RefinedWeb, Penedo et al. 2023, arXiv:2306.01116 appendix G.1 (hard words, soft words from two on, words within words).
 */
import type { Document } from '../../document.ts';
import type { Drop, Stage } from '../stage.ts';

export interface BlockLists {
  readonly domains: readonly string[];
  readonly urls: readonly string[];
  /** One of these as a word of the address. */
  readonly words: readonly string[];
  /** So many of these. */
  readonly softWords: readonly string[];
  readonly softWordCount: number;
  /** One of these anywhere, letters and digits alone compared. */
  readonly parts: readonly string[];
}

/** Entries of a list file. */
export function listEntries(text: string): string[] {
  return text
    .split('\n')
    .map((line) => line.replace(/(?:^|\s)#.*$/, '').trim())
    .filter((line) => line !== '');
}

export function blockAddresses(lists: BlockLists): Stage {
  const domains = new Set(lists.domains.map((domain) => hostOf(plainAddress(domain))));
  const urls = new Set(lists.urls.map(plainAddress));
  const words = new Set(lists.words.map((word) => word.toLowerCase()));
  const softWords = new Set(lists.softWords.map((word) => word.toLowerCase()));
  const parts = lists.parts.map((part) => part.toLowerCase().replace(/[^a-z0-9]+/g, '')).filter((part) => part !== '');
  return {
    name: 'block-addresses',
    apply({ url }: Document): Drop | undefined {
      if (url === undefined) return undefined;
      const address = plainAddress(url);
      for (let host = hostOf(address); host !== ''; host = host.slice(host.indexOf('.') + 1)) {
        if (domains.has(host)) return { reason: 'a blocked domain', detail: host };
        if (!host.includes('.')) break;
      }
      if (isBlocked(address, urls)) return { reason: 'a blocked address', detail: address };
      const found = new Set(url.toLowerCase().split(/[^a-z0-9]+/));
      for (const word of found) if (words.has(word)) return { reason: 'a blocked word in the address', detail: word };
      const soft = [...found].filter((word) => softWords.has(word));
      if (soft.length >= lists.softWordCount && soft.length > 0)
        return { reason: `${lists.softWordCount} suspect words in the address`, detail: soft.join(' ') };
      const joined = url.toLowerCase().replace(/[^a-z0-9]+/g, '');
      const part = parts.find((each) => joined.includes(each));
      return part === undefined ? undefined : { reason: 'a blocked word within the address', detail: part };
    },
  };
}

/** The address itself, without what is asked of it, or a folder that it lies in. */
function isBlocked(address: string, urls: ReadonlySet<string>): boolean {
  if (urls.size === 0) return false;
  for (let at = address.replace(/[?#].*$/, ''); at !== ''; at = at.slice(0, Math.max(0, at.lastIndexOf('/')))) {
    if (urls.has(at)) return true;
  }
  return urls.has(address);
}

/** Without scheme, `www.`, user, port and a slash at the end; the host in small letters. */
function plainAddress(url: string): string {
  const [, host = '', rest = ''] =
    /^(?:[a-z][a-z0-9+.-]*:)?(?:\/\/)?(?:[^/@?#]*@)?(?:www\.)?([^/?#:]*)(?::\d+)?(.*)$/i.exec(url.trim()) ?? [];
  return `${host.toLowerCase()}${rest}`.replace(/\/+$/, '');
}

function hostOf(address: string): string {
  return address.replace(/[/?#].*$/, '').replace(/\.$/, '');
}
