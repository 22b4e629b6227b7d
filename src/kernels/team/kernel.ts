/**
 * Fork-join over shared memory: a leader opens a task, workers that see it take part, the leader closes it and waits for those inside.
 *
 *   epoch   counts tasks; workers watch it, spinning for a while and then parked in memory.atomic.wait
 *   gate    ≥ 0: open, the number of workers inside; < 0: closed
 *   shares  a task's units in as many runs as there are threads, each with the first unit that nobody has taken
 *   left    the chunks that nobody has taken, so that a thread that is done need not look through all shares
 *
 * A thread takes its own share from front to end, so that what it reads is one stream and, task after task, the same; then it helps
 * with the others'.
 *
 * A worker that comes late finds the gate closed and goes back to watching, so the leader never waits for a thread that the
 * system has not scheduled: more threads than cores cost little. In a memory that is not shared the leader does it all.
 */
import {
  CONTROL_CONSTANTS,
  CONTROL_EPOCH,
  CONTROL_GATE,
  CONTROL_LEADER_WAITS,
  CONTROL_LEFT,
  CONTROL_PARKED,
  CONTROL_SEGMENT,
  CONTROL_SHARES,
  CONTROL_TASK,
  MAXIMUM_SHARES,
  MAXIMUM_TASKS,
} from '../tasks.ts';
import { atomic } from '../writer/atomics.ts';
import { body, ConstantPool, type Target } from '../writer/body.ts';
import { MEMORY, moduleOf } from '../writer/module.ts';
import {
  callIn,
  each,
  functionOf,
  importOf,
  Kept,
  repeat,
  scope,
  store,
  variable,
  when,
} from '../writer/statements.ts';
import { I32 } from '../writer/values.ts';

const CLOSED = -0x40000000;
/** Looks before parking: tens of microseconds, longer than the gaps between operations, and than a last turn of the other threads. */
const LOOKS = 40000;

const at = (place: number): I32 => I32.of(place);
const [epoch, gate, leaderWaits, parked, left] = [
  CONTROL_EPOCH,
  CONTROL_GATE,
  CONTROL_LEADER_WAITS,
  CONTROL_PARKED,
  CONTROL_LEFT,
].map(atomic) as [Atomic, Atomic, Atomic, Atomic, Atomic];
type Atomic = ReturnType<typeof atomic>;

const nextOf = (share: I32): I32 => share.shl(6).add(CONTROL_SHARES);
const isShared = (): boolean => body().target.isShared;

/** What the table of tasks has for those whose kernel is not there yet (devices/wasm/kernel-exports.ts). */
const performOther = importOf('perform', { task: I32, first: I32, last: I32, thread: I32 });
const perform = ({ task, first, last, thread }: Record<'task' | 'first' | 'last' | 'thread', I32>) =>
  void callIn(performOther.callee, task, [task, first, last, thread]);

/** Closes the gate of a fresh memory and keeps its task at rest. */
const prepareTeam = functionOf('prepareTeam', {}, null, () => {
  store(at(CONTROL_GATE), I32.of(CLOSED));
  return undefined;
});

/** Describes the next task in this memory: its kernel, its units, how many to take at a time, and for how many threads. */
const describeTakes = { task: I32, units: I32, chunk: I32, threads: I32 };
const describe = functionOf('describe', describeTakes, null, ({ task, units, chunk, threads }) => {
  const chunks = units.add(chunk).sub(1).div(chunk);
  const shares = threads.min(chunks).min(MAXIMUM_SHARES);
  const share = chunks.add(shares).sub(1).div(shares).mul(chunk);
  for (const [i, word] of [task, units, chunk, shares, share].entries()) store(at(CONTROL_TASK), word, 4 * i);
  // A worker reads these only after the gate, which is opened later.
  store(at(CONTROL_LEFT), chunks);
  each(0, shares, 1, (i) => store(nextOf(i), i.mul(share)));
  return undefined;
});

/** Lets the workers in. `segment` says whose memory describes the task. Called on the team's own memory, segment 0. */
const open = functionOf('open', { segment: I32 }, null, ({ segment }) => {
  if (!isShared()) return undefined;
  store(at(CONTROL_SEGMENT), segment);
  gate.add(-CLOSED);
  epoch.add(1);
  when(parked.load().ne(0), () => epoch.notifyAll());
  return undefined;
});

/** Shuts the gate and waits for the workers inside. */
const close = functionOf('close', {}, null, () => {
  if (!isShared()) return undefined;
  gate.add(CLOSED);
  scope((done) => {
    each(0, LOOKS, 1, () => done(gate.load().eq(CLOSED)));
    leaderWaits.store(1);
    gate.waitUntil((inside) => inside.eq(CLOSED));
    leaderWaits.store(0);
  });
  return undefined;
});

/** Takes chunks of this memory's task until none is left. */
const takePart = functionOf('takePart', { thread: I32 }, null, ({ thread }) => {
  const [task, units, chunk, shares, share] = [0, 1, 2, 3, 4].map((i) => I32.load(at(CONTROL_TASK), 4 * i)) as [
    I32,
    I32,
    I32,
    I32,
    I32,
  ];
  if (!isShared()) {
    perform({ task, first: I32.of(0), last: units, thread });
    return undefined;
  }
  scope((done) => {
    each(0, shares, 1, (i) => {
      done(left.load().eq(0));
      const owner = thread.add(i).rem(shares);
      const end = owner.add(1).mul(share).min(units);
      scope((empty) => {
        repeat(() => {
          const first = atomic(nextOf(owner)).add(chunk);
          empty(first.ge(end));
          left.sub(1);
          perform({ task, first, last: first.add(chunk).min(end), thread });
          return I32.of(1);
        });
      });
    });
  });
  return undefined;
});

/** The whole task on this thread alone, for work too small to share. */
const runAlone = functionOf('runAlone', { task: I32, units: I32 }, null, ({ task, units }) => {
  perform({ task, first: I32.of(0), last: units, thread: I32.of(0) });
  return undefined;
});

/** The whole task with the team, when the task lies in the team's own memory. */
const runShared = functionOf('runShared', describeTakes, null, (task) => {
  describe(task);
  open({ segment: I32.of(0) });
  takePart({ thread: I32.of(0) });
  close({});
  return undefined;
});

/** Counts a worker out; wakes a leader that waits for it. */
const leave = functionOf('leave', {}, null, () => {
  if (!isShared()) return undefined;
  gate.sub(1);
  when(leaderWaits.load(), () => gate.notifyAll());
  return undefined;
});

/** The last task that this thread has seen. */
const lastEpoch = new Kept(0);

/** Waits for a task that this thread has not seen. */
const awaitEpoch = functionOf('awaitEpoch', {}, null, () => {
  scope((seen) => {
    each(0, LOOKS, 1, () => {
      const now = epoch.load();
      when(now.ne(lastEpoch.value), () => {
        lastEpoch.value = now;
        seen();
      });
    });
    parked.add(1);
    epoch.waitUntil((now) => now.ne(lastEpoch.value));
    lastEpoch.value = epoch.load();
    parked.sub(1);
  });
  return undefined;
});

/** A worker's life: takes part in tasks of segment 0; returns the segment when a task lies in another memory, having entered the gate. */
const serve = functionOf('serve', { thread: I32 }, I32, ({ thread }) => {
  const segment = variable(I32.of(0));
  if (!isShared()) return segment.value;
  scope((elsewhere) => {
    repeat(() => {
      awaitEpoch({});
      when(gate.add(1).geSigned(0), () => {
        segment.value = I32.load(at(CONTROL_SEGMENT));
        elsewhere(segment.value.ne(0));
        takePart({ thread });
      });
      leave({});
      return I32.of(1);
    });
  });
  return segment.value;
});

/** The bytes of the team's module, whose instances work in the memory they import. */
export function teamModule(target: Target): Uint8Array<ArrayBuffer> {
  const all = { prepareTeam, describe, open, close, takePart, runAlone, runShared, serve, leave };
  return moduleOf({
    target,
    exports: Object.fromEntries(Object.entries(all).map(([name, { callee }]) => [name, callee])),
    imports: [performOther.callee],
    table: { name: 'tasks', count: MAXIMUM_TASKS, first: performOther.callee },
    constants: new ConstantPool(CONTROL_CONSTANTS, CONTROL_CONSTANTS),
    memory: MEMORY,
    keptCount: 1,
  });
}
