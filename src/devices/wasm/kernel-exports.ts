/** What the kernels export (src/kernels/kernels.assembly.ts). */
export interface KernelExports {
  heapStart(): number;
  prepareTeam(): void;
  describe(task: number, units: number, chunk: number): void;
  open(segment: number): void;
  close(): void;
  takePart(thread: number): void;
  runAlone(task: number, units: number): void;
  runShared(task: number, units: number, chunk: number): void;
  serve(thread: number): number;
  leave(): void;
  panelBytes(kind: number, columns: number): number;
  expandedBytes(kind: number, columns: number): number;
  kvChunkBytes(type: number, headSize: number): number;
  partialBytes(): number;
}

export function instantiate(module: WebAssembly.Module, memory: WebAssembly.Memory): KernelExports {
  return new WebAssembly.Instance(module, { env: { memory } }).exports as unknown as KernelExports;
}
