import { setFlagsFromString } from 'node:v8';
import { describeMachine } from '../machine.ts';

/** Has V8 join neighbouring 128-bit operations from now on, in all threads; false where it cannot. */
export function useWideVectors(): boolean {
  if (!describeMachine().revectorizer) return false;
  setFlagsFromString('--experimental-wasm-revectorize');
  return true;
}
