// Fork-join over shared memory: a leader opens a task, workers that see it take part, the leader closes it and waits for those inside.
//
//   epoch   counts tasks; workers watch it, spinning for a while and then parked in memory.atomic.wait
//   gate    ≥ 0: open, the number of workers inside; < 0: closed
//   shares  a task's units in as many runs as there are threads, each with the first unit that nobody has taken
//   left    the chunks that nobody has taken, so that a thread that is done need not look through all shares
//
// A thread takes its own share from front to end, so that what it reads is one stream and, task after task, the same; then it helps
// with the others'.
//
// A worker that comes late finds the gate closed and goes back to watching, so the leader never waits for a thread that the
// system has not scheduled: more threads than cores cost little. Without threads (the solo builds) the leader does it all.
import { perform } from '../kernels.assembly';
import {
  CONTROL_EPOCH,
  CONTROL_GATE,
  CONTROL_LEADER_WAITS,
  CONTROL_LEFT,
  CONTROL_PARKED,
  CONTROL_SEGMENT,
  CONTROL_SHARES,
  CONTROL_TASK,
  MAXIMUM_SHARES,
} from '../tasks';

const CLOSED: i32 = -0x40000000;
/** Looks before parking: tens of microseconds, longer than the gaps between operations, and than a last turn of the other threads. */
const WORKER_LOOKS: i32 = 40000;
const LEADER_LOOKS: i32 = 40000;

let lastEpoch: i32 = 0;

/** Closes the gate of a fresh memory and keeps its task at rest. */
export function prepareTeam(): void {
  store<i32>(CONTROL_GATE, CLOSED);
}

/** Describes the next task in this memory: its kernel, its units, how many to take at a time, and for how many threads. */
export function describe(task: i32, units: i32, chunk: i32, threads: i32): void {
  const chunks = (units + chunk - 1) / chunk;
  const shares = min(min(threads, chunks), MAXIMUM_SHARES);
  const share = ((chunks + shares - 1) / shares) * chunk;
  store<i32>(CONTROL_TASK, task);
  store<i32>(CONTROL_TASK + 4, units);
  store<i32>(CONTROL_TASK + 8, chunk);
  store<i32>(CONTROL_TASK + 12, shares);
  store<i32>(CONTROL_TASK + 16, share);
  // A worker reads these only after the gate, which is opened later.
  store<i32>(CONTROL_LEFT, chunks);
  for (let i = 0; i < shares; i++) store<i32>(nextOf(i), i * share);
}

@inline
function nextOf(share: i32): usize {
  return CONTROL_SHARES + (<usize>share << 6);
}

/** Lets the workers in. `segment` says whose memory describes the task. Called on the team's own memory, segment 0. */
export function open(segment: i32): void {
  if (ASC_FEATURE_THREADS) {
    store<i32>(CONTROL_SEGMENT, segment);
    atomic.add<i32>(CONTROL_GATE, -CLOSED);
    atomic.add<i32>(CONTROL_EPOCH, 1);
    if (atomic.load<i32>(CONTROL_PARKED) > 0) atomic.notify(CONTROL_EPOCH, -1);
  }
}

/** Shuts the gate and waits for the workers inside. */
export function close(): void {
  if (ASC_FEATURE_THREADS) {
    atomic.add<i32>(CONTROL_GATE, CLOSED);
    for (let look = 0; look < LEADER_LOOKS; look++) if (atomic.load<i32>(CONTROL_GATE) == CLOSED) return;
    atomic.store<i32>(CONTROL_LEADER_WAITS, 1);
    for (;;) {
      const inside = atomic.load<i32>(CONTROL_GATE);
      if (inside == CLOSED) break;
      atomic.wait<i32>(CONTROL_GATE, inside, -1);
    }
    atomic.store<i32>(CONTROL_LEADER_WAITS, 0);
  }
}

/** Takes chunks of this memory's task until none is left. */
export function takePart(thread: i32): void {
  const task = load<i32>(CONTROL_TASK);
  const units = load<i32>(CONTROL_TASK + 4);
  const chunk = load<i32>(CONTROL_TASK + 8);
  const shares = load<i32>(CONTROL_TASK + 12);
  const share = load<i32>(CONTROL_TASK + 16);
  if (ASC_FEATURE_THREADS) {
    for (let i = 0; i < shares && atomic.load<i32>(CONTROL_LEFT) > 0; i++) {
      const owner = (thread + i) % shares;
      const end = min(units, (owner + 1) * share);
      for (;;) {
        const first = atomic.add<i32>(nextOf(owner), chunk);
        if (first >= end) break;
        atomic.sub<i32>(CONTROL_LEFT, 1);
        perform(task, first, min(first + chunk, end), thread);
      }
    }
    return;
  }
  perform(task, 0, units, thread);
}

/** The whole task on this thread alone, for work too small to share. */
export function runAlone(task: i32, units: i32): void {
  perform(task, 0, units, 0);
}

/** The whole task with the team, when the task lies in the team's own memory. */
export function runShared(task: i32, units: i32, chunk: i32, threads: i32): void {
  describe(task, units, chunk, threads);
  open(0);
  takePart(0);
  close();
}

/** A worker's life: takes part in tasks of segment 0; returns the segment when a task lies in another memory, having entered the gate. */
export function serve(thread: i32): i32 {
  if (ASC_FEATURE_THREADS) {
    for (;;) {
      awaitEpoch();
      if (atomic.add<i32>(CONTROL_GATE, 1) >= 0) {
        const segment = load<i32>(CONTROL_SEGMENT);
        if (segment != 0) return segment;
        takePart(thread);
      }
      leave();
    }
  }
  return 0;
}

/** Counts a worker out; wakes a leader that waits for it. */
export function leave(): void {
  if (ASC_FEATURE_THREADS) {
    atomic.sub<i32>(CONTROL_GATE, 1);
    if (atomic.load<i32>(CONTROL_LEADER_WAITS) != 0) atomic.notify(CONTROL_GATE, -1);
  }
}

function awaitEpoch(): void {
  if (ASC_FEATURE_THREADS) {
    for (let look = 0; look < WORKER_LOOKS; look++) {
      const epoch = atomic.load<i32>(CONTROL_EPOCH);
      if (epoch != lastEpoch) {
        lastEpoch = epoch;
        return;
      }
    }
    atomic.add<i32>(CONTROL_PARKED, 1);
    for (;;) {
      const epoch = atomic.load<i32>(CONTROL_EPOCH);
      if (epoch != lastEpoch) {
        lastEpoch = epoch;
        break;
      }
      atomic.wait<i32>(CONTROL_EPOCH, lastEpoch, -1);
    }
    atomic.sub<i32>(CONTROL_PARKED, 1);
  }
}
