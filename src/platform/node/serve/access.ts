/** Who may ask: the API key, the names under which a local server may be called, and other sites' pages. */
import { createHash, timingSafeEqual } from 'node:crypto';
import { ApiError } from '../../../server/api-error.ts';

const digest = (text: string) => createHash('sha256').update(text).digest();

/** `key`: the header x-api-key, as Anthropic's clients send it. Throws ApiError 401. The time it takes says nothing of the key: digests of one length are compared as a whole. */
export function keyChecker(
  keys: readonly string[],
): (authorization: string | undefined, key?: string | undefined) => void {
  const digests = keys.map(digest);
  return (authorization = '', key = '') => {
    const given = digest(/^Bearer (.+)$/i.exec(authorization)?.[1] ?? key);
    let known = false;
    for (const each of digests) known = timingSafeEqual(each, given) || known;
    if (known) return;
    throw new ApiError(
      401,
      'invalid_api_key',
      'the API key is missing or wrong, expected Authorization: Bearer KEY, or x-api-key: KEY.',
    );
  };
}

const loopbackNames = new Set(['localhost', '127.0.0.1', '[::1]']);

export function isLoopback(host: string): boolean {
  return loopbackNames.has(host) || host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host);
}

/**
 * A page of another site may give its own name the address 127.0.0.1 and then read a local server's answers. So a server that listens
 * on loopback answers to loopback's names only. Throws ApiError 403.
 */
export function hostChecker(listensOn: string): (host: string | undefined) => void {
  if (!isLoopback(listensOn)) return () => {};
  return (host = '') => {
    const name = host.replace(/:\d+$/, '').toLowerCase();
    if (loopbackNames.has(name) || isLoopback(name)) return;
    throw new ApiError(
      403,
      'host_not_allowed',
      'this server is called localhost. Start it with --host for other names.',
    );
  };
}
