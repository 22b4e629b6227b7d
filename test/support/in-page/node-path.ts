/** node:path and node:url as golden tests use them, for a browser: all paths are addresses of the page's server. */
export const sep = '/';
export const isAbsolute = (path: string): boolean => path.startsWith('/');
export const resolve = (path: string): string => new URL(path, 'http://server/').pathname;
export const join = (...parts: string[]): string => {
  const path = parts.filter((part) => part !== '').join('/');
  return isAbsolute(path) ? resolve(path) : path;
};
export const basename = (path: string): string => path.replace(/\/+$/, '').split('/').at(-1)!;
export const dirname = (path: string): string => path.replace(/\/[^/]*$/, '') || '/';
export const relative = (base: string, path: string): string =>
  path.startsWith(base) ? path.slice(base.length).replace(/^\//, '') : path;
export const fileURLToPath = (address: string | URL): string => new URL(address).pathname;
