/**
 * Calls into system libraries. The binding is the native part of koffi, which npm brings as one prebuilt package per platform, without an
 * install script; elsewhere the package koffi itself does, where a program has installed it. Nothing needs either: without one, large
 * pages, BLAS, oneDNN and MPI are not to be had, and what was asked for is refused with a word.
 */
import { createRequire } from 'node:module';
import { UnsupportedError } from '../../../base/errors.ts';

export interface NativeFunction {
  (...values: unknown[]): unknown;
  /** Calls it in a thread of its own; the last value is told of an error, or of the result. Memory that it is given must not move or go. */
  async(...values: unknown[]): void;
}

export interface NativeLibrary {
  /** A function by its C declaration. Throws where the library has no such symbol. */
  func(declaration: string): NativeFunction;
  symbol(name: string): unknown;
  unload(): void;
}

export interface Ffi {
  readonly version: string;
  /**
   * Null: the process itself. `global`: its symbols are there for libraries that are loaded later, for as long as the process lives.
   * Throws where it cannot be loaded.
   */
  load(name: string | null, options?: { readonly global?: boolean }): NativeLibrary;
  address(view: Uint8Array): bigint;
  /** The memory of this length at an address. */
  view(address: bigint, length: number): ArrayBuffer;
  /** A type of C functions, of which `decode` makes one that begins at an address. */
  proto(declaration: string): unknown;
  decode(address: bigint, type: unknown): (...values: unknown[]) => unknown;
}

let found: Ffi | null | undefined;

/** The binding, or null where none is installed. */
export function findFfi(): Ffi | null {
  if (found !== undefined) return found;
  const require = createRequire(import.meta.url);
  for (const name of [`@koromix/koffi-${process.platform}-${process.arch}`, 'koffi']) {
    try {
      const binding = require(/* webpackIgnore: true */ /* turbopackIgnore: true */ name) as Ffi;
      if (typeof binding.load !== 'function') continue;
      found = keepingGlobals(binding);
      return found;
    } catch {
      // not installed, or its binary does not load on this system: the next one may do
    }
  }
  found = null;
  return found;
}

/** The binding unloads a library once its object is garbage; one that other libraries look up has to outlive that. */
function keepingGlobals(binding: Ffi): Ffi {
  const kept: NativeLibrary[] = [];
  return {
    version: binding.version,
    address: (view) => binding.address(view),
    view: (address, length) => binding.view(address, length),
    proto: (declaration) => binding.proto(declaration),
    decode(address, type) {
      // koffi 3.3 makes what calls need when a thread loads its first library: a function called before that ends the process
      if (kept.length === 0) kept.push(binding.load(null));
      return binding.decode(address, type);
    },
    load(name, options = {}) {
      const library = binding.load(name, options);
      if (options.global) kept.push(library);
      return library;
    },
  };
}

/** Throws UnsupportedError `native.ffi` where no binding is installed. */
export function ffi(): Ffi {
  const binding = findFfi();
  if (binding !== null) return binding;
  throw new UnsupportedError('native.ffi', `${noFfi}.`);
}

export const noFfi =
  'calls into system libraries need the optional package koffi, which is not installed here (npm install koffi)';
