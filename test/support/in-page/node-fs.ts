/** node:fs as golden tests read with it, for a worker of a browser: files and lists of folders come from the server of the page. */

/** What golden tests want of a Buffer. */
class FileBytes extends Uint8Array {
  readBigUInt64LE(at: number): bigint {
    return new DataView(this.buffer, this.byteOffset).getBigUint64(at, true);
  }

  override toString(_encoding?: string, from = 0, to = this.length): string {
    return new TextDecoder().decode(new Uint8Array(this.buffer, this.byteOffset + from, to - from));
  }
}

const pathOf = (path: string | URL) => (typeof path === 'string' ? path : path.pathname);

/** Only a worker may wait for an answer. null: it is not there. */
function ask(path: string): FileBytes | null {
  const request = new XMLHttpRequest();
  request.open('GET', path, false);
  request.responseType = 'arraybuffer';
  request.send();
  return request.status === 200 ? new FileBytes(request.response as ArrayBuffer) : null;
}

export function readFileSync(path: string): FileBytes;
export function readFileSync(path: string, encoding: 'utf8'): string;
export function readFileSync(path: string, encoding?: 'utf8'): FileBytes | string {
  const bytes = ask(path);
  if (!bytes) throw new Error(`${path}: no such file on the page's server`);
  return encoding ? bytes.toString() : bytes;
}

interface Entry {
  readonly name: string;
  readonly isFolder: boolean;
}

function entriesOf(path: string): Entry[] | null {
  const bytes = ask(`${path.replace(/\/$/, '')}/?list`);
  return bytes && (JSON.parse(bytes.toString()) as Entry[]);
}

export function readdirSync(path: string | URL, options?: { readonly withFileTypes?: boolean }) {
  const entries = entriesOf(pathOf(path));
  if (!entries) throw new Error(`${pathOf(path)}: no such folder on the page's server`);
  if (!options?.withFileTypes) return entries.map(({ name }) => name);
  return entries.map(({ name, isFolder }) => ({ name, isDirectory: () => isFolder, isFile: () => !isFolder }));
}

export const existsSync = (path: string): boolean => entriesOf(path) !== null || ask(path) !== null;

export function statSync(path: string) {
  const isFolder = entriesOf(path) !== null;
  return { isDirectory: () => isFolder, isFile: () => !isFolder };
}

const open: FileBytes[] = [];
export const openSync = (path: string): number => open.push(readFileSync(path)) - 1;
export const fstatSync = (file: number) => ({ size: open[file]!.length });
export const closeSync = (): void => {};
export function readSync(file: number, target: Uint8Array, at: number, count: number, position: number): number {
  const bytes = open[file]!.subarray(position, position + count);
  target.set(bytes, at);
  return bytes.length;
}
