/** What POST /lora-adapters has set, for all requests that do not say themselves which adapters they want. */
import type { AdapterFacts } from '../../inference/remote/protocol.ts';

export class UsualAdapters {
  private readonly known: readonly AdapterFacts[];
  /** By name; those that are missing do not work. null: as the engine has it. */
  scales: Readonly<Record<string, number>> | null = null;

  constructor(known: readonly AdapterFacts[]) {
    this.known = known;
  }

  /** With what scale each works where a request says nothing, in the order of their numbers. */
  get list(): readonly { readonly id: number; readonly name: string; readonly scale: number }[] {
    return this.known.map(({ name, scale, usual }, id) => ({
      id,
      name,
      scale: this.scales ? (this.scales[name] ?? 0) : usual ? scale : 0,
    }));
  }
}
