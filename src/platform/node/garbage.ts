/** Memory that a long work leaves behind, freed before there is much of it. */
import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Beside what is in use. V8 by itself may wait for some hundred megabytes. */
const MOST_BYTES = 28 * 2 ** 20;

/** Returns what is to be called now and then during a work: it frees what is left behind where that has become too much. */
export function garbageCollector(): () => void {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const usedBytes = (): number => {
    const { used_heap_size: heap, external_memory: external } = getHeapStatistics();
    return heap + external;
  };
  let least = usedBytes();
  return () => {
    const used = usedBytes();
    least = Math.min(least, used);
    if (used < least + MOST_BYTES) return;
    collect();
    least = usedBytes();
  };
}
