/** A GPU that computes nothing: for what can be counted without one, and for what a driver does only rarely. */
export interface CountingGpu {
  readonly gpu: GPU;
  /** Takes the device away, as a driver's reset does. */
  lose(message: string): void;
  /** Reports an error of a call that nobody waits for. */
  raise(error: Error): void;
  /** Pipelines that were made while somebody waited for them. */
  compiledNow(): number;
}

export function countingGpu(limits: Partial<GPUSupportedLimits> = {}): CountingGpu {
  let raise: (event: { error: Error }) => void = () => {};
  let lose: (info: { reason: string; message: string }) => void = () => {};
  const all = {
    maxBufferSize: 2 ** 31,
    maxStorageBufferBindingSize: 2 ** 31,
    minUniformBufferOffsetAlignment: 256,
    maxComputeWorkgroupsPerDimension: 65535,
    ...limits,
  };
  const nothing = () => {};
  const pass = { setPipeline: nothing, setBindGroup: nothing, dispatchWorkgroups: nothing, end: nothing };
  const encoder = {
    beginComputePass: () => pass,
    copyBufferToBuffer: nothing,
    clearBuffer: nothing,
    finish: () => ({}),
  };
  let isLost = false;
  let compiled = 0;
  const buffer = ({ size }: { size: number }) => ({
    destroy: nothing,
    unmap: nothing,
    getMappedRange: (_: number, bytes = size) => new ArrayBuffer(bytes),
    // A lost device answers nothing: not every system rejects.
    mapAsync: () => (isLost ? new Promise(nothing) : Promise.resolve()),
  });
  const device = () => ({
    limits: all,
    features: new Set<string>(),
    lost: new Promise((resolve) => {
      lose = (info) => {
        isLost = true;
        resolve(info);
      };
    }),
    queue: { writeBuffer: nothing, submit: nothing, onSubmittedWorkDone: async () => {} },
    addEventListener: (_: 'uncapturederror', handler: typeof raise) => {
      raise = handler;
    },
    createBuffer: buffer,
    createCommandEncoder: () => encoder,
    destroy: nothing,
    pushErrorScope: nothing,
    popErrorScope: async () => null,
    createBindGroupLayout: () => ({}),
    createPipelineLayout: () => ({}),
    createShaderModule: () => ({}),
    createComputePipeline: () => {
      compiled++;
      return {};
    },
    createComputePipelineAsync: async () => ({}),
    createBindGroup: () => ({}),
  });
  const adapter = () => ({
    limits: all,
    features: new Set<string>(),
    info: {
      vendor: 'none',
      architecture: '',
      device: '',
      description: 'a GPU that only counts',
      isFallbackAdapter: false,
    },
    requestDevice: async () => {
      isLost = false;
      return device();
    },
  });
  return {
    gpu: { requestAdapter: async () => adapter() } as unknown as GPU,
    lose: (message) => lose({ reason: 'unknown', message }),
    raise: (error) => raise({ error }),
    compiledNow: () => compiled,
  };
}
