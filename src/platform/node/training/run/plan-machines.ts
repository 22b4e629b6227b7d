/** `cria train --plan`: what so many machines like this one need for a recipe, by arithmetic. Nothing is trained. */
import { existsSync } from 'node:fs';
import { ArgumentError } from '../../../../base/errors.ts';
import { formatBytes, formatCount, formatDuration } from '../../../../base/units.ts';
import type { DeviceKind } from '../../../../devices/device.ts';
import { sumInOrder } from '../../../../training/collective.ts';
import { type Sharding, shardings } from '../../../../training/ranks/sharding.ts';
import { type DerivedRecipe, deriveRecipe, type Recipe } from '../../../../training/recipe/recipe.ts';
import { type Machine, planRate, planStep, STEP_RATE, type StepPlan } from '../../../../training/run/plan.ts';
import { describeMachine } from '../../machine.ts';
import { openTokenizer } from '../data/open-data.ts';
import { createDeviceOfRun, deviceOfRun, type TrainingMachine } from '../device.ts';
import { measurePeak } from '../measure-peak.ts';
import type { StartModel } from '../start-model.ts';
import { memoryProblem } from './memory-limit.ts';

/** What is assumed where a recipe's tokenizer is not here: LLaMA's. */
const VOCABULARY = 32000;
/** Seconds of a message between machines, as Ethernet has them. */
const LATENCY = 20e-6;
export interface PlanOptions extends TrainingMachine {
  readonly recipe: Recipe;
  /** The model of the recipe's model.from; null: it has none. */
  readonly start: StartModel | null;
  /** Numbers of machines. */
  readonly machines: readonly number[];
  /** Gigabits a second that a machine sends. */
  readonly network: number;
  /** 10⁹ operations a second of a machine's large products; null: those of this one are measured. */
  readonly gflops: number | null;
  tell(message: string): void;
}

/** A table whose first row is its head; what it was computed with is told. */
export async function planMachines(options: PlanOptions): Promise<string[][]> {
  const { recipe, tell, network } = options;
  const isHere = existsSync(recipe.tokenizer.path);
  if (!isHere) tell(`${recipe.tokenizer.path} is not here: a vocabulary of ${VOCABULARY}, LLaMA's, is assumed`);
  const derived = deriveRecipe(
    recipe,
    isHere ? openTokenizer(recipe).tokenizer.vocabSize : VOCABULARY,
    options.start?.config,
  );
  const { products } = recipe.training;
  const kind = await deviceOfRun(
    options.device,
    { products, ranks: Math.max(...options.machines), began: undefined },
    tell,
  );
  const { device } = await createDeviceOfRun(options, kind, products, tell);
  const peak = options.gflops === null ? await measurePeak(device) : options.gflops * 1e9;
  device.close();
  const machine = { flops: STEP_RATE * peak, ...measureHandling(), bandwidth: network * 1.25e8, latency: LATENCY };
  const { memoryBytes } = describeMachine();
  tell(
    `a machine: ${device.description}; large products at ${(peak / 1e9).toFixed(0)} GFLOP/s, of which a step reaches half; ${(machine.copying / 1e9).toFixed(1)} GB/s copied, ${(machine.adding / 1e9).toFixed(1)} added up; ${formatBytes(memoryBytes)}; ${network} Gbit/s between machines`,
  );
  const { batchTokens, totalSteps, parameters } = derived;
  tell(
    `${recipe.name}: ${formatCount(parameters)} parameters, ${totalSteps} steps of ${formatCount(batchTokens)} tokens`,
  );
  const head = ['machines', 'sharded', 'device', 'beside it', 'fits', 'a step', 'network', 'tokens/s', 'all steps'];
  const plans = options.machines.map((size) => plansFor(size, derived, recipe, machine));
  for (const ofSize of plans) {
    const problems = ofSize.map((plan) => problemOf(plan, memoryBytes, device.kind));
    const { size, sharding } = ofSize.at(-1)!;
    const machines = size === 1 ? 'one machine' : `${size} machines, sharded: ${sharding}`;
    if (problems.every((problem) => problem !== null)) tell(`${machines}: ${problems.at(-1)!.words}`);
  }
  return [head, ...plans.flat().map((plan) => rowFor(plan, problemOf(plan, memoryBytes, device.kind), derived))];
}

interface MachinesPlan extends StepPlan {
  readonly size: number;
  readonly sharding: Sharding;
}

/** From what shares least to what shares most. */
function plansFor(
  size: number,
  derived: DerivedRecipe,
  { training: { overlap = true, matrices, ema } }: Recipe,
  machine: Machine,
): MachinesPlan[] {
  const isAveraged = ema !== undefined;
  return shardings
    .filter((sharding) => size > 1 || sharding === 'none')
    .map((sharding) => {
      const plan = planStep(derived, { size, sharding, overlap, matrices, isAveraged }, machine);
      return { ...plan, size, sharding };
    });
}

function problemOf({ device, ...plan }: MachinesPlan, memoryBytes: number, kind: DeviceKind) {
  return memoryProblem({ ...plan, parameters: device, kind }, memoryBytes);
}

function rowFor(plan: MachinesPlan, problem: ReturnType<typeof memoryProblem>, derived: DerivedRecipe): string[] {
  return [
    String(plan.size),
    plan.sharding,
    formatBytes(plan.device + plan.activations),
    formatBytes(plan.beside),
    problem?.short ?? 'yes',
    formatDuration(plan.seconds),
    `${Math.round((100 * (plan.seconds - plan.compute - plan.update)) / plan.seconds)} %`,
    formatCount(Number(planRate(derived, plan).toPrecision(3))),
    inDays(plan.seconds * derived.totalSteps),
  ];
}

function inDays(seconds: number): string {
  const days = seconds / 86_400;
  return days < 1 ? formatDuration(seconds) : `${formatCount(Number(days.toPrecision(3)))} days`;
}

/** How fast this machine copies numbers in memory, and adds up what two ranks have sent. */
export function measureHandling(): Pick<Machine, 'copying' | 'adding'> {
  const from = new Float32Array(2 ** 23).fill(1);
  const to = new Float32Array(from.length);
  const sums = to.subarray(0, from.length / 2);
  return {
    copying: from.byteLength / leastSeconds(() => to.set(from)),
    adding: from.byteLength / leastSeconds(() => sumInOrder(sums, from, 2)),
  };
}

function leastSeconds(work: () => void): number {
  let least = Number.POSITIVE_INFINITY;
  for (let i = 0; i < 5; i++) {
    const begun = performance.now();
    work();
    least = Math.min(least, performance.now() - begun);
  }
  return least / 1000;
}

/** '8,64,2048' as numbers. Throws ArgumentError `plan.machines`. */
export function parseMachines(text: string): number[] {
  const counts = text.split(',').map(Number);
  if (counts.every((count) => Number.isInteger(count) && count >= 1 && count <= 2 ** 20)) return counts;
  throw new ArgumentError('plan.machines', `--plan ${text}: expected numbers of machines, as in --plan 8,64,2048`);
}
