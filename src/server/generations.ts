/**
 * The answers of one request: through the gate, into the engine, out of the queue. start() resolves when the first of them has its
 * place, so that a request that must be refused still can be, with a status.
 */
import { withResolvers } from '../base/es2024.ts';
import type { GenerationResult, Piece, PieceLogProbabilities } from '../inference/generation.ts';
import type { CompiledConstraint } from '../inference/grammar/compile-constraint.ts';
import type { GenerationOptions } from '../inference/options.ts';
import type { GenerationStream } from '../inference/remote/generation-stream.ts';
import type { AdapterChoice } from '../model/adapter/select.ts';
import { ApiError } from './api-error.ts';
import type { Slot } from './kept/slots.ts';
import type { Answer } from './reply/choices.ts';
import type { Core } from './world.ts';

export interface Plan {
  readonly prompts: readonly Uint32Array[];
  /** Answers for each prompt. */
  readonly n: number;
  /** The slot that the first answer is remembered in; −1 or null: any. */
  readonly slot: number | null;
  readonly options: GenerationOptions & {
    readonly constraint?: CompiledConstraint | undefined;
    readonly adapters?: AdapterChoice | undefined;
  };
}

export interface Generations {
  /** Prompt by prompt, n for each. */
  readonly answers: readonly Answer[];
  abort(): void;
  /** With `promptLogprobs`, prompt by prompt: each resolves when that prompt has been read. */
  readonly promptLogprobs: readonly Promise<readonly PieceLogProbabilities[]>[];
  /** All results. Throws ApiError 499 when the client left. */
  finish(): Promise<readonly GenerationResult[]>;
  /** Prompt tokens that the cache held: of each prompt's first answer, as the others always find them. */
  cachedTokens(results: readonly GenerationResult[]): number;
}

/** Throws ApiError 503 when there is no room, or none in time; and what the engine has against the options. */
export async function startGenerations(core: Core, plan: Plan, signal: AbortSignal): Promise<Generations> {
  const { gate, clocks, settings, slots } = core;
  const { prompts, n } = plan;
  signal.throwIfAborted();
  if (plan.slot !== null && plan.slot !== -1) slots.at(plan.slot, 'id_slot');
  const leave = gate.enter(prompts.length * n);
  const ending = new AbortController();
  const end = () => ending.abort();
  signal.addEventListener('abort', end, { once: true });

  const groups = prompts.map((prompt, i) => answersOf(core, plan, prompt, ending.signal, leave, i === 0));
  const answers: readonly StartedAnswer[] = groups.flat();
  const results = Promise.all(answers.map(({ result }) => result));
  const over = new AbortController();
  void results
    .catch(() => {
      end(); // where one failed the others are of no use
    })
    .finally(() => {
      signal.removeEventListener('abort', end);
      over.abort();
    });
  void clocks.sleep(settings.timeLimitSeconds * 1000, over.signal).then(end);
  await firstPlace(core, answers[0]!, end);
  return {
    answers,
    abort: end,
    promptLogprobs: groups.map(([{ promptLogprobs }]) => promptLogprobs),
    async finish() {
      const done = await results;
      if (signal.aborted) throw new ApiError(499, 'client_closed_request', 'the client has closed the connection.');
      return done;
    },
    cachedTokens: (done) => done.filter((_, i) => i % n === 0).reduce((sum, { timings }) => sum + timings.cache_n, 0),
  };
}

function remember(slot: Slot, { promptIds, ids }: GenerationResult, adapters: AdapterChoice | null): void {
  slot.ids = new Uint32Array(promptIds.length + ids.length);
  slot.ids.set(promptIds);
  slot.ids.set(ids, promptIds.length);
  slot.adapters = adapters;
}

interface StartedAnswer extends Answer {
  /** Resolves when the engine has taken it in, or when it has ended; rejects when the engine refuses it. */
  readonly admitted: Promise<unknown>;
}

interface FirstAnswer extends StartedAnswer {
  readonly hasRead: Promise<unknown>;
  /** Resolves only with `promptLogprobs`; rejects where the answer ends before its prompt is read. */
  readonly promptLogprobs: Promise<readonly PieceLogProbabilities[]>;
}

/** The first answer reads the prompt; the others start when it has, and find the prompt in the cache. */
function answersOf(
  core: Core,
  { n, slot, options }: Plan,
  prompt: Uint32Array,
  signal: AbortSignal,
  leave: () => void,
  isFirst: boolean,
): [FirstAnswer, ...StartedAnswer[]] {
  const { seed = -1 } = options;
  const first = launch(core, prompt, options, signal, leave, isFirst ? slot : null);
  const others = Array.from({ length: n - 1 }, (_, i) => {
    const seeded = { ...options, promptLogprobs: false, seed: seed === -1 ? -1 : seed + 1 + i };
    return later(first.hasRead, () => launch(core, prompt, seeded, signal, leave, null));
  });
  return [first, ...others];
}

function launch(
  { model, clocks, metrics, slots }: Core,
  prompt: Uint32Array,
  options: Plan['options'],
  signal: AbortSignal,
  leave: () => void,
  wantedSlot: number | null,
): FirstAnswer {
  const slot = slots.enter(wantedSlot);
  const arrived = clocks.monotonic();
  let waitedMs = 0;
  const admission = withResolvers<void>();
  const reading = withResolvers<void>();
  const onAdmitted = () => {
    waitedMs = clocks.monotonic() - arrived;
    admission.resolve();
  };
  const promptRead = withResolvers<readonly PieceLogProbabilities[]>();
  promptRead.promise.catch(() => {});
  const stream: GenerationStream = model.generate(prompt, {
    ...options,
    signal,
    onAdmitted,
    onPromptRead: promptRead.resolve,
    onPiece: () => reading.resolve(),
  });
  const result = stream.result.finally(() => {
    slot.running--;
    leave();
  });
  void result.then(
    (ended) => {
      metrics.answered(ended, (waitedMs + ended.timings.prompt_ms) / 1000);
      remember(slot, ended, options.adapters ?? null);
    },
    () => metrics.answers.add(1, { reason: 'error' }),
  );
  const unread = new ApiError(408, 'time_limit', 'the answer was ended before its prompt was read.');
  void result
    .then(
      () => unread,
      (error: unknown) => error,
    )
    .then(promptRead.reject);
  const admitted = Promise.race([admission.promise, result]);
  admitted.catch(() => {});
  const hasRead = Promise.race([reading.promise, result.catch(() => {})]);
  return { pieces: stream, result, admitted, promptLogprobs: promptRead.promise, hasRead };
}

/** An answer that starts when `ready` resolves. */
function later(ready: Promise<unknown>, start: () => Answer): StartedAnswer {
  const answer = ready.then(start);
  const result = answer.then((started) => started.result);
  result.catch(() => {});
  return { pieces: delayed(answer), result, admitted: result };
}

async function* delayed(answer: Promise<Answer>): AsyncGenerator<Piece, void> {
  yield* (await answer).pieces;
}

/** Throws ApiError 503 when the engine takes nothing in for too long; what was wrong with the request, as the engine says it. */
async function firstPlace({ clocks, settings, gate }: Core, first: StartedAnswer, end: () => void): Promise<void> {
  const placed = new AbortController();
  const late = clocks.sleep(settings.queueSeconds * 1000, placed.signal).then(() => 'late' as const);
  try {
    if ((await Promise.race([first.admitted, late])) !== 'late') return;
  } finally {
    placed.abort();
  }
  end();
  await first.result.catch(() => {});
  throw new ApiError(503, 'queue_timeout', `no place was free within ${settings.queueSeconds} s. Try again later.`, {
    retryAfterSeconds: 1 + Math.ceil(gate.inside / 8),
  });
}
