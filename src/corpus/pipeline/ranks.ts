/** Which part of the work is this process's. */
import { ConfigError } from '../../base/errors.ts';

/**
 * The part that a launcher gives this process: OpenMPI, MPICH and Slurm's job arrays say it in the environment, so that
 * `mpirun -np 8 cria corpus …` and `#SBATCH --array=0-7` need no option. Undefined outside of them.
 */
export function shardFromEnvironment(
  env: Readonly<Record<string, string | undefined>>,
): { index: number; count: number; sharingMachine: number } | undefined {
  const number = (name: string): number | undefined => {
    const value = env[name];
    return value !== undefined && /^\d+$/.test(value) ? Number(value) : undefined;
  };
  for (const [rank, size, local] of [
    ['OMPI_COMM_WORLD_RANK', 'OMPI_COMM_WORLD_SIZE', 'OMPI_COMM_WORLD_LOCAL_SIZE'],
    ['PMI_RANK', 'PMI_SIZE', 'MPI_LOCALNRANKS'],
  ] as const) {
    const index = number(rank);
    const count = number(size);
    if (index !== undefined && count !== undefined && index < count)
      return { index, count, sharingMachine: number(local) ?? 1 };
  }
  const task = number('SLURM_ARRAY_TASK_ID');
  const first = number('SLURM_ARRAY_TASK_MIN') ?? 0;
  const count = number('SLURM_ARRAY_TASK_COUNT');
  if (task === undefined || count === undefined || !(task - first < count)) return undefined;
  return { index: task - first, count, sharingMachine: 1 };
}

/** '2/8' → index 2 of 8. Throws ConfigError. */
export function parseShard(text: string): { index: number; count: number } {
  const match = /^(\d+)\/(\d+)$/.exec(text);
  const index = Number(match?.[1]);
  const count = Number(match?.[2]);
  if (match && count >= 1 && index < count) return { index, count };
  throw new ConfigError('--shard', [`must be i/n with i from 0 to n − 1, got ${JSON.stringify(text)}`], 'corpus.shard');
}
