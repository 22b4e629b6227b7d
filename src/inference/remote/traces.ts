import { ArgumentError } from '../../base/errors.ts';
import { nearestNames } from '../../base/nearest.ts';
import type { Trace } from '../observe.ts';

/** Activations by name, in the order of computation: a Map whose `get` knows its names. */
export class Traces extends Map<string, Trace> {
  /** The activation of this name: its shape and its numbers. Throws ArgumentError `trace.get` for one that was not traced. */
  override get(name: string): Trace {
    const found = super.get(name);
    if (found !== undefined) return found;
    const names = [...this.keys()];
    const near = nearestNames(name, names);
    const some = near.length > 0 ? near : names.slice(0, 3);
    throw new ArgumentError(
      'trace.get',
      `trace.get: expected one of the ${names.length} names that were traced (${some.join(', ')}${some.length < names.length ? ' …' : ''}), found ${JSON.stringify(name)}. Name it in the call of trace().`,
    );
  }
}
