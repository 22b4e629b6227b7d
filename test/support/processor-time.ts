/** Begins to count the processor time of this thread; the function returned tells it in milliseconds. A busy machine does not make it longer. */
export function processorClock(): () => number {
  const from = process.threadCpuUsage();
  return () => {
    const { user, system } = process.threadCpuUsage(from);
    return (user + system) / 1000;
  };
}
