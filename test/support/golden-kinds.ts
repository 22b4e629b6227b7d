/** Runs the golden cases of some kinds, each on every device of its kind, and says how many ran and how near the worst came. */
import { ok } from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { Check } from './golden-check.ts';
import { findGoldenCases, type GoldenCase } from './golden-folder.ts';

/** One way of checking some cases. A case may have several: its forward pass and its gradients, say. */
export interface GoldenKind<Device = never> {
  /** Such as `components/attention`. */
  readonly name: string;
  readonly matches: (item: GoldenCase) => boolean;
  /** Where it runs; empty: arithmetic of the host alone. */
  readonly devices: readonly { readonly name: string; readonly create: () => Device | Promise<Device> }[];
  readonly run: (item: GoldenCase, check: Check, device: () => Promise<Device>) => void | Promise<void>;
}

/** A kind whose cases are the files or folders of that name in a group: `dpo`, and `dpo-…` or `dpo_…` for more of them. */
export function named(group: string, name: string): (item: GoldenCase) => boolean {
  return (item) =>
    item.group === group &&
    (item.name === name || (/^[-_]/.test(item.name.slice(name.length)) && item.name.startsWith(name)));
}

// biome-ignore lint/suspicious/noExplicitAny: kinds of different devices stand in one list
export type AnyGoldenKind = GoldenKind<any>;

export function runGoldenKinds(kinds: readonly AnyGoldenKind[]): void {
  const cases = findGoldenCases();
  for (const kind of kinds) {
    const mine = cases.filter(kind.matches);
    if (mine.length === 0) continue; // a folder need not have every kind; golden-folder.test.ts sees that each case has one
    describe(`golden ${kind.name}`, () => {
      const checks: Check[] = [];
      const places = kind.devices.length === 0 ? [null] : kind.devices;
      for (const item of mine)
        for (const place of places)
          test(place === null ? item.title : `${item.title} on ${place.name}`, async () => {
            const check = new Check(place === null ? item.title : `${item.title} on ${place.name}`);
            const open: { close(): void }[] = [];
            try {
              await kind.run(item, check, async () => {
                const device = await place!.create();
                open.push(device);
                return device;
              });
            } finally {
              for (const device of open) device.close();
            }
            ok(check.compared > 0, `${item.title}: the runner compared nothing`);
            checks.push(check);
          });
      after(() => console.error(summaryOf(kind, checks)));
    });
  }
}

function summaryOf({ name, devices }: AnyGoldenKind, checks: readonly Check[]): string {
  const runs = checks.reduce((sum, { cases }) => sum + Math.max(1, cases), 0);
  const where = devices.length > 1 ? ` (on ${devices.length} devices)` : '';
  const worst = checks.reduce<Check | null>((a, b) => (a && a.worst >= b.worst ? a : b), null);
  const share =
    worst && worst.worst > 0 ? `${(100 * worst.worst).toPrecision(2)} % of the tolerance, ${worst.at}` : 'exact';
  return `golden ${name}: ${runs} cases${where}, worst ${share}`;
}
