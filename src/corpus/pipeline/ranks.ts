/** Which of several processes that a launcher started this one is. The work is shared by claims: it only says how much of the machine is ours, and who speaks. */
/** What OpenMPI, MPICH and Slurm's job arrays say in the environment. Undefined outside of them. */
export function rankFromEnvironment(
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
