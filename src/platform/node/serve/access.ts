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

/** Ends of names that no stranger can own: they are given out by the network at hand, if at all. */
const localEnd = /\.(?:localhost|local|internal|intranet|lan|home|home\.arpa|test)$/;

/**
 * A page of another site may give its own name the address of this machine and then read the answers. So a server that listens on
 * loopback answers to loopback's names only; one that listens elsewhere to addresses, to names without a dot, to names of local networks,
 * and to the one that it was told to listen on. `allowed` adds names; '*' is any. Throws ApiError 403.
 */
export function hostChecker(listensOn: string, allowed: readonly string[]): (host: string | undefined) => void {
  if (allowed.includes('*')) return () => {};
  const names = new Set([...allowed, listensOn].map((name) => name.toLowerCase()));
  const isLocal = isLoopback(listensOn);
  return (host = '') => {
    const name = host.replace(/:\d+$/, '').replace(/\.$/, '').toLowerCase();
    if (loopbackNames.has(name) || isLoopback(name) || names.has(name)) return;
    const isOurs =
      /^\[[\da-f:.%]+\]$/.test(name) || /^[\d.]+$/.test(name) || !name.includes('.') || localEnd.test(name);
    if (!isLocal && isOurs) return;
    const shown = JSON.stringify(host.slice(0, 100));
    const message = isLocal
      ? `this server is called localhost, not ${shown}. Start it with --host for other machines, or with --allow-host for a proxy that passes its own name on.`
      : `this server is not known as ${shown}. Start it with --allow-host and that name.`;
    throw new ApiError(403, 'host_not_allowed', message);
  };
}
