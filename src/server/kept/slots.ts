/**
 * llama-server's slots. Here all requests share one cache, in which every beginning is found, so a slot holds nothing but the memory of
 * what was last answered in it: that is what /slots saves, restores and erases.
 */
import type { AdapterChoice } from '../../model/adapter/select.ts';
import { ApiError } from '../api-error.ts';

export interface Slot {
  readonly id: number;
  /** Answers under way; more than one where requests name the same slot. */
  running: number;
  /** The last answer's prompt and text, and what it was computed with. */
  ids: Uint32Array;
  adapters: AdapterChoice | null;
}

export class Slots {
  /** Those unused for longest first. */
  private readonly slots: Slot[];

  constructor(count: number) {
    this.slots = Array.from({ length: count }, (_, id) => ({
      id,
      running: 0,
      ids: new Uint32Array(0),
      adapters: null,
    }));
  }

  /** The slot of the field `id_slot`, or, for −1 or null, an idle one that was unused for longest. Throws ApiError 400. */
  enter(wanted: number | null): Slot {
    const slot =
      wanted === null || wanted === -1
        ? (this.slots.find(({ running }) => running === 0) ?? this.slots[0]!)
        : this.at(wanted, 'id_slot');
    slot.running++;
    this.slots.push(...this.slots.splice(this.slots.indexOf(slot), 1));
    return slot;
  }

  /** Throws ApiError 400. */
  at(id: number, param: string): Slot {
    const slot = this.slots.find((one) => one.id === id);
    if (slot) return slot;
    const message = `${param}: there is no slot ${id}, expected 0 to ${this.slots.length - 1}.`;
    throw new ApiError(400, 'invalid_value', message, { param });
  }

  get all(): readonly Slot[] {
    return [...this.slots].sort((a, b) => a.id - b.id);
  }
}
