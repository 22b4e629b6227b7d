/** Data-parallel training over MPI: `mpirun -np N npx cria train …`. Binds the system's Open MPI; no home-made cluster. */

import { UnsupportedError } from '../../../base/errors.ts';
import { type Collective, sumInOrder, TravelSpace } from '../../../training/collective.ts';
import { ffi } from './ffi.ts';
import { findMpiLibrary } from './native-library.ts';

/** Elements of one call at most: MPI counts in 32-bit integers. */
const MOST_ELEMENTS = 2 ** 28;

/** MPI_THREAD_MULTIPLE: any thread may call, at any time. */
const ANY_THREAD = 3;

/** A rank asks without pause for so long whether the others have come, as they mostly come at once. */
const ATTENTIVE_MS = 0.2;
/** Then it sleeps between two questions, for this part of what it has waited, and at most so long. */
const SLEEP_PART = 1 / 8;
const LONGEST_SLEEP_MS = 10;

/** What mpirun tells the processes that it starts; null when this one was started alone. */
export function mpiJob(env: Readonly<Record<string, string | undefined>>): { size: number; localSize: number } | null {
  const size = Number(env.OMPI_COMM_WORLD_SIZE ?? Number.NaN);
  if (Number.isInteger(size) && size >= 1) return { size, localSize: Number(env.OMPI_COMM_WORLD_LOCAL_SIZE ?? size) };
  if (Number(env.PMI_SIZE ?? 1) > 1) {
    throw new UnsupportedError(
      'mpi.kind',
      'mpi: this job was started by another MPI, expected Open MPI. Start it with the mpirun of Open MPI.',
    );
  }
  return null;
}

export interface MpiCollective extends Collective {
  /** Ends every rank at once: for errors that only this one has. */
  abort(): void;
  finish(): void;
}

/** Joins the job that mpirun has started. Throws UnsupportedError `native.ffi`, `mpi.library` where libmpi is missing. */
export function joinMpi(): MpiCollective {
  const calls = ffi();
  const name = findMpiLibrary();
  if (name === null) {
    throw new UnsupportedError(
      'mpi.library',
      'mpi: expected Open MPI’s libmpi, found none. Install it, or set CRIA_MPI_LIBRARY.',
    );
  }
  // Its own plug-ins look for its symbols.
  const library = calls.load(name, { global: true });
  const symbol = (text: string): unknown => library.symbol(text);
  const check = (definition: string, code: unknown) => {
    if (code === 0) return;
    throw new UnsupportedError(
      'mpi.call',
      `mpi: ${definition.split('(')[0]} failed with code ${code}. See mpirun’s words above.`,
    );
  };
  const call = (definition: string) => {
    const run = library.func(definition);
    return (...values: unknown[]) => check(definition, run(...values));
  };
  const world = symbol('ompi_mpi_comm_world');
  const sumOf = symbol('ompi_mpi_op_sum');
  const types = { Float32Array: symbol('ompi_mpi_float'), Float64Array: symbol('ompi_mpi_double') };
  const allowed = new Int32Array(1);
  call('int MPI_Init_thread(void *argc, void *argv, int required, void *provided)')(null, null, ANY_THREAD, allowed);
  const number = (definition: string): number => {
    const out = new Int32Array(1);
    call(definition)(world, out);
    return out[0]!;
  };
  const rank = number('int MPI_Comm_rank(void *comm, void *rank)');
  const size = number('int MPI_Comm_size(void *comm, void *size)');
  const allreduce = call('int MPI_Allreduce(void *in, void *out, int count, void *type, void *op, void *comm)');
  const bcast = call('int MPI_Bcast(void *data, int count, void *type, int root, void *comm)');
  const ibarrier = call('int MPI_Ibarrier(void *comm, void *request)');
  const testRequest = call('int MPI_Test(void *request, void *flag, void *status)');
  const asleep = new Int32Array(new SharedArrayBuffer(4));
  /**
   * Waits until every rank has come here. MPI's own waiting keeps a core busy, which the ranks that are waited for may need: so every
   * call that would wait is made when all are there.
   */
  const meet = () => {
    const request = new BigInt64Array(1);
    const isDone = new Int32Array(1);
    ibarrier(world, request);
    const from = performance.now();
    for (;;) {
      testRequest(request, isDone, null);
      if (isDone[0] !== 0) return;
      const waited = performance.now() - from;
      if (waited > ATTENTIVE_MS) Atomics.wait(asleep, 0, 0, Math.min(LONGEST_SLEEP_MS, waited * SLEEP_PART));
    }
  };
  const inPlace = 1n; // MPI_IN_PLACE
  // What travels beside other calls is told from them by a communicator of its own.
  const communicator = new BigInt64Array(1);
  call('int MPI_Comm_dup(void *comm, void *out)')(world, communicator);
  const beside = communicator[0]!;
  const exchange =
    'int MPI_Alltoallv(void *in, void *inCounts, void *inAt, void *inType, void *out, void *outCounts, void *outAt, void *outType, void *comm)';
  const alltoallv = library.func(exchange);
  const allgatherv = call(
    'int MPI_Allgatherv(void *in, int count, void *inType, void *out, void *counts, void *at, void *outType, void *comm)',
  );
  const arriving = new TravelSpace();
  /** Sends every rank its numbers; returns what each sent here, in the order of the ranks: it is there until the next exchange. */
  const exchanged = async (
    values: Float32Array,
    counts: readonly number[],
    isBeside: boolean,
  ): Promise<Float32Array> => {
    const count = counts[rank]!;
    const received = arriving.take(count * size);
    const even = Int32Array.from({ length: size }, () => count);
    const type = types.Float32Array;
    const words = [
      values,
      Int32Array.from(counts),
      placesOf(counts),
      type,
      received,
      even,
      placesOf(even),
      type,
      beside,
    ] as const;
    if (!isBeside || allowed[0]! < ANY_THREAD) {
      meet();
      check(exchange, alltoallv(...words));
    } else {
      const code = await new Promise((resolve, reject) => {
        alltoallv.async(...words, (error: unknown, result: unknown) => (error ? reject(error) : resolve(result)));
      });
      check(exchange, code);
      void words; // they stay where they are until the call is over
    }
    return received;
  };
  const { localSize = size } = mpiJob(process.env) ?? {};
  return {
    rank,
    size,
    isOneMachine: localSize === size,
    sum(values) {
      const type = values instanceof Float32Array ? types.Float32Array : types.Float64Array;
      meet();
      for (let from = 0; from < values.length; from += MOST_ELEMENTS) {
        const part = values.subarray(from, from + MOST_ELEMENTS);
        allreduce(inPlace, part, part.length, type, sumOf, world);
      }
    },
    broadcast(values, from) {
      meet();
      for (let at = 0; at < values.length; at += MOST_ELEMENTS) {
        const part = values.subarray(at, at + MOST_ELEMENTS);
        bcast(part, part.length, types.Float32Array, from, world);
      }
    },
    async sumParts(sums, values, counts, when) {
      sumInOrder(sums, await exchanged(values, counts, when === 'beside'), size);
    },
    gather(whole, own, counts) {
      meet();
      const type = types.Float32Array;
      allgatherv(own, own.length, type, whole, Int32Array.from(counts), placesOf(counts), type, world);
    },
    barrier: meet,
    abort: () => call('int MPI_Abort(void *comm, int code)')(world, 1),
    finish: () => call('int MPI_Finalize()')(),
  };
}

/** Where each of several runs of numbers begins that lie one after the other. */
function placesOf(counts: ArrayLike<number>): Int32Array {
  const places = new Int32Array(counts.length);
  for (let i = 1; i < places.length; i++) places[i] = places[i - 1]! + counts[i - 1]!;
  return places;
}
