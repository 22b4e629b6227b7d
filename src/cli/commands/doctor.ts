import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { formatBytes } from '../../base/units.ts';
import type { Choice } from '../../devices/choose.ts';
import { loadSettings } from '../../inference/remote/load.ts';
import type { NativeWay } from '../../kernels/native/kernels.ts';
import { choose } from '../../platform/node/auto-device.ts';
import { bundledModels } from '../../platform/node/bundled-models.ts';
import { createDevice } from '../../platform/node/engine/devices.ts';
import { describeMachine, type Machine } from '../../platform/node/machine.ts';
import { openBlasLibrary } from '../../platform/node/native/blas-library.ts';
import { findFfi } from '../../platform/node/native/ffi.ts';
import type { LoadedNative } from '../../platform/node/native/machine-code.ts';
import { findMpiLibrary } from '../../platform/node/native/native-library.ts';
import { loadOneDnn } from '../../platform/node/native/onednn.ts';
import { nativeForThisMachine } from '../../platform/node/native-kernels.ts';
import { probeGpu } from '../../platform/node/probe-gpu.ts';
import { kernelsForThisMachine } from '../../platform/node/wide-kernels.ts';
import { defineCommand } from '../command.ts';
import { type Io, writeJson, writeLine } from '../io.ts';

/** One thing that is here or not, and what to do when it is not. */
interface Finding {
  readonly name: string;
  readonly here: boolean;
  readonly found: string;
  readonly advice?: string;
  /** What drivers said, for --verbose. */
  readonly words?: string;
}

export const command = defineCommand({
  options: {
    json: { kind: 'flag', help: 'one JSON object' },
    verbose: { kind: 'flag', help: 'also what drivers said while they were looked at' },
  },
  positionals: [],
  examples: [['doctor', 'one line per capability, with advice where one is missing']],
  async run(options, io) {
    const machine = describeMachine();
    const findings = await examine(machine, io);
    const auto = await choose(io.env);
    const kernels = await kernelsHere(auto.device);
    if (options.json) writeJson(io.stdout, { machine, kernels, auto, findings });
    else print(machine, kernels, auto, findings, options.verbose, io);
  },
});

async function examine(machine: Machine, io: Io): Promise<Finding[]> {
  const ffi = findFfi();
  const blas = openBlasLibrary(io.env);
  const bf16 = loadOneDnn(io.env);
  const mpi = findMpiLibrary(io.env);
  const mpirun = onPath('mpirun', io.env.PATH);
  const machineCode = machineCodeHere(machine);
  const models = bundledModels();
  return [
    {
      name: 'SIMD',
      here: machine.simd,
      found: machine.simd ? '128-bit vectors' : 'not in this WebAssembly engine',
      advice: 'Only the slow reference device runs without it; update Node.',
    },
    {
      name: 'relaxed SIMD',
      here: machine.relaxedSimd,
      found: machine.relaxedSimd ? 'int8 dot products, fused multiply-add' : 'not in this WebAssembly engine',
      advice: 'The plain SIMD kernels run; Node 22 and newer have it.',
    },
    {
      name: 'revectorizer',
      here: machine.revectorizer,
      found: machine.revectorizer ? '256-bit vectors from pairs of 128-bit ones' : 'not with this processor and Node',
      advice: 'The same kernels run at 128 bits. It needs an x64 processor with AVX2 and Node 22 or newer.',
    },
    {
      name: 'machine code',
      here: typeof machineCode !== 'string',
      found: typeof machineCode === 'string' ? machineCode : describeMachineCode(machineCode),
      advice:
        'WebAssembly runs, with the same bits. It needs Linux on an x64 processor with AVX2 or an arm64 one with ASIMDDP, koffi, and executable memory.',
    },
    {
      name: 'threads',
      here: machine.sharedMemory && machine.logicalCores > 1,
      found: `${machine.physicalCores} cores, ${machine.logicalCores} hardware threads`,
      advice: 'Everything runs on one thread.',
    },
    {
      name: 'system calls',
      here: ffi !== null,
      found: ffi === null ? 'koffi is not installed' : `koffi ${ffi.version}`,
      advice: 'Optional: large memory pages, BLAS, bf16 products and MPI need it: `npm install koffi`.',
    },
    {
      name: 'BLAS',
      here: blas !== null && blas.problem === null,
      found: blas === null ? 'no library found' : blas.description,
      advice:
        blas?.problem ??
        'Optional: training and `--blas` prefill are faster with one, as from `apt install libopenblas0-pthread`.',
    },
    {
      name: 'bf16 products',
      here: bf16 !== null,
      found: bf16?.description ?? 'no library found, or none for this processor',
      advice: 'Optional: recipes with `training.products: bf16` need oneDNN, as from `apt install libdnnl2`.',
    },
    {
      name: 'MPI',
      here: mpi !== null && mpirun !== null,
      found: mpi === null ? 'no library found' : `${mpi}${mpirun ? `, ${mpirun}` : ', but no mpirun on the PATH'}`,
      advice: 'Optional: only runs on several processes or machines need it, as from `apt install openmpi-bin`.',
    },
    await findWebGpu(io),
    {
      name: 'bundled model',
      here: models.length > 0,
      found: models.map(({ name }) => name).join(', ') || 'none in this copy',
      advice: 'Name a model file with -m, or make one with `cria init`.',
    },
  ];
}

/** After a look at what it computes; in words why there is none. */
function machineCodeHere({ simd }: Machine): LoadedNative | string {
  if (!simd) return 'there are no kernels without SIMD, so none to compare it with';
  const { kernels } = kernelsForThisMachine({ threads: 1, revectorize: true, blas: null, training: false });
  const native = nativeForThisMachine(kernels, true);
  return native.kernels ?? native.why!;
}

const machineCodes: Record<NativeWay, string> = {
  'AVX-512': '512-bit vectors (AVX-512 VNNI), for products and attention',
  'AVX-VNNI': '256-bit vectors (AVX2, AVX-VNNI), for products with one token',
  AVX2: '256-bit vectors (AVX2), for products with one token',
  I8MM: '128-bit vectors with products of small matrices of bytes (I8MM), for products with quantized weights',
  DotProd: '128-bit vectors with dot products of bytes (ASIMDDP), for products with quantized weights',
};
function describeMachineCode({ place, notBetter }: LoadedNative): string {
  return notBetter === null ? machineCodes[place.way] : `${machineCodes[place.way]}; ${notBetter}`;
}

/** Whether this Node can compute on a GPU: by the optional package, and an adapter that it finds. */
async function findWebGpu({ env }: Io): Promise<Finding> {
  const name = 'WebGPU';
  const { adapterName, isSoftware, features, products, problem, words } = await probeGpu(env);
  const more = words === '' ? {} : { words };
  if (adapterName === null)
    return { name, here: false, found: 'not to be had', advice: `Optional: ${problem}`, ...more };
  if (isSoftware) {
    const prompts = products === null ? '' : `; prompts by ${products.by} products`;
    const advice = 'It is for tests: wasm is faster.';
    return { name, here: false, found: `${adapterName}, a software adapter${prompts}`, advice, ...more };
  }
  const offered = features.length > 0 ? ` (${features.join(', ')})` : '';
  const halves = products && products.ofHalves !== products.by ? `, with f16 weights by ${products.ofHalves}` : '';
  const prompts = products === null ? '' : `; prompts by ${products.by} products (${products.why})${halves}`;
  return { name, here: true, found: `${adapterName}${offered}${prompts}; use it by \`--device webgpu\``, ...more };
}

/** What a model loaded now would run on: the device is made and asked. */
async function kernelsHere(kind: Choice['device']): Promise<string> {
  try {
    const device = await createDevice(loadSettings({ device: kind }));
    device.close();
    return device.description;
  } catch (error) {
    return `none: ${(error as Error).message}`;
  }
}

function onPath(program: string, path = ''): string | null {
  return (
    path
      .split(delimiter)
      .map((folder) => join(folder, program))
      .find((file) => existsSync(file)) ?? null
  );
}

function print(
  machine: Machine,
  kernels: string,
  auto: Choice,
  findings: readonly Finding[],
  isVerbose: boolean,
  io: Io,
): void {
  const line = (name: string, text: string) => writeLine(io.stdout, `${name.padEnd(16)}${text}`);
  line('  Node', `${machine.node}, ${machine.platform}`);
  line('  processor', machine.cpu);
  line('  memory', `${formatBytes(machine.freeMemoryBytes)} free of ${formatBytes(machine.memoryBytes)}`);
  for (const { name, here, found, advice, words } of findings) {
    line(`${here ? '✓' : '–'} ${name}`, found);
    if (!here && advice) line('', advice);
    if (isVerbose && words) for (const said of words.split('\n')) line('', said);
  }
  writeLine(io.stdout);
  line('  kernels', kernels);
  line('  auto', `${auto.device}: ${auto.why}`);
}
